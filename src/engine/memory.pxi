# Memory for the Cython files: growing blocks, and what raises MemoryError where there is none. What
# all files use of C and of CPython stands here too.

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free
from libc.math cimport INFINITY, NAN
from libc.string cimport memcmp, memcpy, memset
from cpython.object cimport PyObject

from base.array cimport mf_sort, mf_with_room
from base.memory cimport mf_resized

cdef void *some_memory(uint64_t n, size_t size) except NULL:
    cdef void *block = mf_resized(NULL, n + 1, size)   # malloc(0) may be NULL
    if block is NULL:
        raise MemoryError("no room for a call of a compiled function")
    return block


cdef double *zeros(uint64_t n) except NULL:
    cdef void *block = some_memory(n, 8)
    memset(block, 0, 8 * <size_t>n)
    return <double *>block


@cython.internal
cdef class Block:
    """A growing block of memory that goes with its owner."""
    cdef char *data
    cdef int32_t n, cap
    cdef size_t size

    def __cinit__(self, size_t size):
        self.size = size

    def __dealloc__(self):
        free(self.data)

    cdef int32_t add(self, const void *item) except -1:
        cdef int failed = False
        self.data = <char *>mf_with_room(self.data, &self.cap, <int64_t>self.n + 1, self.size,
                                         &failed)
        if failed:
            raise MemoryError(f"no room for {<int64_t>self.n + 1} items of {self.size} bytes")
        memcpy(self.data + self.n * self.size, item, self.size)
        self.n += 1
        return self.n - 1

    cdef int32_t add_int(self, int32_t item) except -1:
        return self.add(&item)

    cdef void sort(self, int (*compare)(const void *, const void *) noexcept nogil) noexcept:
        mf_sort(self.data, self.n, self.size, compare)
