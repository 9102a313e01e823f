# Backward over graphs with steps in Python, which order.h leaves to this file: each custom
# _backward at its turn. One of them may give a step to a leaf meanwhile.

from libc.math cimport isfinite

from base.eval cimport MF_CALL, MF_LEAF, MF_LINK, MF_OK
from engine.modes cimport mf_anomaly_here, mf_n_modes
from engine.node cimport MF_F_HOOK
from engine.node_backward cimport mf_node_backward
from engine.order cimport (MF_BACKWARD_DONE, MF_BACKWARD_HOOKS, MF_BACKWARD_NO_MEMORY, MF_WALK_ALL,
                           MF_WALK_BACKWARD, mf_backward, mf_order_fill, mf_order_return)
from engine.store cimport mf_order, mf_owner

cdef Walk walks = None         # that are under way and meet hooks: nested, or in other threads


cdef int local_backward(int32_t id, Walk walk) except -1:
    """One node's step: its custom _backward, or partials times grad added to its operands."""
    if mf_n_modes and mf_anomaly_here():
        return checked_backward(id, walk)
    return unchecked_backward(id, walk)


cdef int checked_backward(int32_t id, Walk walk) except -1:
    """A step in detect_anomaly. One that makes an adjoint nan or infinite of finite ones is taken
    back."""
    cdef dict before = {k: store.grad[k] for k in operand_ids(id) + ids_read_by(id)
                        if not is_nobody_s(k)}
    cdef bint is_finite = isfinite(store.grad[id])
    cdef double grad
    unchecked_backward(id, walk)
    for k, grad in before.items():
        if is_finite and isfinite(grad) and not isfinite(store.grad[<int32_t>k]):
            grad = store.grad[<int32_t>k]
            for other in before:
                store.grad[<int32_t>other] = before[other]
            raise_adjoint(id, grad)
    return 0


cdef bint is_nobody_s(int32_t id) noexcept:
    """Whether a node is a number without a Value, such as 2 in 2 * v: nobody wants its grad."""
    return store.nodes[id].op == MF_LEAF and mf_owner(&store, id) is NULL


cdef list ids_read_by(int32_t id):
    """The nodes that a step in C passes gradient on to beside its operands."""
    cdef NodeState state = state_at(id) if store.nodes[id].flags & MF_F_HOOK else None
    if state is None or not isinstance(state.hook, Step):
        return []
    return (<Step>state.hook).ids_read()


cdef int unchecked_backward(int32_t id, Walk walk) except -1:
    cdef PyObject *value
    if store.nodes[id].flags & MF_F_HOOK:
        value = mf_owner(&store, id)
        # A collection in progress may have cleared the Value of a dying node.
        if value is not NULL and (<Value>value).state is not None:
            hook = (<NodeState>(<Value>value).state).hook
            if isinstance(hook, Step):
                (<Step>hook).run(walk)
            elif hook is not None:
                hook()
        return 0
    if mf_node_backward(store.nodes, store.data, store.grad, id) != MF_OK:
        if mf_n_modes and mf_anomaly_here():
            raise_backward_with_line(id)
        raise_backward(id)
    return 0


cdef int backward_from(int32_t root) except -1:
    """Value.backward()"""
    cdef mf_order order = [NULL, 0, 0, False]
    cdef int32_t failed
    if mf_n_modes and mf_anomaly_here():
        failed = MF_BACKWARD_HOOKS   # every step is looked at
        if not mf_order_fill(&store, &order, root, MF_WALK_BACKWARD):
            mf_order_return(&store, &order)
            raise MemoryError("no room to order the graph")
        store.grad[root] = 1.0
    else:
        failed = mf_backward(&store, root, &order)
    if failed == MF_BACKWARD_DONE:
        return 0
    if failed == MF_BACKWARD_NO_MEMORY:
        raise MemoryError("no room to order the graph")
    if failed != MF_BACKWARD_HOOKS:
        raise_backward(failed)
        return 0
    try:
        steps_of_walk(root, &order)
    finally:
        mf_order_return(&store, &order)
    return 0


cdef int steps_of_walk(int32_t root, mf_order *order, seen=None) except -1:
    """Backward over a graph with hooks, or one that is watched."""
    global walks
    cdef Walk walk = Walk()
    walk.seen = seen
    walk.below, walks = walks, walk
    try:
        run_steps(root, order, walk)
    finally:
        leave_walk(walk)
    return 0


cdef int leave_walk(Walk walk) noexcept:
    global walks
    cdef Walk above = walks
    if above is walk:
        walks = walk.below
    else:   # other threads have begun walks since
        while above.below is not walk:
            above = above.below
        above.below = walk.below
    walk.below = None
    return 0


cdef dict late_leaves(const mf_order *order):
    """Leaves whose step was set after a call of this graph had read them: no operand of its node
    leads there, so they come after all others. Values by id; None: there are none."""
    cdef dict late = None
    cdef set seen = set()
    cdef PyObject *value
    cdef int32_t id
    cdef int64_t k
    for k in range(order.n):
        id = order.ids[k]
        value = mf_owner(&store, id) if store.nodes[id].op == MF_CALL else NULL
        if value is NULL or (<Value>value).state is None:
            continue
        step = (<NodeState>(<Value>value).state).hook
        if not isinstance(step, Step):
            continue
        known = operand_ids(id)
        for v in (<Step>step).leaves_with_steps(seen):
            if (<Value>v).id not in known:
                late = {} if late is None else late
                late[(<Value>v).id] = v
    return late


cdef int run_steps(int32_t root, mf_order *order, Walk walk) except -1:
    """Every node's step at its turn. Should a step give one to a leaf, leaves have turns from then
    on: the new order is the old one with leaves in between."""
    cdef int64_t k = order.n - 1, n_before = n_leaf_steps
    cdef bint has_leaves = False
    cdef int32_t id
    cdef dict late = late_leaves(order) if n_before else None
    while k >= 0:
        id = order.ids[k]
        if late is None or id not in late:
            local_backward(id, walk)
            if walk.seen is not None and store.nodes[id].op != MF_LINK:
                walk.seen(value_of(id))
        if n_leaf_steps != n_before and not has_leaves:
            if not mf_order_fill(&store, order, root, MF_WALK_ALL):
                raise MemoryError("no room to order the graph")
            has_leaves = True
            while order.ids[k] != id:
                k += 1
        k -= 1
    for late_id in late or ():
        local_backward(<int32_t>late_id, walk)
        if walk.seen is not None:
            walk.seen(value_of(<int32_t>late_id))
    return 0
