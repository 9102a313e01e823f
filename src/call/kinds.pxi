# The kinds of arguments that compiled functions take, a class each: what it is, whether an argument
# fits, how it is read, what the traced function sees for it, which inputs of a plan it takes.
#
# arguments.py finds the kind of an argument of any sort; here plain ones are looked at, which takes
# some ten ns. What a class is made of is read-only: a kind stays what it is.

from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.sequence cimport PySequence_Fast_GET_SIZE, PySequence_Fast_ITEMS

from engine.node cimport MF_MAX_NODES


@cython.final
cdef class NumberKind(Kind):
    """A float, a real scalar of NumPy or an array of shape (): one input."""
    def __cinit__(self):
        self.identity = ()

    cdef bint take(self, Arguments arguments, object arg) except -1:
        cdef double number
        if PyFloat_Check(arg) or type(arg) in number_types:
            number = PyFloat_AsDouble(arg)
        elif type(arg) is not ndarray_type or not read_scalar(arg, &number):
            return False
        arguments.take_number(number)
        return True

    cdef int count(self, Inputs inputs) except -1:
        return inputs.add_uniform(1, False)

    cdef object placeholder(self, Trace trace):
        return trace.input()

    cdef bint is_numbers(self) except -1:
        return True


@cython.final
cdef class ValueKind(Kind):
    """A Value of a class, whose operators the traced function meets: one input with a gradient."""
    cdef readonly type type

    def __cinit__(self, type kind not None=Value):
        self.type = kind
        self.identity = (id(kind),)   # metaclasses may call classes equal

    cdef bint take(self, Arguments arguments, object arg) except -1:
        return type(arg) is self.type and isinstance(arg, Value) and arguments.take_value(arg)

    cdef int count(self, Inputs inputs) except -1:
        inputs.values.append(len(inputs.kinds))
        return inputs.add_uniform(1, True)

    cdef object placeholder(self, Trace trace):
        return trace.input(self.type)

    cdef int add_classes(self, list found) except -1:
        if self.type is not Value:
            found.append(self.type)
        return 0


@cython.final
cdef class StaticKind(Kind):
    """An int, bool, str or None: the constant itself, which the trace sees."""
    cdef readonly object value

    def __cinit__(self, value=None):
        self.value = value
        self.identity = (type(value), value)

    cdef bint take(self, Arguments arguments, object arg) except -1:
        return type(arg) is type(self.value) and (arg is self.value or arg == self.value)

    cdef int count(self, Inputs inputs) except -1:
        return 0

    cdef object placeholder(self, Trace trace):
        return self.value

    cdef bint is_numbers(self) except -1:
        return type(self.value) is int or type(self.value) is bool


@cython.final
cdef class ClassKind(Kind):
    """A class, which the trace sees: what a class method gets."""
    cdef readonly object value

    def __cinit__(self, value=object):
        self.value = value
        self.identity = (id(value),)   # metaclasses may call classes equal

    cdef bint take(self, Arguments arguments, object arg) except -1:
        return arg is self.value

    cdef int count(self, Inputs inputs) except -1:
        return 0

    cdef object placeholder(self, Trace trace):
        return self.value


