# Lists of leaf Values as one object: zero_grad and the optimizers' steps as C loops over their data
# and grads. The formulas are PyTorch's (torch.optim.SGD, Adam, AdamW, RMSprop, Adagrad).

import array

from cpython cimport array
from libc.math cimport sqrt

from base.absent cimport MF_ABSENT, mf_is_absent, mf_present
from base.eval cimport MF_LEAF
from base.flush cimport mf_flush_off, mf_flush_on, mf_flushed
from engine.modes cimport mf_n_modes
from engine.store cimport mf_mark_filled
from engine.value_type cimport mf_value_complete
from run.kernels cimport mf_adagrad, mf_adam, mf_rmsprop

cdef enum:
    STEP_BLOCK = 512   # parameters whose numbers a kernel's loops find in the first cache


cdef class Parameters:
    """A fixed list of distinct leaf Values, checked once.

    Raises TypeError for what is no Value or no sequence, ValueError for an empty list, a
    duplicate or a Value that is the result of an op; each message gives the position.
    """
    cdef readonly tuple values
    cdef IdRuns nodes       # by position
    cdef IdRuns live        # those that are not frozen
    cdef IdRuns stepped     # of these, those with a gradient: what a step changes
    cdef int64_t looked_at  # n_freezes when live was made; 0: never

    def __cinit__(self, *args):
        self.nodes = self.live = self.stepped = IdRuns()
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
        self.live = self.stepped = by_position
        self.looked_at = 0

    cdef int look(self) except -1:
        """Finds out which parameters are frozen, where any Value's requires_grad was set."""
        cdef int64_t now = n_freezes
        cdef Py_ssize_t k
        cdef tuple values = self.values   # a subclass's requires_grad may run any code
        cdef list live
        if self.looked_at == now:
            return 0
        live = [k for k in range(len(values)) if not is_frozen(<Value>values[k])]
        if self.values is not values:
            raise RuntimeError("the parameters were made again while their requires_grad was read")
        if len(live) == len(values):
            self.live = self.nodes
        else:
            self.live = IdRuns()
            for k in live:
                self.live.add((<Value>values[k]).id, <int32_t>k)
        self.looked_at = now
        return 0

    cdef int choose(self) except -1:
        """Finds out which of the live parameters have a gradient."""
        cdef id_run run
        cdef Py_ssize_t k
        cdef int32_t j
        cdef IdRuns found
        self.stepped = self.live
        for k in range(self.live.block.n):
            run = self.live.runs()[k]
            if kernels.any_absent(run.n, store.grad + run.id):
                break
        else:
            return 0
        found = IdRuns()
        for k in range(self.live.block.n):
            run = self.live.runs()[k]
            for j in range(run.n):
                if not mf_is_absent(store.grad[run.id + j]):
                    found.add(run.id + j, run.first + j)
        self.stepped = found
        return 0

    def leaves_out(self):
        """Whether a step now leaves out any of the parameters: its requires_grad is false, or it
        has no gradient."""
        self.begin()
        return self.stepped is not self.nodes

    cdef int check(self, str what) except -1:
        if mf_n_modes and self.values:
            check_readable((<Value>self.values[0]).id, what)
        return 0

    def __len__(self):
        return len(self.values)

    def __reduce__(self):
        return Parameters, (self.values,)

    def zero_grad(self, bint set_to_none=False):
        """Sets every grad to 0. set_to_none: and there is none until backward() comes there."""
        self.check("zero_grad()")
        self.nodes.fill_grads(MF_ABSENT if set_to_none else 0.0)

    cdef int begin(self) except -1:
        """What comes first in a step: code of a subclass may run here, and nowhere after it."""
        self.check("an optimizer's step()")
        self.look()
        return self.choose()

    cdef void end(self, unsigned before, double *ages) noexcept:
        cdef Py_ssize_t k, j
        cdef id_run run
        mf_flush_off(before)
        if ages is NULL:
            return
        for k in range(self.stepped.block.n):
            run = self.stepped.runs()[k]
            for j in range(run.n):
                ages[run.first + j] += 1.0

    def sgd_step(self, array.array velocity, array.array ages, bint started, double lr,
                 double momentum, double dampening, double weight_decay, bint nesterov,
                 bint maximize):
        """One step of SGD. velocity: one float64 a parameter, or None without momentum.

        ages: None where all parameters have made the same number of steps, for all that are
        stepped; else that number of each, counted on here: in place of `started`.
        """
        cdef Py_ssize_t k, j
        cdef double g, sign = -1.0 if maximize else 1.0
        cdef double *v = NULL
        cdef double *data
        cdef const double *grad
        cdef id_run run
        self.begin()
        cdef double *age = checked_ages(self, ages)
        if momentum != 0.0:
            v = checked_buffer(self, velocity)
        cdef unsigned before = mf_flush_on()   # nothing below raises or runs other code
        for k in range(self.stepped.block.n):
            run = self.stepped.runs()[k]
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
                    if age is not NULL:
                        started = age[run.first + j] > 0.0
                    v[run.first + j] = mf_flushed(
                        momentum * v[run.first + j] + (1.0 - dampening) * g if started else g)
                    g = g + momentum * v[run.first + j] if nesterov else v[run.first + j]
                data[j] -= lr * g
        self.end(before, age)

    def adam_step(self, array.array mean, array.array square, array.array largest,
                  array.array ages, double step, double lr, double beta1, double beta2, double eps,
                  double weight_decay, bint decoupled, bint maximize):
        """Step number `step` (from 1) of Adam, or of AdamW where decoupled.

        mean, square: one float64 a parameter; largest: the same for amsgrad, else None; ages: as
        above, in place of step.
        """
        cdef Py_ssize_t k
        cdef int32_t n
        cdef id_run run
        cdef mf_adam a
        self.begin()
        cdef double *m = checked_buffer(self, mean)
        cdef double *v = checked_buffer(self, square)
        cdef double *top = checked_buffer(self, largest) if largest is not None else NULL
        cdef double *age = checked_ages(self, ages)
        a.beta1, a.beta2, a.eps = beta1, beta2, eps
        a.sign = -1.0 if maximize else 1.0
        a.decay = 0.0 if decoupled else weight_decay
        a.shrink = 1.0 - lr * weight_decay if decoupled else 1.0
        a.step = lr / (1.0 - beta1**step)
        a.scale = 1.0 / sqrt(1.0 - beta2**step)
        cdef unsigned before = mf_flush_on()   # nothing below raises or runs other code
        for k in range(self.stepped.block.n):
            run = self.stepped.runs()[k]
            while run.n > 0:
                n = alike(&run, age)
                if age is not NULL:
                    step = age[run.first] + 1.0
                    a.step = lr / (1.0 - beta1**step)
                    a.scale = 1.0 / sqrt(1.0 - beta2**step)
                kernels.adam(n, &a, store.grad + run.id, store.data + run.id, m + run.first,
                             v + run.first, top + run.first if top is not NULL else NULL)
                run.id, run.first, run.n = run.id + n, run.first + n, run.n - n
        self.end(before, age)

    def rmsprop_step(self, array.array square, array.array mean, array.array velocity, double lr,
                     double alpha, double eps, double weight_decay, double momentum,
                     bint maximize):
        """One step of RMSprop: square, and mean where centered, velocity with momentum, else None;
        one float64 a parameter each."""
        cdef Py_ssize_t k
        cdef int32_t n
        cdef id_run run
        cdef mf_rmsprop a
        self.begin()
        cdef double *s = checked_buffer(self, square)
        cdef double *m = checked_buffer(self, mean) if mean is not None else NULL
        cdef double *v = checked_buffer(self, velocity) if velocity is not None else NULL
        a.alpha, a.eps, a.lr, a.momentum = alpha, eps, lr, momentum
        a.sign, a.decay = -1.0 if maximize else 1.0, weight_decay
        cdef unsigned before = mf_flush_on()   # nothing below raises or runs other code
        for k in range(self.stepped.block.n):
            run = self.stepped.runs()[k]
            while run.n > 0:
                n = alike(&run, NULL)
                kernels.rmsprop(n, &a, store.grad + run.id, store.data + run.id, s + run.first,
                                m + run.first if m is not NULL else NULL,
                                v + run.first if v is not NULL else NULL)
                run.id, run.first, run.n = run.id + n, run.first + n, run.n - n
        self.end(before, NULL)

    def adagrad_step(self, array.array total, array.array ages, double step, double lr,
                     double lr_decay, double eps, double weight_decay, bint maximize):
        """Step number `step` (from 1) of Adagrad; total: one float64 a parameter; ages: as above,
        in place of step."""
        cdef Py_ssize_t k
        cdef int32_t n
        cdef id_run run
        cdef mf_adagrad a
        self.begin()
        cdef double *s = checked_buffer(self, total)
        cdef double *age = checked_ages(self, ages)
        a.sign, a.decay, a.eps = -1.0 if maximize else 1.0, weight_decay, eps
        a.step = lr / (1.0 + (step - 1.0) * lr_decay)
        cdef unsigned before = mf_flush_on()   # nothing below raises or runs other code
        for k in range(self.stepped.block.n):
            run = self.stepped.runs()[k]
            while run.n > 0:
                n = alike(&run, age)
                if age is not NULL:
                    a.step = lr / (1.0 + age[run.first] * lr_decay)
                kernels.adagrad(n, &a, store.grad + run.id, store.data + run.id, s + run.first)
                run.id, run.first, run.n = run.id + n, run.first + n, run.n - n
        self.end(before, age)


cdef int32_t alike(const id_run *run, const double *ages) noexcept:
    """How many parameters from the first of the run a kernel takes: all of one age."""
    cdef int32_t n = 1, most = min(<int32_t>STEP_BLOCK, run.n)
    if ages is NULL:
        return most
    while n < most and ages[run.first + n] == ages[run.first]:
        n += 1
    return n


cdef double *checked_ages(Parameters params, array.array ages) except? NULL:
    return NULL if ages is None else checked_buffer(params, ages)


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
            numbers[k] = mf_present(store.grad[(<Value>items[k]).id])
