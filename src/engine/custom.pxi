# Nodes that the user makes: over any number of children, with a step in Python that is set
# afterwards, with their local gradients as numbers, which is microgpt's form, or with a rule that
# gives them as Values.
#
# A node has two operands. The children of a custom one hang on a chain of hidden MF_LINK nodes: the
# first child is x, the links follow at y, the last child ends the chain. With local gradients every
# child hangs on a link of its own, whose data is the gradient; x is empty.

from base.eval cimport MF_BINARY, MF_CUSTOM, MF_FIRST_OP, MF_LEAF, MF_LINK, mf_ops, mf_partials
from engine.modes cimport mf_n_modes
from engine.node cimport MF_NONE, mf_node
from engine.store cimport mf_node_new, mf_node_release, mf_owner, mf_set_hook


cdef tuple checked_children(object children):
    cdef tuple found = tuple(children)
    for child in found:
        if not isinstance(child, Value):
            raise TypeError(f"_children must be Values, one is {type(child).__name__!r}")
    return found


cdef list checked_grads(object grads, Py_ssize_t n_children):
    """Local gradients as floats, one for each child. Raises TypeError, ValueError."""
    if not isinstance(grads, (tuple, list)):
        raise TypeError(f"_local_grads must be a tuple of numbers, not {type(grads).__name__!r}")
    if len(grads) != n_children:
        raise ValueError(f"_local_grads must have a number for each of the {n_children} _children, "
                         f"not {len(grads)}")
    cdef list found = []
    for k, number in enumerate(grads):
        found.append(as_number(number, f"_local_grads[{k}]"))
    return found


cdef int32_t custom_new(double data, tuple children, list grads) noexcept:
    """A node over at least one child; grads: the local gradients, or None. MF_NONE: no memory."""
    if grads is None:
        return many_new(data, children, MF_CUSTOM)
    return local_new(data, children, grads)


cdef int32_t many_new(double data, tuple children, uint8_t op) noexcept:
    """A node over at least one child, further ones hang on hidden links. MF_NONE: no memory."""
    cdef Py_ssize_t k, n = len(children)
    cdef int32_t id, rest = MF_NONE
    if n > 1:
        rest = (<Value>children[n - 1]).id
        for k in range(n - 2, 0, -1):
            id = mf_node_new(&store, 0.0, (<Value>children[k]).id, rest, MF_LINK)
            if k < n - 2 and rest >= 0:
                mf_node_release(&store, rest)  # the new link uses it now, or nobody does
            if id < 0:
                return MF_NONE
            rest = id
    id = mf_node_new(&store, data, (<Value>children[0]).id, rest, op)
    if n > 2:
        mf_node_release(&store, rest)
    return id


cdef int32_t local_new(double data, tuple children, list grads) noexcept:
    """A node whose backward adds local gradients times its grad. MF_NONE: no memory."""
    cdef Py_ssize_t k
    cdef int32_t id, rest = MF_NONE
    for k in range(len(children) - 1, -1, -1):
        id = mf_node_new(&store, PyFloat_AS_DOUBLE(grads[k]), (<Value>children[k]).id, rest,
                         MF_LINK)
        if rest >= 0:
            mf_node_release(&store, rest)
        if id < 0:
            return MF_NONE
        rest = id
    id = mf_node_new(&store, data, MF_NONE, rest, MF_CUSTOM)
    mf_node_release(&store, rest)
    return id


cdef object custom_of(PyObject *const *args, Py_ssize_t n):
    """Lent to value_type.h: Value(data, children, op) without the leaf that __new__ makes first.

    None where nothing is to be gained: the usual call does it then, and says what is wrong.
    """
    cdef Value value
    cdef tuple children
    cdef list grads = None
    cdef object op = "" if n < 3 else <object>args[2]
    cdef double number
    if type(<object>args[1]) is not tuple or not <tuple><object>args[1] or mf_n_modes:
        return None
    children = checked_children(<object>args[1])
    number = as_number(<object>args[0], "data")
    if type(op) is tuple:
        grads, op = checked_grads(op, len(children)), ""
    elif type(op) is not str:
        return None
    value = blank_value()
    adopt(value, custom_new(number, children, grads))
    if op:
        state_for(value).op_text = op
    return value