@cython.final
cdef class ArrayKind(Kind):
    """An array of real numbers, each an input; in a batched call a row a sample, and the shape is
    that of a sample. wants: its gradient is asked for. shared: in a batched call too it is the same
    for all samples."""
    cdef readonly tuple shape
    cdef readonly bint wants, shared
    cdef int64_t size

    def __cinit__(self, tuple shape not None=(), bint wants=False, bint shared=False):
        self.size = size_of(shape)
        self.shape = shape
        self.wants = wants
        self.shared = shared
        self.identity = (shape, wants, shared)

    cdef bint take(self, Arguments arguments, object arg) except -1:
        cdef Py_buffer view
        cdef mf_elements elements
        cdef bint taken = False
        if type(arg) is not ndarray_type or not open_array(arg, &view, &elements):
            return False
        try:
            if not self.fits(arguments, &view):
                return False
            if arguments.batched and not self.shared:
                taken = True   # the view is theirs
                arguments.take_array(&view, &elements, view.shape[0], self.size, self.wants)
            else:
                arguments.take_numbers(&view, &elements, self.size)
        finally:
            if not taken:
                PyBuffer_Release(&view)
        return True

    cdef bint fits(self, Arguments arguments, const Py_buffer *view) except -1:
        """Whether an array is of this shape, in a batched call as long as those before it."""
        cdef int k, n_axes = 1 if arguments.batched and not self.shared else 0
        if view.ndim != len(self.shape) + n_axes:
            return False
        for k in range(view.ndim - n_axes):
            if view.shape[n_axes + k] != <Py_ssize_t>self.shape[k]:
                return False
        return n_axes == 0 or arguments.n_samples in (-1, view.shape[0])

    cdef int count(self, Inputs inputs) except -1:
        if self.wants:
            inputs.wanted.append(self.shape)
        if inputs.batch and not self.shared:
            return inputs.add_array(self.size, self.wants)
        return inputs.add_uniform(self.size, self.wants)

    cdef object placeholder(self, Trace trace):
        return nested(self.shape, trace.input)


@cython.final
cdef class BatchKind(Kind):
    """A Batch that has a graph behind it, the shape a sample's: an input with a gradient a column.
    """
    cdef readonly tuple shape
    cdef int64_t size

    def __cinit__(self, tuple shape not None=()):
        self.size = size_of(shape)
        self.shape = shape
        self.identity = (shape,)

    cdef bint take(self, Arguments arguments, object arg) except -1:
        cdef Batch batch
        cdef Py_buffer view
        if not isinstance(arg, Batch):
            return False
        batch = <Batch>arg
        if batch.gradient is None or batch.shape() != self.shape:
            return False
        if arguments.n_samples not in (-1, batch.n_samples):
            return False
        if arguments.differentiable:
            if arguments.upstream is None:
                arguments.upstream = [None] * <Py_ssize_t>arguments.plan_memory.sizes.arrays
            arguments.upstream[arguments.n_arrays] = batch.as_upstream()
        # Its numbers must stay where they are while the call runs.
        PyObject_GetBuffer(batch.outputs, &view, 0)
        return arguments.take_array(&view, NULL, batch.n_samples, batch.n_outputs, True)

    cdef int count(self, Inputs inputs) except -1:
        if not inputs.batch:
            raise ValueError("only a batched function takes a Batch")
        inputs.batches.append((inputs.n_arrays, len(inputs.kinds), self.size))
        return inputs.add_array(self.size, True)

    cdef object placeholder(self, Trace trace):
        return nested(self.shape, trace.input)


cdef class NestedKind(Kind):
    """What holds other arguments: a list, tuple or dict of them."""
    cdef readonly tuple items   # their kinds
    cdef bint only_numbers      # all NumberKinds

    cdef int set_items(self, tuple items) except -1:
        for item in items:
            if not isinstance(item, Kind):
                raise TypeError(f"items must be Kinds, not {type(item).__name__!r}")
        self.items = items
        self.only_numbers = all([type(item) is NumberKind for item in items])
        return 0

    cdef int count(self, Inputs inputs) except -1:
        for item in self.items:
            (<Kind>item).count(inputs)
        if inputs.batch and self.is_numbers():
            inputs.lists = {*(inputs.lists or ()), len(self.items)}
        return 0

    cdef object placeholder(self, Trace trace):
        return self.filled([(<Kind>item).placeholder(trace) for item in self.items])

    cdef object filled(self, list items):
        """Such a container of these."""
        raise TypeError("a NestedKind without a class of its own has no arguments")

    cdef int add_classes(self, list found) except -1:
        for item in self.items:
            (<Kind>item).add_classes(found)
        return 0

    cdef bint take_items(self, Arguments arguments, object items) except -1:
        """Of a list or tuple."""
        cdef Py_ssize_t k = 0, n = PySequence_Fast_GET_SIZE(items)
        cdef tuple held
        if n != len(self.items):
            return False
        if self.only_numbers:   # floats run no code that could change a list
            while k < n and PyFloat_CheckExact(<object>PySequence_Fast_ITEMS(items)[k]):
                arguments.take_number(PyFloat_AS_DOUBLE(<object>PySequence_Fast_ITEMS(items)[k]))
                k += 1
        held = tuple(items) if k < n else None
        if held is not None and len(held) != n:
            return False
        while k < n:
            if not (<Kind>self.items[k]).take(arguments, held[k]):
                return False
            k += 1
        return True

    cdef bint are_numbers(self) except -1:
        for item in self.items:
            if not (<Kind>item).is_numbers():
                return False
        return len(self.items) > 0


