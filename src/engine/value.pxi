# Value: the Python face of a node. Construction, attributes, copies; the operators' work is in
# operators.pxi.
#
# A Value is an id and little else: data and grad live in the record. At most one Value exists per
# node (state.pxi), so identity and hashing are Python's own.

from cpython.object cimport PyObject_GenericSetAttr, PyObject_RichCompare, Py_EQ, Py_LT, Py_LE
from cpython.object cimport Py_GT, Py_GE

from base.absent cimport mf_present
from base.eval cimport MF_ABS, MF_ADD, MF_DETACH, MF_LEAF, MF_MUL, MF_OK, MF_POW, mf_ops
from engine.modes cimport mf_n_modes, mf_tracing_here
from engine.node cimport (MF_F_HOOK, MF_F_INT_EXP, MF_F_PRESERVED, MF_F_TRACED, MF_F_UNFILLED,
                          MF_NONE, mf_node)
from engine.node_backward cimport mf_give_operands_grads, mf_node_backward
from engine.store cimport (mf_leaf_new, mf_mark_filled, mf_mark_unfilled, mf_owner_moves,
                           mf_preserve, mf_set_hook)
from engine.value_type cimport (mf_access_replaced, mf_value_complete, mf_value_track,
                                mf_value_type_finalizes)

cdef extern from "Python.h":
    int del_attribute "PyObject_GenericSetAttr"(object o, object name, PyObject *null) except -1

cdef int64_t n_freezes = 1   # how often a requires_grad was set: optimizers look then who is frozen

cdef tuple PROPERTIES = ("data", "grad", "_prev", "_children", "_local_grads", "_op", "_backward")


