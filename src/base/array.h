/* Growing arrays. An item for which there is no room is not added, and the caller's flag says so from
 * then on: whoever fills arrays looks at the flag in loops and at the end, not at every call. */
#ifndef MF_ARRAY_H
#define MF_ARRAY_H

#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"

/* Room for n items in a block, with some to spare where it grows; the block, unless *failed is set. */
static inline void *mf_with_room(void *items, int32_t *cap, int64_t n, size_t size, int *failed) {
    int64_t larger = (int64_t)*cap * 2 + 16;
    void *block = NULL;
    if (n <= *cap) return items;
    if (larger < n) larger = n;
    if (larger > INT32_MAX && n <= INT32_MAX) larger = INT32_MAX;
    if (larger <= INT32_MAX) block = mf_resized(items, (uint64_t)larger, size);
    if (block == NULL) {
        *failed = 1;
        return items;
    }
    *cap = (int32_t)larger;
    return block;
}

/* A type of arrays, with NAME_reserve: room for n items in all; and NAME_add: an item more, whose place
 * it returns, or -1. An array starts as zeros; free() its items. */
#define MF_ARRAY(name, type)                                                                  \
    typedef struct {                                                                          \
        type *items;                                                                          \
        int32_t n, cap;                                                                       \
    } name;                                                                                   \
    static inline void name##_reserve(name *a, int64_t n, int *failed) {                      \
        a->items = (type *)mf_with_room(a->items, &a->cap, n, sizeof(type), failed);          \
    }                                                                                         \
    static inline int32_t name##_add(name *a, type item, int *failed) {                       \
        if (a->n == a->cap) name##_reserve(a, (int64_t)a->n + 1, failed);                     \
        if (a->n == a->cap) return -1;                                                        \
        a->items[a->n] = item;                                                                \
        return a->n++;                                                                        \
    }

MF_ARRAY(mf_bytes, uint8_t)
MF_ARRAY(mf_ints, int32_t)
MF_ARRAY(mf_hashes, uint64_t)
MF_ARRAY(mf_doubles, double)

/* qsort, which may not be given NULL, whatever the number of items. */
static inline void mf_sort(void *items, int32_t n, size_t size,
                           int (*compare)(const void *, const void *)) {
    if (n > 1) qsort(items, (size_t)n, size, compare);
}

#endif
