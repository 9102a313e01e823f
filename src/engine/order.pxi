# Backward over graphs with steps in Python, which order.h leaves to this file: each custom
# _backward at its turn. One of them may give a step to a leaf meanwhile.

from base.eval cimport MF_CALL, MF_OK
from engine.node cimport MF_F_HOOK
from engine.node_backward cimport mf_node_backward
from engine.order cimport (MF_BACKWARD_DONE, MF_BACKWARD_HOOKS, MF_BACKWARD_NO_MEMORY, MF_WALK_ALL,
                           mf_backward, mf_order_fill, mf_order_return)
from engine.store cimport mf_order, mf_owner

cdef Walk walks = None         # that are under way and meet hooks: nested, or in other threads


cdef int local_backward(int32_t id, Walk walk) except -1:
    """One node's step: its custom _backward, or partials times grad added to its operands."""
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
        raise_backward(id)
    return 0


cdef int backward_from(int32_t root) except -1:
    """Value.backward()"""
    cdef mf_order order
    cdef int32_t failed = mf_backward(&store, root, &order)
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


cdef int steps_of_walk(int32_t root, mf_order *order) except -1:
    """Backward over a graph with hooks."""
    global walks
    cdef Walk walk = Walk()
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
        if n_leaf_steps != n_before and not has_leaves:
            if not mf_order_fill(&store, order, root, MF_WALK_ALL):
                raise MemoryError("no room to order the graph")
            has_leaves = True
            while order.ids[k] != id:
                k += 1
        k -= 1
    for late_id in late or ():
        local_backward(<int32_t>late_id, walk)
    return 0
