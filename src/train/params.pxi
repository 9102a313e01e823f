# Lists of leaf Values as one object: zero_grad and the optimizers' steps as C loops over their data
# and grads. The formulas are PyTorch's (torch.optim.SGD, Adam, AdamW).

import array

from cpython cimport array
from libc.math cimport sqrt

from base.eval cimport MF_LEAF
from base.flush cimport mf_flush_off, mf_flush_on, mf_flushed
from engine.modes cimport mf_n_modes
from engine.store cimport mf_mark_filled
from engine.value_type cimport mf_value_complete
from run.kernels cimport mf_adam

cdef enum:
    ADAM_BLOCK = 512   # parameters whose numbers the kernel's two loops find in the first cache


cdef class Parameters:
    """A fixed list of distinct leaf Values, checked once.

    Raises TypeError for what is no Value or no sequence, ValueError for an empty list, a
    duplicate or a Value that is the result of an op; each message gives the position.
    """
    cdef readonly tuple values
    cdef IdRuns nodes   # by position

    def __cinit__(self, *args):
        self.nodes = IdRuns()
        self.values = ()

    def __init__(self, values):
        cdef IdRuns by_position = IdRuns()
        cdef Py_ssize_t k
        if isinstance(values, Value):
            raise TypeError("params must be a list of Values, not one Value")
        cdef tuple found = tuple(values)   # ours once all is well
        if not found:
            raise ValueError("params is empty: there is nothing to optimize")
        seen = {}   # by node: a subclass may compare and hash as it likes
        for k, p in enumerate(found):
            if not isinstance(p, Value):
                raise TypeError(f"params[{k}] must be a Value, not {type(p).__name__!r}")
            mf_value_complete(p)
            if store.nodes[(<Value>p).id].op != MF_LEAF:
                raise ValueError(f"params[{k}] is not a leaf but the result of "
                                 f"{op_text(p) or 'a custom op'!r}")
            if (<Value>p).id in seen:
                raise ValueError(f"params[{k}] is the same Value as params[{seen[(<Value>p).id]}]")
            seen[(<Value>p).id] = k
        for k, p in enumerate(found):
            mf_mark_filled(&store, (<Value>p).id)   # from now on it stays the node that it is
            by_position.add((<Value>p).id, <int32_t>k)
        self.values, self.nodes = found, by_position

    cdef int check(self, str what) except -1:
        if mf_n_modes and self.values:
            check_readable((<Value>self.values[0]).id, what)
        return 0

    def __len__(self):
        return len(self.values)

    def __reduce__(self):
        return Parameters, (self.values,)

    def zero_grad(self):
        """Sets every grad to 0."""
        self.check("zero_grad()")
        self.nodes.clear_grads()

    def sgd_step(self, array.array velocity, bint started, double lr, double momentum,
                 double dampening, double weight_decay, bint nesterov, bint maximize):
        """One step of SGD. velocity: one float64 a parameter, or None without momentum."""
        cdef Py_ssize_t k, j
        cdef double g, sign = -1.0 if maximize else 1.0
        cdef double *v = NULL
        cdef double *data
        cdef const double *grad
        cdef id_run run
        cdef unsigned before
        self.check("an optimizer's step()")
        if momentum != 0.0:
            v = checked_buffer(self, velocity)
        before = mf_flush_on()   # nothing below raises or runs other code
        for k in range(self.nodes.block.n):
            run = self.nodes.runs()[k]
            data, grad = store.data + run.id, store.grad + run.id
            if v is NULL and weight_decay == 0.0:
                for j in range(run.n):
                    data[j] -= sign * lr * grad[j]
                continue
            for j in range(run.n):
                g = sign * grad[j]
                if weight_decay != 0.0:   # 0 times an infinite parameter would be nan
                    g += weight_decay * data[j]
                if v is not NULL:
                    v[run.first + j] = mf_flushed(
                        momentum * v[run.first + j] + (1.0 - dampening) * g if started else g)
                    g = g + momentum * v[run.first + j] if nesterov else v[run.first + j]
                data[j] -= lr * g
        mf_flush_off(before)

    def adam_step(self, array.array mean, array.array square, array.array largest, double step,
                  double lr, double beta1, double beta2, double eps, double weight_decay,
                  bint decoupled, bint maximize):
        """Step number `step` (from 1) of Adam, or of AdamW where decoupled.

        mean, square: one float64 a parameter; largest: the same for amsgrad, else None.
        """
        cdef Py_ssize_t k
        cdef int32_t n
        cdef id_run run
        cdef mf_adam a
        self.check("an optimizer's step()")
        cdef double *m = checked_buffer(self, mean)
        cdef double *v = checked_buffer(self, square)
        cdef double *top = checked_buffer(self, largest) if largest is not None else NULL
        a.beta1, a.beta2, a.eps = beta1, beta2, eps
        a.sign = -1.0 if maximize else 1.0
        a.decay = 0.0 if decoupled else weight_decay
        a.shrink = 1.0 - lr * weight_decay if decoupled else 1.0
        a.step = lr / (1.0 - beta1**step)
        a.scale = 1.0 / sqrt(1.0 - beta2**step)
        cdef unsigned before = mf_flush_on()   # as above
        for k in range(self.nodes.block.n):
            run = self.nodes.runs()[k]
            while run.n > 0:
                n = min(<int32_t>ADAM_BLOCK, run.n)
                kernels.adam(n, &a, store.grad + run.id, store.data + run.id, m + run.first,
                             v + run.first, top + run.first if top is not NULL else NULL)
                run.id, run.first, run.n = run.id + n, run.first + n, run.n - n
        mf_flush_off(before)


cdef double *checked_buffer(Parameters params, array.array buffer) except NULL:
    if buffer is None or buffer.ob_descr.typecode != b"d" or len(buffer) != len(params):
        raise ValueError(f"the optimizer's state must hold {len(params)} float64 numbers")
    return buffer.data.as_doubles


def copy_numbers(list values, buffer, str what):
    """what='data' or 'grad': fills a float64 buffer from the Values; 'write': their data from it.

    Raises TypeError if an item is no Value, ValueError where the buffer does not hold as many
    numbers as there are Values; before anything is written.
    """
    cdef tuple items = tuple(values)   # the buffer may be anybody's, its exporter run any code
    cdef Py_ssize_t k, size, n = len(items)
    cdef double *numbers
    cdef const unsigned char[::1] source
    cdef unsigned char[::1] target
    for v in items:
        if not isinstance(v, Value):
            raise TypeError(f"parameters must be Values, one is {type(v).__name__!r}")
        check_value(<Value>v, "reading or writing parameters")
    if what == "write":
        source = memoryview(buffer).cast("B")
        size = len(source)
    else:
        target = memoryview(buffer).cast("B")
        size = len(target)
    if size != n * <Py_ssize_t>sizeof(double):
        raise ValueError(f"the buffer holds {size} bytes, {n} Values need {n} float64 numbers")
    if n == 0:
        return
    numbers = <double *>&source[0] if what == "write" else <double *>&target[0]
    for k in range(n):
        if what == "write":
            store.data[(<Value>items[k]).id] = numbers[k]
        elif what == "data":
            numbers[k] = store.data[(<Value>items[k]).id]
        else:
            numbers[k] = store.grad[(<Value>items[k]).id]
