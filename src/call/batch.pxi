# Batch: the results of a batched call, or some of them.
#
# What a slice or a list of samples picks is a Batch over the same call: its numbers are a copy, its
# `samples` say which ones of the call they are. Arithmetic is a batched function of one op, which
# batches.py compiles and lends.

from cpython.bytearray cimport PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.number cimport PyIndex_Check, PyNumber_Index


cdef double row_sum(const double *a, Py_ssize_t n, Py_ssize_t stride) noexcept nogil:
    """a[0] + a[stride] + ..., by halves, so that the error grows with the logarithm of n."""
    cdef double s[8]
    cdef double total = 0.0
    cdef Py_ssize_t k, j, half = (n // 2) & ~7
    if n > 256:
        return row_sum(a, half, stride) + row_sum(a + half * stride, n - half, stride)
    memset(s, 0, sizeof(s))
    for k in range(0, n - 7, 8):
        for j in range(8):
            s[j] += a[(k + j) * stride]
    for k in range(n & ~7, n):
        total += a[k * stride]
    return total + (((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])))


cdef object elementwise = None   # lent: elementwise(op, *operands), a Batch


def set_elementwise(function) -> None:
    """Lends what does arithmetic on Batches, see micrograd_fast/batches.py."""
    global elementwise
    elementwise = function


cdef object GenericAlias = type(list.__class_getitem__(int))   # Batch[Value] in annotations


