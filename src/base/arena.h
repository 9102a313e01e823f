/* An arena: blocks of memory that go together. A block for which there is no room is NULL, and the
 * arena has failed from then on. */
#ifndef MF_ARENA_H
#define MF_ARENA_H

#include <stdint.h>

#include "base/memory.h"

typedef union mf_block mf_block;
union mf_block { /* stands before the memory that is lent, which is aligned as it is */
    mf_block *next;
    double number;
    uint64_t bits;
};

typedef struct {
    mf_block *blocks;
    int failed;
} mf_arena;

/* n items of that size, all zero: one more than asked for, so that no block is empty. */
static inline void *mf_taken(mf_arena *a, uint64_t n, size_t size) {
    const uint64_t n_more = 1 + (sizeof(mf_block) + size - 1) / size;
    mf_block *block = n <= UINT64_MAX - n_more ? (mf_block *)mf_zeroed(n + n_more, size) : NULL;
    if (block == NULL) {
        a->failed = 1;
        return NULL;
    }
    block->next = a->blocks;
    a->blocks = block;
    return block + 1;
}

static inline void mf_arena_free(mf_arena *a) {
    while (a->blocks != NULL) {
        mf_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
}

#endif