cdef class Value:
    """Value(data, _children=(), _op="", label="", *, _local_grads=None)\n--\n\n\
One scalar and its gradient, in micrograd's terms: `data` and `grad` are float64 and writable,
    `_prev` is the set of operands, `_op` names the op, `backward()` fills the gradients.

    `data` is a number: float, int, bool, NumPy scalar or 0-d array. `_children` (Values) and a
    `_backward` assigned afterwards make a custom op, as the micrograd lecture writes them. In place
    of `_op` may stand a tuple of local gradients, a number for each child, as in microgpt:
    backward() multiplies by them and needs no function.

    Raises TypeError for what is no number, OverflowError for an int beyond float64.
    """
    cdef int32_t id
    cdef int32_t pin             # MF_UNPINNED, MF_PINNED, or the next one due (value_type.h)
    cdef object state            # NodeState or None
    cdef PyObject *attributes    # a dict, or NULL: Value's __dict__ (value_type.h)
    cdef PyObject *weak_list     # where Python keeps weak references

    __array_priority__ = -1.0    # np.float64(2) * v goes to __rmul__; ndarray * v stays elementwise
    label = ""
    requires_grad = True   # set False, optimizers and clip_grad_norm_ leave it out

    def __init__(self, data, _children=(), _op="", label="", *, _local_grads=None):
        cdef double number = as_number(data, "data")
        mf_value_complete(self)
        if type(_op) is not str:
            if not isinstance(_op, (tuple, list)) or _local_grads is not None:
                raise TypeError("_op must be a str, or a tuple of local gradients, not "
                                f"{type(_op).__name__!r}")
            _local_grads, _op = _op, ""
        init_node(self, number, checked_children(_children), _op, _local_grads)
        if type(label) is not str or label != "":
            self.label = label

    @property
    def data(self):
        """The number; assigning rewrites the node, and a later backward() uses the new number."""
        if store.nodes[self.id].flags & MF_F_TRACED or mf_n_modes:
            check_value(self, "reading .data")
        return store.data[self.id]

    @data.setter
    def data(self, number):
        mf_value_complete(self)
        if mf_n_modes:
            check_readable(self.id, "writing .data")
        store.data[self.id] = as_number(number, "data")

    @property
    def grad(self):
        """The gradient, accumulated by backward(); assign 0 to start afresh."""
        if store.nodes[self.id].flags & MF_F_TRACED or mf_n_modes:
            check_value(self, "reading .grad")
        return mf_present(store.grad[self.id])

    @grad.setter
    def grad(self, number):
        mf_value_complete(self)
        if mf_n_modes:
            check_readable(self.id, "writing .grad")
        store.grad[self.id] = mf_present(as_number(number, "grad"))

    @property
    def _prev(self):
        """The set of operands; the same objects each time, as long as somebody holds them."""
        return operands_of(self)

    @property
    def _op(self):
        """micrograd's text for the op that made this node; '' for a leaf."""
        return op_text(self)

    @_op.setter
    def _op(self, text):
        if type(text) is not str:
            raise TypeError(f"_op must be a str, not {type(text).__name__!r}")
        state_for(self).op_text = text

    @property
    def _children(self):
        """The operands in order, as in microgpt; an operand that is used twice is there twice."""
        return children_of(self)

    @property
    def _local_grads(self):
        """The derivatives by the _children, in their order: microgpt's local gradients."""
        if store.nodes[self.id].flags & MF_F_TRACED or mf_n_modes:
            check_value(self, "reading ._local_grads")
        return local_grads_of(self)

    @property
    def _backward(self):
        """This node's local step: adds its share to the grads of its operands when called."""
        if mf_n_modes:
            check_value(self, "a node's _backward")
        mf_value_complete(self)
        cdef object hook = None if self.state is None else (<NodeState>self.state).hook
        if isinstance(hook, Step):
            return HeldStep.__new__(HeldStep, self, hook)
        return self._local_backward if hook is None else hook

    @_backward.setter
    def _backward(self, function):
        global n_hooks_set, n_leaf_steps
        if not callable(function):
            raise TypeError(f"_backward must be callable, not {type(function).__name__!r}")
        if mf_n_modes:
            check_value(self, "a custom _backward")
        state = state_for(self)
        preserve(self)
        if isinstance(function, HeldStep) and (<HeldStep>function).value is self:
            function = (<HeldStep>function).step   # its own, put back
        state.hook = function
        n_hooks_set += 1
        if store.nodes[self.id].op == MF_LEAF and not store.nodes[self.id].flags & MF_F_HOOK:
            n_leaf_steps += 1
        mf_set_hook(&store, self.id)

    def _local_backward(self):
        if store.nodes[self.id].flags & MF_F_TRACED or mf_n_modes:
            check_value(self, "a node's _backward")
        mf_give_operands_grads(store.nodes, store.grad, self.id)
        if mf_node_backward(store.nodes, store.data, store.grad, self.id) != MF_OK:
            raise_backward(self.id)

    @cython.embedsignature(True)
    def backward(self):
        """Sets this node's grad to 1 and adds to the grads of all nodes under it.

        Nothing is zeroed first and nothing is freed: a second call adds again, as in micrograd.
        Raises ZeroDivisionError where a derivative does not exist (x**0.5 at 0).
        """
        if store.nodes[self.id].flags & MF_F_TRACED or mf_n_modes:
            check_value(self, "backward()")
        backward_from(self.id)

    @cython.embedsignature(True)
    def item(self):
        """The data, as NumPy's and PyTorch's scalars give theirs."""
        return self.data

    @cython.embedsignature(True)
    def detach(self):
        """A new leaf with the same data and no history; in a traced function, a value that
        passes no gradient on."""
        if mf_n_modes and mf_tracing_here():
            return result(store.data[self.id], self.id, MF_NONE, MF_DETACH)
        return leaf_value(store.data[self.id])

    def __setattr__(self, name, attribute):
        cdef double number
        # The two that training sets, without the look-up of their descriptors: half the time.
        if type(self) is Value and self.id > 0 and not (mf_n_modes or mf_access_replaced()):
            if name is "grad":
                number = as_number(attribute, "grad")
                store.grad[self.id] = mf_present(number)
                return
            if name is "data":
                number = as_number(attribute, "data")
                store.data[self.id] = number
                return
        mf_value_complete(self)
        # Preserved first: should that fail, nothing was set. The properties may refuse theirs.
        if PyObject_IS_GC(<PyObject *>attribute) and name not in PROPERTIES:
            preserve(self)
        PyObject_GenericSetAttr(self, name, attribute)
        note_freeze(name)
        if self.attributes is not NULL:
            mf_value_track(self)

    def __delattr__(self, name):
        if name in PROPERTIES:
            raise AttributeError(f"{name} of a Value cannot be deleted")
        del_attribute(self, name, NULL)
        note_freeze(name)

    def __repr__(self):
        mf_value_complete(self)
        if mf_n_modes and mf_tracing_here():
            check_value(self, "repr(), str() or print()")
        if store.nodes[self.id].flags & MF_F_TRACED:
            return "Value(traced)"
        return f"Value(data={store.data[self.id]}, grad={mf_present(store.grad[self.id])})"

    def __format__(self, str spec):
        if store.nodes[self.id].flags & MF_F_TRACED or mf_n_modes:
            check_value(self, "formatting")
        return format(store.data[self.id], spec) if spec else repr(self)

    def __bool__(self):
        if store.nodes[self.id].flags & MF_F_TRACED or mf_n_modes:
            check_value(self, "bool()")
        return True

    def __index__(self):
        # Python comes here for float(), int(), math.exp() and range() as well.
        raise TypeError("a Value is no plain number, for float(), int(), range(), math's "
                        "functions, to index or to repeat a sequence: v.exp() and its like, and "
                        "mg.take(values, v) for values[v], stay in the graph; outside of compiled "
                        "functions v.data is its number")

    def __hash__(self):
        return (<PyTypeObject *>object).tp_hash(self)

    def __eq__(self, other):
        if self is other:
            return True
        if mf_n_modes and mf_tracing_here() and is_number(other):
            raise_trace_error("comparing by == or !=")
        return NotImplemented

    def __lt__(self, other):
        return compare(self, other, Py_LT)

    def __le__(self, other):
        return compare(self, other, Py_LE)

    def __gt__(self, other):
        return compare(self, other, Py_GT)

    def __ge__(self, other):
        return compare(self, other, Py_GE)

    def __reduce__(self):
        return reduced(self)

    def __reduce_ex__(self, protocol):
        # A subclass's __reduce__ is asked, as object's __reduce_ex__ does.
        return self.__reduce__() if differs(type(self), "__reduce__") else reduced(self)

    def __deepcopy__(self, memo):
        return deep_copy(self, memo)

    def __getstate__(self):
        """What a subclass's copy is made of, as micrograd's __dict__ would hold it."""
        return state_of(self)

    def __setstate__(self, state):
        set_state(self, state)

    # ---- operators: micrograd's compositions, node for node ----

    def __add__(self, other):
        return binary(self, other, MF_ADD)

    def __radd__(self, other):
        return reflected(self, other, MF_ADD)

    def __mul__(self, other):
        return binary(self, other, MF_MUL)

    def __rmul__(self, other):
        return reflected(self, other, MF_MUL)

    def __neg__(self):
        return negative(self)

    def __sub__(self, other):
        return subtract(self, other)

    def __rsub__(self, other):
        return subtract_from(self, other)

    def __truediv__(self, other):
        return divide(self, other)

    def __rtruediv__(self, other):
        return divide_into(self, other)

    def __pow__(self, other, mod):
        return power(self, other, mod)

    def __rpow__(self, other, mod):
        return power_of(self, other, mod)

    def __abs__(self):
        return unary(self, MF_ABS)

    def __floor__(self):
        """What math.floor and NumPy's floor of object arrays call."""
        return self.floor()

    def __ceil__(self):
        return self.ceil()

    def __round__(self):
        return self.rint()

    # exp(), tanh(), maximum(other) and the other ops without an operator: op_methods.h


