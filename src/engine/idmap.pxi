# A number for each of some nodes, 0 at first: room for the ids that are used and their neighbours,
# however large the store is or was.
#
# An id's upper 11 bits choose a folder, the next 10 a page in it, the last 10 a number there.

from base.memory cimport mf_resized

cdef enum:
    MAP_BITS = 10
    MAP_SIZE = 1 << MAP_BITS
    MAP_FOLDERS = 1 << (31 - 2 * MAP_BITS)


@cython.internal
cdef class IdMap:
    cdef int32_t ***folders
    cdef int32_t *page          # the one that was used last
    cdef int32_t page_number    # of it; -1: none
    cdef Py_ssize_t n_bytes

    def __cinit__(self):
        self.page_number = -1

    def __dealloc__(self):
        cdef int32_t k, j
        if self.folders is NULL:
            return
        for k in range(MAP_FOLDERS):
            if self.folders[k] is not NULL:
                for j in range(MAP_SIZE):
                    free(self.folders[k][j])
                free(self.folders[k])
        free(self.folders)

    cdef inline int32_t *at(self, int32_t id) except NULL:
        """Where a node's number is; stays there."""
        if id >> MAP_BITS != self.page_number:
            self.turn_to(id >> MAP_BITS)
        return self.page + (id & (MAP_SIZE - 1))

    cdef int turn_to(self, int32_t number) except -1:
        cdef int32_t folder = number >> MAP_BITS, page = number & (MAP_SIZE - 1)
        if self.folders is NULL:
            self.folders = <int32_t ***>self.room(MAP_FOLDERS, sizeof(void *))
        if self.folders[folder] is NULL:
            self.folders[folder] = <int32_t **>self.room(MAP_SIZE, sizeof(void *))
        if self.folders[folder][page] is NULL:
            self.folders[folder][page] = <int32_t *>self.room(MAP_SIZE, sizeof(int32_t))
        self.page, self.page_number = self.folders[folder][page], number
        return 0

    cdef void *room(self, size_t n, size_t size) except NULL:
        cdef void *block = mf_resized(NULL, n, size)
        if block is NULL:
            raise MemoryError("no room to trace the function")
        memset(block, 0, n * size)
        self.n_bytes += n * size
        return block