cdef class Batch:
    """Batch(*args, **kwargs)\n--\n\nThe results of a batched call: one row a sample.

    `data` is a float64 array, samples first: shape (B,) where the function returns one Value, else
    (B, k) for its k Values in order. sum() and mean() over the samples, and single samples by
    index, are Values of the eager graph. A slice, a list of samples or a mask gives a Batch of
    these samples; arithmetic goes sample by sample, with Batches, numbers, Values and arrays.
    """
    cdef Gradient gradient       # None: made under no_grad
    cdef bytearray outputs       # float64, the numbers of data
    cdef object array            # data, made when it is asked for
    cdef list pullback_values    # made when they are asked for, one for each group of results
    cdef Batch whole             # all samples of the call, where these are some
    cdef bytes samples           # and which of them these are, Py_ssize_t; else None
    cdef object rebuild
    cdef Py_ssize_t n_samples
    cdef int32_t n_outputs
    cdef object __weakref__

    def __init__(self, *args, **kwargs):
        raise TypeError("a Batch is what a batched function returns, it cannot be made")

    def __reduce__(self):
        raise TypeError("a Batch cannot be copied or pickled: take its data")

    def __getattr__(self, name):
        if name in ("backward", "grad", "detach"):
            raise AttributeError(f"a Batch, one result a sample, has no {name!r}: its .mean() and "
                                 ".sum() are Values, and .data is the array of its numbers")
        raise AttributeError(f"'Batch' object has no attribute {name!r}")

    def _has_graph(self):
        """Whether gradient flows back through it."""
        return self.gradient is not None

    cdef double *numbers(self) except NULL:
        if self.outputs is None:
            raise RuntimeError("this Batch was not made by a call")
        return <double *><char *>self.outputs

    cdef tuple shape(self):
        """Of one sample's results."""
        return () if self.rebuild is None else (self.n_outputs,)

    cdef list pullbacks(self):
        """The nodes between the results and what they depend on."""
        if self.whole is not None:
            return self.whole.pullbacks()
        if self.pullback_values is None:
            self.pullback_values = new_pullbacks(self.gradient)
        return self.pullback_values

    cdef Upstream as_upstream(self):
        """What a call that has this as an argument keeps of it."""
        cdef Upstream upstream = Upstream.__new__(Upstream)
        upstream.gradient = self.gradient
        upstream.samples = self.samples
        upstream.pullbacks = self.pullbacks()
        return upstream

    cdef Value value(self, double data, int32_t output, Py_ssize_t sample, double count):
        cdef bytes samples = self.samples
        if self.gradient is None or not records():
            return leaf_value(data)
        if sample >= 0 and samples is not None:
            sample, samples = numbers_of(samples)[sample], None
        if self.gradient.fused and sample < 0 and samples is None:
            return result_value(self.gradient, self.gradient.operands(output), data, output, -1,
                                count)
        pullback = self.pullbacks()[self.gradient.group(output)]
        return result_value(self.gradient, [pullback], data, output, sample, count, samples)

    cdef object reduced(self, bint mean):
        cdef const double *numbers = self.numbers()
        cdef double count = self.n_samples if mean else 1.0
        cdef int32_t k
        values = [self.value(row_sum(numbers + k, self.n_samples, self.n_outputs) / count,
                             k, -1, count) for k in range(self.n_outputs)]
        return values[0] if self.rebuild is None else self.rebuild(values)

    cdef object sample(self, object index):
        cdef const double *numbers = self.numbers()
        cdef Py_ssize_t k
        cdef int32_t j
        if not -self.n_samples <= index < self.n_samples:
            raise IndexError(f"sample {index} is out of range for a batch of {self.n_samples}")
        k = index if index >= 0 else index + self.n_samples
        values = [self.value(numbers[k * self.n_outputs + j], j, k, 1.0)
                  for j in range(self.n_outputs)]
        return values[0] if self.rebuild is None else self.rebuild(values)

    cdef Batch some(self, object samples):
        """The Batch of these samples, ints from -n to n - 1."""
        cdef Batch part = Batch.__new__(Batch)
        cdef const double *numbers = self.numbers()
        cdef const Py_ssize_t *own = numbers_of(self.samples)
        cdef Py_ssize_t n = len(samples), b, k
        cdef size_t size = 8 * <size_t>self.n_outputs
        cdef bytes picked = PyBytes_FromStringAndSize(NULL, n * <Py_ssize_t>sizeof(Py_ssize_t))
        cdef Py_ssize_t *number = <Py_ssize_t *><char *>picked
        part.outputs = PyByteArray_FromStringAndSize(NULL, bytes_of(n, self.n_outputs))
        for b in range(n):
            index = samples[b]
            if not -self.n_samples <= index < self.n_samples:
                raise IndexError(f"sample {index} is out of range for a batch of {self.n_samples}")
            k = index if index >= 0 else index + self.n_samples
            memcpy(<char *>part.outputs + b * size, numbers + k * self.n_outputs, size)
            number[b] = own[k] if own is not NULL else k
        part.gradient = self.gradient
        part.whole = self.whole if self.whole is not None else self
        part.samples = picked
        part.rebuild = self.rebuild
        part.n_samples = n
        part.n_outputs = self.n_outputs
        return part

    @property
    def data(self):
        """The numbers, float64: shape (B,), or (B, k) for k Values in order. Read-only: gradients
        are those of the call, whatever were written here."""
        self.numbers()
        if self.array is None:
            import numpy

            self.array = numpy.ndarray((self.n_samples, *self.shape()), numpy.float64,
                                       self.outputs)
            self.array.flags.writeable = False
        return self.array

    @cython.embedsignature(True)
    def sum(self, axis=None, dtype=None, out=None):
        """The sum over the samples: a Value, or the function's structure of Values.

        The arguments are those that numpy.sum gives; only axis, 0 or None, is taken.
        """
        check_reduction("sum", axis, dtype, out)
        return self.reduced(False)

    @cython.embedsignature(True)
    def mean(self, axis=None, dtype=None, out=None):
        """The mean over the samples: a Value, or the function's structure of Values.

        nan for an empty batch, as NumPy's. The arguments are those that numpy.mean gives; only
        axis, 0 or None, is taken.
        """
        check_reduction("mean", axis, dtype, out)
        return self.reduced(True)

    @cython.embedsignature(True)
    def item(self):
        """The number of a Batch of one, as NumPy's and PyTorch's arrays give it.

        Raises ValueError for a Batch of none or of several numbers.
        """
        cdef const double *numbers = self.numbers()
        if self.n_samples * <Py_ssize_t>self.n_outputs != 1:
            raise ValueError(f"item() of a Batch of {self.n_samples * <Py_ssize_t>self.n_outputs} "
                             "numbers: of one alone; .data is the array of all")
        return numbers[0]

    def __array__(self, dtype=None, copy=None):
        data = self.data
        if dtype is not None and data.dtype != dtype:
            if copy is False:
                raise ValueError(f"a Batch's numbers are float64, as {dtype} they must be copied")
            return data.astype(dtype)
        return data.copy() if copy else data

    def __array_ufunc__(self, function, method, *operands, **options):
        if method != "__call__" or options:
            raise TypeError(f"numpy.{function.__name__}.{method} does not go through the graph of "
                            "a Batch: .sum() and .mean() do, .data is an array")
        return elementwise(function.__name__, *operands)

    def __array_function__(self, function, types, args, kwargs):
        from micrograd_fast.batches import numpy_function

        return numpy_function(function, args, kwargs)

    def __len__(self):
        return self.n_samples

    def __getitem__(self, index):
        """One sample's result, or a Batch of those that a slice, a list of ints or a mask picks.

        Raises IndexError out of range, TypeError for another index.
        """
        if isinstance(index, slice):
            return self.some(range(*index.indices(self.n_samples)))
        if PyIndex_Check(index) and not hasattr(index, "__len__") and not isinstance(index, bool):
            return self.sample(PyNumber_Index(index))
        return self.some(picked_samples(index, self.n_samples))

    def __iter__(self):
        return map(self.__getitem__, range(self.n_samples))

    def __repr__(self):
        import numpy

        samples = f"{self.n_samples} sample{'' if self.n_samples == 1 else 's'}"
        numbers = numpy.array2string(self.data, separator=", ", threshold=20)
        return f"Batch of {samples}, data of shape {self.data.shape}:\n{numbers}"

    @classmethod
    def __class_getitem__(cls, item):
        """Batch[R], for annotations."""
        return GenericAlias(cls, item)

    def __neg__(self):
        return elementwise("negative", self)

    def __pos__(self):
        return self

    def __abs__(self):
        return elementwise("absolute", self)

    def __add__(self, other):
        return elementwise("add", self, other)

    def __radd__(self, other):
        return elementwise("add", other, self)

    def __sub__(self, other):
        return elementwise("subtract", self, other)

    def __rsub__(self, other):
        return elementwise("subtract", other, self)

    def __mul__(self, other):
        return elementwise("multiply", self, other)

    def __rmul__(self, other):
        return elementwise("multiply", other, self)

    def __truediv__(self, other):
        return elementwise("divide", self, other)

    def __rtruediv__(self, other):
        return elementwise("divide", other, self)

    def __pow__(self, other, modulus):
        if modulus is not None:
            raise TypeError("pow() of a Batch takes no modulus")
        return elementwise("power", self, other)

    def __rpow__(self, other, modulus):
        return elementwise("power", other, self)


