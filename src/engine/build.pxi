# Many nodes in one call: the graphs that Python's operators would build, without a Value for every
# step.
#
# Each function first looks at its operands; where an operand is of a subclass, an operator was
# replaced or ops do not record, it runs the same formula through the operators of Python instead.
# Between the look and the last node no Python code runs, so nothing can change the lists: the
# Value of the result, whose allocation may collect garbage, is made before.

from itertools import islice

from cpython.sequence cimport PySequence_Fast, PySequence_Fast_GET_SIZE, PySequence_Fast_ITEMS

from base.eval cimport MF_ADD, MF_MUL, mf_forward_of, mf_forward_quick
from engine.node cimport MF_NONE
from engine.store cimport mf_leaf_new, mf_node_new, mf_node_release, mf_node_use
from engine.value_type cimport mf_operators_replaced


cdef bint plain_values(object values, Py_ssize_t n) except -1:
    """True if the first n items are all Values that C may combine on its own."""
    cdef PyObject **items = PySequence_Fast_ITEMS(values)
    cdef Py_ssize_t k
    for k in range(n):
        if type(<object>items[k]) is not Value:
            return False
    return True


cdef bint plain_operands(object values, Py_ssize_t n) except -1:
    """True if the first n items are Values that C may combine on its own, floats or ints. Raises
    OverflowError for an int that is too large, before there is any node."""
    cdef PyObject **items = PySequence_Fast_ITEMS(values)
    cdef Py_ssize_t k
    for k in range(n):
        if type(<object>items[k]) is Value:
            continue
        if PyLong_Check(<object>items[k]):
            PyLong_AsDouble(<object>items[k])
        elif not PyFloat_Check(<object>items[k]):
            return False
    return True


cdef inline bint c_may_build() noexcept:
    return records() and not mf_operators_replaced()


cdef inline int32_t then(int32_t x, int32_t y, int op) noexcept nogil:
    """x op y for ops that cannot fail; takes over the caller's use of x. MF_NONE stays MF_NONE."""
    cdef double z = 0.0
    cdef int32_t id
    if x < 0:
        return MF_NONE
    mf_forward_quick(op, store.data[x], store.data[y] if y >= 0 else 0.0, &z)
    id = mf_node_new(&store, z, x, y, op)
    mf_node_release(&store, x)
    return id


cdef inline int32_t then_use(int32_t x, int32_t y, int op) noexcept nogil:
    """x op y for ops that cannot fail; takes over the caller's uses of x and of y."""
    cdef int32_t id = MF_NONE
    if y >= 0:
        id = then(x, y, op)
        mf_node_release(&store, y)
    elif x >= 0:
        mf_node_release(&store, x)
    return id


cdef inline int32_t operand_use(PyObject *item) except -2:
    """A use of a Value's node, or of a new leaf for a number; MF_NONE: no memory."""
    if type(<object>item) is Value:
        return mf_node_use(&store, (<Value>item).id)
    return mf_leaf_new(&store, as_number(<object>item, "operand"))


cdef int32_t weighted_sum(int32_t acc, PyObject **w, PyObject **x, Py_ssize_t n) except -2:
    """acc + w0*x0 + w1*x1 + ...; takes over one use of acc (MF_NONE: starts with w0*x0)."""
    cdef Py_ssize_t k
    cdef int32_t product
    for k in range(n):
        product = then_use(mf_node_use(&store, (<Value>w[k]).id), operand_use(x[k]), MF_MUL)
        if acc < 0 and k == 0:
            acc = product
        else:
            acc = then_use(acc, product, MF_ADD)
        if acc < 0:
            return MF_NONE
    return acc


cdef dict activation_ops = {}   # method name -> (op code, the method that Value came with)


cdef int activation_op(str name) except -1:
    """The op code behind an activation's method; 0 where it has none, or has been replaced."""
    entry = activation_ops.get(name)
    if entry is None:
        return 0
    if <PyObject *>entry[1] is not _PyType_Lookup(<PyTypeObject *>Value, name):
        return 0
    return entry[0]


cdef object affine_in_python(object ws, object xs, object b, str activation):
    for wi, xi in zip(ws, xs):
        if isinstance(xi, (list, tuple, str)) or (
                getattr(xi, "ndim", 0) and activation is not None and not hasattr(xi, activation)):
            raise TypeError(
                f"a neuron takes one sample, numbers or Values, and was given {type(xi).__name__!r}"
                " for one of them: call the model for each sample, [model(x) for x in X], or let "
                "compile(batch=True) do so")
        b = b + wi * xi
    return b if activation is None else getattr(b, activation)()