cdef object leaf_value(double data):
    return Value(data) if by_constructor() else own_leaf(data)


cdef inline Value own_leaf(double data):
    cdef Value value = blank_value()
    adopt(value, mf_leaf_new(&store, data))
    return value


cdef int init_node(Value value, double data, tuple children, str op, object local_grads) except -1:
    """What __init__ does to the leaf that __new__ made: rewrites or replaces it."""
    cdef list grads = None
    if local_grads is not None:
        grads = checked_grads(local_grads, len(children))   # may run Python code: before all else
    cdef int32_t id = value.id
    if not records():
        children = ()
    if store.nodes[id].op != MF_LEAF or (children and not store.nodes[id].flags & MF_F_UNFILLED):
        raise TypeError("this Value is part of a graph already: construct a new one")
    if children:
        check_readable(id, "a custom node")
        id = custom_new(data, children, grads)
        if id < 0:
            raise_no_node()
        replace_node(value, id)
    else:
        store.data[id] = data
        store.grad[id] = 0.0
        mf_mark_filled(&store, id)
    if op:
        state_for(value).op_text = op
    return 0


cdef int replace_node(Value value, int32_t id) except -1:
    """The Value moves to another node, with what was hung on it."""
    cdef int32_t old = value.id
    value.id = id
    mf_owner_moves(&store, old, id)
    return drop_pending()


