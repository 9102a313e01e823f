# Arrays: the numbers of callers' arrays, and whether they were written since; the arrays that
# callers get.

from cpython.buffer cimport (Py_buffer, PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_STRIDES,
                             PyBUF_WRITABLE, PyBuffer_IsContiguous, PyBuffer_Release,
                             PyObject_GetBuffer)

from base.seal cimport mf_seal
from call.elements cimport (MF_NO_ELEMENT, mf_elements, mf_is_plain, mf_read_elements,
                            mf_set_format)

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX

# NumPy's types, known from the first array on: the core does not import NumPy when it is imported.
cdef object ndarray_type = None
cdef object empty_array = None
cdef frozenset number_types = frozenset()   # of real scalars


def know_numpy() -> None:
    """From now on NumPy's arrays and scalars are read in C."""
    global ndarray_type, empty_array, number_types
    if ndarray_type is not None:
        return
    import numpy

    empty_array = numpy.empty
    number_types = frozenset([numpy.dtype(code).type for code in "?bBhHiIlLqQefdg"])
    ndarray_type = numpy.ndarray


cdef struct array_argument:   # of one batched call
    Py_buffer view        # of the caller's array
    bint has_view         # while it is needed
    bint sealed           # there is no copy: the view is needed until the call goes
    uint64_t seal         # of the numbers then
    const double *data    # one sample after the other
    int32_t first         # input
    int32_t width         # numbers a sample
    int32_t first_lane    # widths of the arrays before it
    bint wants            # its gradient is asked for

cdef bint open_array(object array, Py_buffer *view, mf_elements *elements) except -1:
    """Whether the numbers of an array can be read in C. If so the view is to be released."""
    try:
        PyObject_GetBuffer(array, view, PyBUF_FORMAT | PyBUF_STRIDES)
    except (BufferError, ValueError):   # of a type that buffers do not know
        return False
    mf_set_format(elements, view.format, <size_t>view.itemsize)
    elements.data = <const char *>view.buf
    elements.n_axes, elements.shape, elements.strides = view.ndim, view.shape, view.strides
    if elements.type == MF_NO_ELEMENT:
        PyBuffer_Release(view)
        return False
    return True


cdef inline bint is_in_place(const mf_elements *elements, const Py_buffer *view) noexcept:
    """Whether a run can read the numbers where they are."""
    return mf_is_plain(elements) and PyBuffer_IsContiguous(<Py_buffer *>view, b"C")


cdef Py_ssize_t bytes_of(Py_ssize_t n_samples, int32_t n) except -1:
    """Of n doubles a sample. Arrays without numbers may have any length."""
    if n and n_samples > PY_SSIZE_T_MAX // 8 // n:
        raise MemoryError(f"no room for the results of {n_samples} samples")
    return 8 * n_samples * n


cdef object new_array(tuple shape, double **numbers):
    """A float64 array for a caller, and where its numbers go: there while the array lives."""
    cdef Py_buffer view
    if ndarray_type is None:
        know_numpy()
    try:
        array = empty_array(shape)   # a third faster than an array over memory of our own
    except ValueError:   # NumPy's, of what no memory can hold
        raise MemoryError(f"no room for an array of shape {shape}") from None
    PyObject_GetBuffer(array, &view, PyBUF_WRITABLE)
    numbers[0] = <double *>view.buf
    PyBuffer_Release(&view)
    return array


cdef double *to_be_filled(object array, tuple shape) except NULL:
    """Where the numbers of a contiguous float64 array are, while it lives. Raises ValueError where
    there are more or fewer than in that shape, BufferError for another layout."""
    cdef Py_buffer view
    cdef bint fits
    cdef Py_ssize_t size = 8
    for n in shape:
        size *= n
    PyObject_GetBuffer(array, &view, PyBUF_FORMAT | PyBUF_STRIDES | PyBUF_C_CONTIGUOUS
                       | PyBUF_WRITABLE)
    fits = view.format[0] == b"d" and view.len == size
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError(f"out must be of float64, {size // 8} numbers")
    return <double *>view.buf


cdef object part_of(object block, tuple shape, Py_ssize_t first):
    """The float64 array of that shape in a block, from the byte `first` on."""
    return ndarray_type(shape, float, block, first)


def _seal(numbers) -> int:
    """Test hook: the seal of a buffer of float64."""
    cdef Py_buffer view
    cdef mf_elements elements
    cdef uint64_t seal
    if not open_array(numbers, &view, &elements):
        raise TypeError("numbers must be float64")
    try:
        if not is_in_place(&elements, &view):
            raise TypeError("numbers must be float64")
        seal = mf_seal(<const double *>view.buf, <size_t>view.len // 8)
    finally:
        PyBuffer_Release(&view)
    return seal


cdef inline void release_view(array_argument *a) noexcept:
    if a.has_view:
        a.has_view = False
        PyBuffer_Release(&a.view)
