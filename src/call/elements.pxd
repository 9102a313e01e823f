# The numbers of an array as doubles, whatever their type, strides and byte order (elements.h).

cdef extern from "call/elements.h" nogil:
    ctypedef enum mf_element:
        MF_NO_ELEMENT
    ctypedef struct mf_elements:
        mf_element type
        int swapped
        const char *data
        int n_axes
        const Py_ssize_t *shape
        const Py_ssize_t *strides
    void mf_set_format(mf_elements *e, const char *format, size_t size)
    bint mf_is_plain(const mf_elements *e)
    void mf_read_elements(double *to, const mf_elements *e)
