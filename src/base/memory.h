/* All memory of the core but Python's comes from here, so that a test can let any allocation fail. */
#ifndef MF_MEMORY_H
#define MF_MEMORY_H

#include <stdint.h>
#include <stdlib.h>

static int64_t mf_n_allocs_left = -1; /* test hook: allocations until one fails; -1: never */

static inline int mf_may_allocate(uint64_t n, size_t size) {
    if (mf_n_allocs_left == 0) return 0;
    if (mf_n_allocs_left > 0) mf_n_allocs_left--;
    return n <= SIZE_MAX / size;
}

/* realloc to n items of that size; NULL where there is no room, or the test hook says so. */
static inline void *mf_resized(void *block, uint64_t n, size_t size) {
    return mf_may_allocate(n, size) ? realloc(block, (size_t)n * size) : NULL;
}

/* calloc of n items of that size; NULL as above. */
static inline void *mf_zeroed(uint64_t n, size_t size) {
    return mf_may_allocate(n, size) ? calloc((size_t)n, size) : NULL;
}

#endif
