# Batch: the results of a batched call. Needs call.pxi and results.pxi.

from cpython.number cimport PyNumber_Index


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


cdef class Batch:
    """The results of a batched call: one row a sample.

    `data` is a float64 array, samples first: shape (B,) where the function returns one Value, else
    (B, k) for its k Values in order. sum() and mean() over the samples, and single samples by
    index, are Values of the eager graph.
    """
    cdef Call call               # None: made under no_grad
    cdef bytearray outputs       # float64, the numbers of data
    cdef object array            # data, made when it is asked for
    cdef Value hub_value         # likewise
    cdef object rebuild
    cdef Py_ssize_t n_samples
    cdef int32_t n_outputs
    cdef object __weakref__

    def __init__(self, *args, **kwargs):
        raise TypeError("a Batch is what a batched function returns, it cannot be made")

    def __reduce__(self):
        raise TypeError("a Batch cannot be copied or pickled: take its data")

    def __getattr__(self, name):
        if name in ("backward", "grad", "item", "detach"):
            raise AttributeError(f"a Batch, one result a sample, has no {name!r}: its .mean() and "
                                 ".sum() are Values, and .data is the array of its numbers")
        raise AttributeError(f"'Batch' object has no attribute {name!r}")

    def _has_graph(self):
        """Whether gradient flows back through it."""
        return self.call is not None

    cdef double *numbers(self) except NULL:
        if self.outputs is None:
            raise RuntimeError("this Batch was not made by a call")
        return <double *><char *>self.outputs

    cdef tuple shape(self):
        """Of one sample's results."""
        return () if self.rebuild is None else (self.n_outputs,)

    cdef Value hub(self):
        """The node between the results and what the call read."""
        if self.hub_value is None:
            self.hub_value = hub_of(self.call)
        return self.hub_value

    cdef Value value(self, double data, int32_t output, Py_ssize_t sample, double count):
        if self.call is None or not records():
            return leaf_value(data)
        operands = self.call.operands() if self.call.fused and sample < 0 else [self.hub()]
        return step_result(self.call, operands, data, output, sample, count)

    cdef object reduced(self, bint mean):
        cdef const double *numbers = self.numbers()
        cdef double count = self.n_samples if mean else 1.0
        cdef int32_t k
        values = [self.value(row_sum(numbers + k, self.n_samples, self.n_outputs) / count,
                             k, -1, count) for k in range(self.n_outputs)]
        return values[0] if self.rebuild is None else self.rebuild(values)

    @property
    def data(self):
        """The numbers, float64: shape (B,), or (B, k) for k Values in order."""
        self.numbers()
        if self.array is None:
            import numpy

            self.array = numpy.ndarray((self.n_samples, *self.shape()), numpy.float64,
                                       self.outputs)
        return self.array

    def sum(self):
        """The sum over the samples: a Value, or the function's structure of Values."""
        return self.reduced(False)

    def mean(self):
        """The mean over the samples: a Value, or the function's structure of Values.

        nan for an empty batch, as NumPy's.
        """
        return self.reduced(True)

    def __len__(self):
        return self.n_samples

    def __getitem__(self, sample):
        """One sample's result. Raises IndexError out of range."""
        cdef const double *numbers = self.numbers()
        cdef object index = PyNumber_Index(sample)
        cdef Py_ssize_t k
        cdef int32_t j
        if not -self.n_samples <= index < self.n_samples:
            raise IndexError(f"sample {index} is out of range for a batch of {self.n_samples}")
        k = index if index >= 0 else index + self.n_samples
        values = [self.value(numbers[k * self.n_outputs + j], j, k, 1.0)
                  for j in range(self.n_outputs)]
        return values[0] if self.rebuild is None else self.rebuild(values)

    def __iter__(self):
        return map(self.__getitem__, range(self.n_samples))

    def __repr__(self):
        shape = ", ".join(str(n) for n in (self.n_samples, *self.shape()))
        return (f"Batch of {self.n_samples} samples, data of shape "
                f"({shape + ',' if self.rebuild is None else shape})")


Batch.__module__ = "micrograd_fast.compiler"
