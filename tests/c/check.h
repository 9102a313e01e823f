/* What the C tests are made of: claims that end the program where they do not hold, and numbers
 * that look random. */
#ifndef MF_TEST_CHECK_H
#define MF_TEST_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(claim)                                                              \
    do {                                                                          \
        if (!(claim)) {                                                           \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, __func__, #claim); \
            exit(1);                                                              \
        }                                                                         \
    } while (0)

/* As CHECK; the rest says of what, as printf takes it. */
#define CHECK_OF(claim, ...)                                                      \
    do {                                                                          \
        if (!(claim)) {                                                           \
            fprintf(stderr, __VA_ARGS__);                                         \
            fputs(": ", stderr);                                                  \
            CHECK(claim);                                                         \
        }                                                                         \
    } while (0)

/* Numbers that are the same in every run: xorshift64. */
static inline uint64_t random_bits(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
static inline int random_below(uint64_t *state, int n) {
    return (int)(random_bits(state) % (uint64_t)n);
}

#endif