cdef tuple children_of(Value value):
    """The operands in order, one that was given twice is there twice."""
    return tuple([value_of(k) for k in operand_ids(value.id)])


cdef tuple local_grads_of(Value value):
    """d value / d operand for each operand, from the numbers as they are now."""
    cdef const mf_node *n = &store.nodes[value.id]
    cdef int32_t link = n.y
    cdef double dx = 0.0, dy = 0.0
    cdef list grads = []
    if n.op == MF_LEAF:
        return ()
    if n.op == MF_CUSTOM and n.x < 0:
        while link >= 0:
            grads.append(store.data[link])
            link = store.nodes[link].y
        return tuple(grads)
    if n.op < MF_FIRST_OP:
        raise AttributeError("the local gradients of this node are in its _backward alone")
    mf_partials(n.op, store.data[n.x], store.data[n.y] if n.y >= 0 else 0.0, store.data[value.id],
                &dx, &dy)
    if mf_ops[n.op].kind == MF_BINARY:
        return dx, dy
    return (dx,)


# ---- a rule instead of numbers ----


cdef int64_t n_rules_asked = 0
cdef int64_t n_rules_given = 0    # results of custom ops in traces


def rules_asked() -> int:
    """How often the rule of a custom op was asked so far: such derivatives need not be those of any
    function, so second ones need not be symmetric."""
    return n_rules_asked


def rules_given() -> int:
    """How many results of custom ops traces have had so far: making a program asks their rules."""
    return n_rules_given


@cython.internal
cdef class RuleStep(Step):
    """The step of a custom op whose partials are Values, made when they are asked for."""
    cdef object rule      # rule(z, children): a Value or float for each child
    cdef int32_t id
    cdef Value primal     # in a trace: what computes the number, without a gradient
    cdef bint is_asked    # now

    cdef list ask(self, Value out, tuple children):
        """The partials, with ops that record: the rule may differentiate on its own."""
        global n_rules_asked
        if self.is_asked:
            raise RuntimeError(f"the rule of {op_text(out)!r} asks for a derivative of its own "
                               "result, which is what it has to say")
        self.is_asked = True
        n_rules_asked += 1
        try:
            return recorded(self.rule, (out, children), {})
        finally:
            self.is_asked = False

    cdef int run(self, Walk walk) except -1:
        cdef Value out = value_of(self.id)
        cdef tuple children = children_of(out)
        cdef double partial
        for child, p in zip(children, self.ask(out, children), strict=True):
            partial = store.data[(<Value>p).id] if isinstance(p, Value) else p
            store.grad[(<Value>child).id] += partial * store.grad[out.id]
        return 0


cdef Value stepped(double data, list operands, Step step, uint8_t op):
    """A node over operands whose backward step is given."""
    cdef Value value = blank_value()
    adopt(value, many_new(data, tuple(operands), op) if operands
          else mf_node_new(&store, data, MF_NONE, MF_NONE, op))
    state_for(value).hook = step
    preserve(value)
    mf_set_hook(&store, value.id)
    return value


cdef RuleStep step_of_rule(int32_t id):
    """The step of a custom op with a rule; None of another node."""
    cdef PyObject *value = mf_owner(&store, id) if store.nodes[id].op == MF_CUSTOM else NULL
    if value is NULL or (<Value>value).state is None:
        return None
    hook = (<NodeState>(<Value>value).state).hook
    return <RuleStep>hook if isinstance(hook, RuleStep) else None


def custom_result(z, list children not None, rule, str name not None) -> Value:
    """The result of a custom op over at least one child; rule(result, children) gives a Value or
    float for each. z: its number; in a trace the Value that computes it."""
    global n_rules_given
    cdef RuleStep step = RuleStep.__new__(RuleStep)
    cdef bint traced = isinstance(z, Value)
    n_rules_given += traced
    cdef Value value = stepped(store.data[(<Value>z).id] if traced else z, children, step,
                               MF_CUSTOM)
    step.rule, step.id, step.primal = rule, value.id, z if traced else None
    state_for(value).op_text = name
    return value