cdef str op_text(Value value):
    mf_value_complete(value)
    cdef const mf_node *n = &store.nodes[value.id]
    if value.state is not None and (<NodeState>value.state).op_text is not None:
        return (<NodeState>value.state).op_text
    if n.op == MF_POW:
        exponent = store.data[n.y]
        return f"**{int(exponent) if n.flags & MF_F_INT_EXP else exponent}"
    return (<bytes>mf_ops[n.op].label).decode()


cdef inline int note_freeze(object name) except -1:
    global n_freezes
    if name == "requires_grad":
        n_freezes += 1
    return 0


cdef inline bint is_frozen(Value value) except -1:
    """Whether somebody set its requires_grad to something false."""
    if type(value) is Value and value.attributes is NULL:
        return False
    return not value.requires_grad


cdef int check_value(Value value, str what) except -1:
    """check_readable for a Value, made complete where it is not."""
    mf_value_complete(value)
    return check_readable(value.id, what)


cdef object compare(Value self, object other, int op):
    if mf_n_modes and mf_tracing_here() and not in_aside(True):
        return comparison(self, other, op)
    check_value(self, "comparing")
    if isinstance(other, Value):
        check_value(<Value>other, "comparing")
        return PyObject_RichCompare(store.data[self.id], store.data[(<Value>other).id], op)
    if not is_number(other):
        return NotImplemented
    if not PyLong_Check(other):   # an int is compared exactly, however large
        other = as_number(other, "operand")
    return PyObject_RichCompare(store.data[self.id], other, op)


cdef int give_leaf(PyObject *blank) except -1:
    """Lent to value_type.h: the node that a Value has from birth. That of a subclass must not come
    back as a plain Value, whichever way it was made: it is preserved."""
    adopt(<Value>blank, mf_leaf_new(&store, 0.0))
    mf_mark_unfilled(&store, (<Value>blank).id)
    if type(<object>blank) is not Value or mf_value_type_finalizes():
        mf_preserve(&store, (<Value>blank).id)
        if not callback_set:
            set_callback()
    return 0


cdef int is_preserved(PyObject *value) noexcept:
    """Lent to value_type.h."""
    cdef int32_t id = (<Value>value).id
    return id >= 0 and store.nodes[id].flags & MF_F_PRESERVED


cdef object leaf_of(object number):
    """Lent to value_type.h: Value(number)."""
    return own_leaf(as_number(number, "data"))