cdef object first_items(object x, Py_ssize_t n):
    """x as a list or tuple; of an iterator no more than n items are taken, as zip() does."""
    if isinstance(x, (list, tuple)):
        return x
    try:
        items = iter(x)
    except TypeError:
        raise TypeError(
            f"a neuron takes a list of numbers or Values, not one {type(x).__name__!r}; in a "
            "batched function an array of shape (B, n) is n numbers for each sample") from None
    return list(islice(items, n))


cdef inline int check_widths(object ws, object x, object xs) except -1:
    """Warns where weights and inputs x, listed in xs, differ in number: micrograd takes as many as
    both have."""
    cdef Py_ssize_t n_weights = PySequence_Fast_GET_SIZE(ws)
    cdef Py_ssize_t n_inputs = PySequence_Fast_GET_SIZE(xs)
    if xs is not x and hasattr(x, "__len__"):   # else no more than needed was listed
        n_inputs = len(x)
    if n_inputs != n_weights:
        from micrograd_fast.nn.widths import warn_of_widths

        warn_of_widths(n_weights, n_inputs)
    return 0


def affine(w, x, b, str activation=None):
    """b + w[0]*x[0] + w[1]*x[1] + ..., the nodes of micrograd's Neuron, as far as w and x reach.

    w: sequence of Values; x: iterable of Values or numbers; b: Value. activation: the name of a
    method of Value to apply ('relu', 'tanh', ...), or None. Returns b itself if w or x is empty
    and there is no activation. Warns where w and x differ in length.
    """
    cdef object ws = PySequence_Fast(w, "w must be a sequence of Values")
    cdef object xs = first_items(x, PySequence_Fast_GET_SIZE(ws))
    cdef Value value = blank_value()   # now: a collection could change the lists
    cdef Py_ssize_t n = min(PySequence_Fast_GET_SIZE(ws), PySequence_Fast_GET_SIZE(xs))
    cdef int op = 0, error
    cdef double z = 0.0
    cdef int32_t sum_id, activated
    if activation is not None:
        op = activation_op(activation)
    if (n == 0 or type(b) is not Value or not c_may_build()
            or not plain_values(ws, n) or not plain_operands(xs, n)):
        made = affine_in_python(ws, xs, b, activation)
        check_widths(ws, x, xs)
        return made
    check_widths(ws, x, xs)
    sum_id = weighted_sum(mf_node_use(&store, (<Value>b).id), PySequence_Fast_ITEMS(ws),
                          PySequence_Fast_ITEMS(xs), n)
    if op and sum_id >= 0:
        error = mf_forward_of(op, store.data[sum_id], 0.0, &z)
        if error:
            z = store.data[sum_id]
            mf_node_release(&store, sum_id)
            raise_error(error, op, z, 0.0)
        activated = mf_node_new(&store, z, sum_id, MF_NONE, op)
        mf_node_release(&store, sum_id)
        sum_id = activated
    adopt(value, sum_id)
    # An activation of the user's, or one that he put in the place of a method.
    return value if op or activation is None else getattr(value, activation)()


def dot(w, x):
    """w[0]*x[0] + w[1]*x[1] + ...; both of the same length, at least 1. Returns a Value."""
    cdef object ws = PySequence_Fast(w, "w must be a sequence of Values or numbers")
    cdef object xs = PySequence_Fast(x, "x must be a sequence of Values or numbers")
    cdef Value value = blank_value()
    cdef Py_ssize_t n = PySequence_Fast_GET_SIZE(ws)
    if n != PySequence_Fast_GET_SIZE(xs) or n == 0:
        raise ValueError(f"dot() takes two sequences of the same length, at least 1, "
                         f"not {n} and {PySequence_Fast_GET_SIZE(xs)}")
    if c_may_build() and plain_values(ws, n) and plain_operands(xs, n):
        adopt(value, weighted_sum(MF_NONE, PySequence_Fast_ITEMS(ws),
                                  PySequence_Fast_ITEMS(xs), n))
        return value
    total = ws[0] * xs[0]
    for wi, xi in zip(ws[1:], xs[1:]):
        total = total + wi * xi
    return total


def total(values):
    """values[0] + values[1] + ... from the left; at least one, Values or numbers."""
    cdef object items = PySequence_Fast(values, "values must be a sequence of Values")
    cdef Value value = blank_value()
    cdef Py_ssize_t k, n = PySequence_Fast_GET_SIZE(items)
    cdef PyObject **item = PySequence_Fast_ITEMS(items)
    cdef int32_t acc
    if n == 0:
        raise ValueError("values must hold at least one Value")
    if n > 1 and c_may_build() and plain_operands(items, n):
        acc = operand_use(item[0])
        for k in range(1, n):
            acc = then_use(acc, operand_use(item[k]), MF_ADD)
        adopt(value, acc)
        return value
    acc_value = items[0]
    for other in items[1:]:
        acc_value = acc_value + other
    return acc_value