cdef object picked_samples(object index, Py_ssize_t n):
    """The samples that a list or array of ints or bools names."""
    import numpy

    from micrograd_fast.arguments import refuse_masked

    if not isinstance(index, (list, numpy.ndarray)):
        raise TypeError("a Batch is indexed by sample: an int, a slice, a list or array of ints or "
                        f"bools, not {type(index).__name__!r}; .data is an array")
    refuse_masked(index, "the index of a Batch")
    array = numpy.asarray(index)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "biu"):
        raise TypeError("a Batch is indexed by a list or array of ints or bools, one a sample, not "
                        f"by one of shape {array.shape} and dtype {array.dtype}")
    if array.dtype.kind == "b":
        if len(array) != n:
            raise IndexError(f"a mask of {len(array)} bools for a batch of {n} samples")
        return numpy.flatnonzero(array).tolist()
    return array.tolist()


cdef int check_reduction(str name, object axis, object dtype, object out) except -1:
    if dtype is not None or out is not None:
        raise TypeError(f"{name}() of a Batch gives Values: no dtype and no out")
    if axis is not None and (isinstance(axis, bool) or axis != 0):
        raise ValueError(f"{name}() of a Batch goes over the samples, axis 0, not {axis!r}: .data "
                         "is an array")
    return 0


cdef Batch batch_of(Gradient gradient, bytearray outputs, Py_ssize_t n_samples, int32_t n_outputs,
                    object rebuild):
    """All results of a call."""
    cdef Batch batch = Batch.__new__(Batch)
    batch.gradient = gradient
    batch.outputs = outputs
    batch.n_samples = n_samples
    batch.n_outputs = n_outputs
    batch.rebuild = rebuild
    return batch


Batch.__module__ = "micrograd_fast.compiler"