@cython.final
cdef class ListKind(NestedKind):
    """A list, as long as it was."""
    def __cinit__(self, tuple items not None=()):
        self.set_items(items)
        self.identity = (items,)

    cdef bint take(self, Arguments arguments, object arg) except -1:
        return type(arg) is list and self.take_items(arguments, arg)

    cdef object filled(self, list items):
        return items

    cdef bint is_numbers(self) except -1:
        return self.are_numbers()


@cython.final
cdef class TupleKind(NestedKind):
    """A tuple, as long as it was."""
    def __cinit__(self, tuple items not None=()):
        self.set_items(items)
        self.identity = (items,)

    cdef bint take(self, Arguments arguments, object arg) except -1:
        return type(arg) is tuple and self.take_items(arguments, arg)

    cdef object filled(self, list items):
        return tuple(items)

    cdef bint is_numbers(self) except -1:
        return self.are_numbers()


@cython.final
cdef class DictKind(NestedKind):
    """A dict with the same words, of the same types and in the same order."""
    cdef readonly tuple words

    def __cinit__(self, tuple items not None=(), tuple words not None=()):
        if len(items) != len(words):
            raise ValueError("a dict has as many words as items")
        self.set_items(items)
        self.words = words
        self.identity = (items, words)

    cdef bint take(self, Arguments arguments, object arg) except -1:
        cdef tuple words
        cdef Py_ssize_t k
        if type(arg) is not dict:
            return False
        words, items = tuple(<dict>arg), tuple((<dict>arg).values())
        if len(words) != len(self.words):
            return False
        for k in range(len(words)):
            word = words[k]
            if word is not self.words[k] and (
                    type(word) is not type(self.words[k]) or word != self.words[k]):
                return False
        return self.take_items(arguments, items)

    cdef object filled(self, list items):
        return dict(zip(self.words, items))


cdef bint read_scalar(object array, double *number) except -1:
    """The number of an array of shape (); False where it is none."""
    cdef Py_buffer view
    cdef mf_elements elements
    if not open_array(array, &view, &elements):
        return False
    if view.ndim == 0:
        mf_read_elements(number, &elements)
    cdef bint found = view.ndim == 0
    PyBuffer_Release(&view)
    return found


cdef int64_t size_of(tuple shape) except -1:
    """How many numbers an array of that shape has, or at least more than there can be nodes."""
    cdef int64_t size = 1, n
    for n in shape:
        if n < 0:
            raise ValueError(f"no shape of an array: {shape!r}")
        size *= min(n, <int64_t>MF_MAX_NODES + 1)
        size = min(size, <int64_t>MF_MAX_NODES + 1)
    return size


def nested(tuple shape not None, next_value):
    """Values in the shape of an array: nested lists."""
    if not shape:
        return next_value()
    return [nested(shape[1:], next_value) for _ in range(shape[0])]


def numbers_only(Kind kind not None) -> bool:
    """Whether an argument of this kind is a list or tuple of plain numbers, or of such lists."""
    return isinstance(kind, NestedKind) and kind.is_numbers()
