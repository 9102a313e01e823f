# The numbers of callers' arrays: which can be read in place, and whether they were written since.
# Needs signature.pxi.

cdef char number_code(const Py_buffer *view) noexcept:
    """The struct module's letter for an array's numbers; 0: none that can be read in place."""
    cdef char code = view.format[0] if view.format is not NULL else 0
    if code == 0 or view.format[1] != 0 or code not in b"dflqi?B":
        return 0
    return code if <uintptr_t>view.buf % <size_t>view.itemsize == 0 else 0


cdef inline double number_at(const void *data, char code, size_t k) noexcept nogil:
    if code == b"d":
        return (<const double *>data)[k]
    if code == b"f":
        return (<const float *>data)[k]
    if code == b"l":
        return <double>(<const long *>data)[k]
    if code == b"q":
        return <double>(<const long long *>data)[k]
    if code == b"i":
        return (<const int *>data)[k]
    return (<const unsigned char *>data)[k]


cdef extern from *:
    """
    /* A number that changes when one of the doubles does: FNV's products over four streams. */
    static uint64_t seal_of(const double *data, size_t n) {
        uint64_t h[4] = {1, 2, 3, 4}, bits;
        for (size_t k = 0; k < n; k++) {
            memcpy(&bits, data + k, sizeof bits);
            h[k % 4] = (h[k % 4] ^ bits) * 0x9E3779B97F4A7C15u;
        }
        return (h[0] ^ h[1] >> 7) * 31 + (h[2] ^ h[3] >> 11) * 17 + (h[1] ^ h[0] >> 13) + h[3];
    }
    """
    uint64_t seal_of(const double *data, size_t n) nogil


cdef inline void release_view(fed_array *a) noexcept:
    if a.has_view:
        a.has_view = False
        PyBuffer_Release(&a.view)
