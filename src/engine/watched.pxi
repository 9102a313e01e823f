# backward() step by step, for who wants to see it: viz.backprop.

from base.eval cimport MF_CALL, MF_LEAF, MF_LINK, mf_ops
from engine.modes cimport mf_anomaly_here
from engine.order cimport (MF_WALK_ALL, MF_WALK_RESULTS, mf_order_as_backward, mf_order_fill,
                           mf_order_return)
from engine.store cimport mf_order, mf_owner


def watched_nodes(Value root not None, int64_t most) -> tuple:
    """(how many nodes there are, root and those under it; what is known of each, operands first):
    Value, name of the op, the compiled function whose result it is or None, Values that its step
    passes gradient on to beside its operands, and whether it is a number of which no Value was
    there. With more than `most` nodes nothing is known of any.

    The name is that in the op table, or leaf, custom, call, largest, smallest."""
    cdef mf_order order = [NULL, 0, 0, False]
    cdef list found = []
    cdef int64_t k, n = 0
    check_value(root, "viz.backprop")
    try:
        if not mf_order_fill(&store, &order, root.id, MF_WALK_ALL):
            raise MemoryError("no room to order the graph")
        for k in range(order.n):
            n += store.nodes[order.ids[k]].op != MF_LINK
        for k in range(order.n if n <= most else 0):
            if store.nodes[order.ids[k]].op != MF_LINK:
                found.append(watched_node(order.ids[k]))
    finally:
        mf_order_return(&store, &order)
    return n, found


cdef tuple watched_node(int32_t id):
    cdef bint is_number = is_nobody_s(id)   # before there is a Value of it
    cdef Value value = value_of(id)
    cdef NodeState state = value.state
    cdef str called = None
    if state is not None and isinstance(state.hook, Step):
        called = (<Step>state.hook).called()
    name = (<bytes>mf_ops[store.nodes[id].op].name).decode()
    return value, name, called, [value_of(k) for k in ids_read_by(id)], is_number


def grads_kept(list values not None) -> list:
    """The grads of Values for write_grads(), which also knows which of them are not there."""
    return [store.grad[(<Value?>v).id] for v in values]


def write_grads(list values not None, list grads not None) -> None:
    """Each Value's grad as grads_kept() found it."""
    for v, number in zip(values, grads, strict=True):
        store.grad[(<Value?>v).id] = number


def watched_backward(Value root not None, seen) -> None:
    """root.backward(), which calls seen(node) after the step of each node, in its own order."""
    cdef mf_order order = [NULL, 0, 0, False]
    cdef bint filled
    check_value(root, "viz.backprop")
    try:
        if mf_anomaly_here():
            filled = mf_order_fill(&store, &order, root.id, MF_WALK_RESULTS)
        else:
            filled = mf_order_as_backward(&store, &order, root.id)
        if not filled:
            raise MemoryError("no room to order the graph")
        store.grad[root.id] = 1.0
        steps_of_walk(root.id, &order, seen)
    finally:
        mf_order_return(&store, &order)
