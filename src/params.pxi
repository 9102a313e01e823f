# Lists of leaf Values as one object: zero_grad and the optimizers' steps as C loops over their
# records. The formulas are PyTorch's (torch.optim.SGD, Adam, AdamW). Needs value.pxi.
#
# A training step goes over all records four times: compiled calls from the first to the last, these
# loops from the last to the first, so that each finds in cache what the one before touched last.

from cpython cimport array
import array

from libc.math cimport sqrt

cdef enum:
    ADAM_BLOCK = 256   # parameters that a kernel takes at a time


cdef class Parameters:
    """A fixed list of distinct leaf Values, checked once.

    Raises TypeError for what is no Value or no sequence, ValueError for an empty list, a
    duplicate or a Value that is the result of an op; each message gives the position.
    """
    cdef readonly tuple values
    cdef array.array ids

    def __init__(self, values):
        cdef array.array ids
        cdef Py_ssize_t k
        if isinstance(values, Value):
            raise TypeError("params must be a list of Values, not one Value")
        self.values = tuple(values)
        if not self.values:
            raise ValueError("params is empty: there is nothing to optimize")
        seen = {}
        for k, p in enumerate(self.values):
            if not isinstance(p, Value):
                raise TypeError(f"params[{k}] must be a Value, not {type(p).__name__!r}")
            if nodes[(<Value>p).id].op != MF_LEAF:
                raise ValueError(f"params[{k}] is not a leaf but the result of "
                                 f"{op_text(p) or 'a custom op'!r}")
            if p in seen:
                raise ValueError(f"params[{k}] is the same Value as params[{seen[p]}]")
            seen[p] = k
        ids = array.array("i", bytes(4 * len(self.values)))
        for k, p in enumerate(self.values):
            nodes[(<Value>p).id].flags &= ~MF_F_BLANK   # from now on it stays the node that it is
            ids.data.as_ints[k] = (<Value>p).id
        self.ids = ids

    def __len__(self):
        return len(self.ids)

    def __reduce__(self):
        return Parameters, (self.values,)

    def zero_grad(self):
        """Sets every grad to 0."""
        cdef Py_ssize_t k
        cdef const int *ids = self.ids.data.as_ints
        if mf_n_special:
            check_readable((<Value>self.values[0]).id, "zero_grad()")
        for k in range(<Py_ssize_t>len(self.ids) - 1, -1, -1):   # see the head of this file
            node_grad[ids[k]] = 0.0

    def sgd_step(self, array.array velocity, bint started, double lr, double momentum,
                 double dampening, double weight_decay, bint nesterov, bint maximize):
        """One step of SGD. velocity: one float64 a parameter, or None without momentum."""
        cdef Py_ssize_t k
        cdef double g
        cdef double *v = NULL
        cdef int32_t id
        cdef const int *ids = self.ids.data.as_ints
        if mf_n_special:
            check_readable((<Value>self.values[0]).id, "an optimizer's step()")
        if momentum != 0.0:
            v = checked_buffer(self, velocity)
        for k in range(<Py_ssize_t>len(self.ids) - 1, -1, -1):
            id = ids[k]
            g = -node_grad[id] if maximize else node_grad[id]
            if weight_decay != 0.0:   # 0 times an infinite parameter would be nan
                g += weight_decay * node_data[id]
            if v is not NULL:
                v[k] = momentum * v[k] + (1.0 - dampening) * g if started else g
                g = g + momentum * v[k] if nesterov else v[k]
            node_data[id] -= lr * g

    def adam_step(self, array.array mean, array.array square, array.array largest, double step,
                  double lr, double beta1, double beta2, double eps, double weight_decay,
                  bint decoupled, bint maximize):
        """Step number `step` (from 1) of Adam, or of AdamW where decoupled.

        mean, square: one float64 a parameter; largest: the same for amsgrad, else None.
        """
        cdef Py_ssize_t k, start, n, n_params = len(self.ids)
        cdef mf_adam a
        cdef double grads[ADAM_BLOCK]
        cdef double data[ADAM_BLOCK]
        if mf_n_special:
            check_readable((<Value>self.values[0]).id, "an optimizer's step()")
        cdef double *m = checked_buffer(self, mean)
        cdef double *v = checked_buffer(self, square)
        cdef double *top = checked_buffer(self, largest) if largest is not None else NULL
        cdef const int *ids = self.ids.data.as_ints
        a.beta1, a.beta2, a.eps = beta1, beta2, eps
        a.sign = -1.0 if maximize else 1.0
        a.decay = 0.0 if decoupled else weight_decay
        a.shrink = 1.0 - lr * weight_decay if decoupled else 1.0
        a.step = lr / (1.0 - beta1**step)
        a.scale = 1.0 / sqrt(1.0 - beta2**step)
        for start in range((n_params - 1) // ADAM_BLOCK * ADAM_BLOCK, -1, -ADAM_BLOCK):
            n = min(<Py_ssize_t>ADAM_BLOCK, n_params - start)
            for k in range(n):
                grads[k] = node_grad[ids[start + k]]
                data[k] = node_data[ids[start + k]]
            kernels.adam(n, &a, grads, data, m + start, v + start,
                         top + start if top is not NULL else NULL)
            for k in range(n):
                node_data[ids[start + k]] = data[k]


cdef double *checked_buffer(Parameters params, array.array buffer) except NULL:
    if buffer is None or buffer.ob_descr.typecode != b"d" or len(buffer) != len(params.ids):
        raise ValueError(f"the optimizer's state must hold {len(params.ids)} float64 numbers")
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
        check_readable((<Value>v).id, "reading or writing parameters")
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
            node_data[(<Value>items[k]).id] = numbers[k]
        elif what == "data":
            numbers[k] = node_data[(<Value>items[k]).id]
        else:
            numbers[k] = node_grad[(<Value>items[k]).id]
