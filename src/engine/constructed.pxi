# Results whose constructor a program has replaced: `Value.__init__ = patched`, `Value.__new__ = f`,
# `Value.__del__ = f`. micrograd makes every result, and the Value of every number that it meets, by
# Value(data, (self, other), op), so the replacement sees them all. Then, and only then, ours are
# made that way too.

from base.eval cimport MF_CUSTOM, MF_PARAM, mf_ops
from engine.modes cimport mf_n_modes, mf_tracing_here
from engine.node cimport MF_F_HOOK, MF_NONE, mf_node
from engine.store cimport mf_become, mf_node_new, mf_node_use
from engine.value_type cimport mf_constructor_replaced


cdef inline bint by_constructor() noexcept:
    """Whether results are made by calling Value. Not in a trace: it has no numbers to pass."""
    return mf_constructor_replaced() and not (mf_n_modes and mf_tracing_here())


@cython.internal
cdef class TermStep(Step):
    """The step of a result whose constructor kept other operands than the op's: micrograd's steps
    add to the grads of what the op was given, whatever the constructor made of it."""
    cdef Value out
    cdef Value term   # a node over the op's own operands

    cdef int run(self, Walk walk) except -1:
        store.data[self.term.id] = store.data[self.out.id]
        store.grad[self.term.id] = store.grad[self.out.id]
        return local_backward(self.term.id, walk)


cdef object constructed(double z, int32_t x, int32_t y, int op, str text):
    """The result of an op by calling Value; x and y are kept alive by the caller.

    text: its _op. y may be the hidden leaf of a power's exponent.
    """
    if not records():
        return Value(z)
    first = value_of(x)
    if y < 0 or mf_ops[op].kind == MF_PARAM:
        made = Value(z, (first,), text)
    else:
        made = Value(z, (first, value_of(y)), text)
    if isinstance(made, Value):   # a replaced __new__ may give anything
        become(<Value>made, x, y, op)
    return made


cdef int become(Value made, int32_t x, int32_t y, int op) except -1:
    """The custom node that the constructor made gets the op's step."""
    cdef const mf_node *n = &store.nodes[made.id]
    cdef bint param = mf_ops[op].kind == MF_PARAM
    cdef Value term
    cdef TermStep step
    if n.op == MF_CUSTOM and n.x == x and n.y == (MF_NONE if param else y):
        if n.flags & MF_F_HOOK:   # as in micrograd, where the op sets its step last
            (<NodeState>made.state).hook = None
        mf_become(&store, made.id, op, mf_node_use(&store, y) if param else y)
    else:
        term = blank_value()
        adopt(term, mf_node_new(&store, store.data[made.id], x, y, op))
        step = TermStep.__new__(TermStep)
        step.out, step.term = made, term
        made._backward = HeldStep.__new__(HeldStep, made, step)
    return 0


cdef object as_constructed(object number):
    """Value(number), for an operand."""
    made = Value(number)
    if not isinstance(made, Value):
        raise TypeError(f"Value({number!r}) gives {type(made).__name__!r} since Value.__new__ was "
                        "replaced, which cannot be an operand")
    return made
