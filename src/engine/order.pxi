# The topological order of a graph and the backward pass over it.
#
# Where ids ascend from operands to users, as they do unless old records were reused in between,
# descending ids are the order: two passes over the records, no workspace. Otherwise an iterative
# depth-first walk makes one: a chain of ten million nodes needs no C stack. Leaves are not ordered
# (nothing flows on from them) unless a custom _backward waits there, or is given to one meanwhile.

from base.eval cimport MF_CALL, MF_FREE, MF_LEAF, MF_OK
from base.memory cimport mf_resized
from engine.node cimport MF_F_ASCENDING, MF_F_HOOK, MF_F_TRACED, MF_NONE, mf_node
from engine.node_backward cimport mf_node_backward

cdef int32_t *order = NULL     # one workspace, kept; a nested backward makes its own
cdef int64_t cap_order = 0
cdef uint16_t epoch = 0        # of the latest walk; a node whose mark equals it was visited

cdef Walk walks = None         # that are under way and meet hooks: nested, or in other threads

cdef enum:                     # what a walk goes to
    WALK_RESULTS = 0           # all but leaves without a step
    WALK_TRACED = 1            # what was there before the trace is a leaf to it
    WALK_ALL = 2

cdef struct walk_result:
    int64_t n_ordered          # MF_NONE: no memory
    bint has_hooks


cdef uint16_t next_epoch() noexcept nogil:
    """A mark that no live or free record bears."""
    global epoch
    cdef int32_t id
    epoch += 1
    if epoch == 0:
        for id in range(n_nodes):
            nodes[id].mark = 0
        epoch = 1
    return epoch


cdef bint grow_order(int32_t **ids, int64_t *cap, int64_t n_ordered,
                     int64_t n_stack) noexcept nogil:
    """Room for one more id. The order fills the workspace from the left, the stack from the right:
    a node is in one of the two, so four bytes a node are enough for both."""
    cdef int64_t k, grown = cap[0] * 2 + 1024
    cdef void *block
    if grown > <int64_t>n_live + 1 and n_live + 1 > cap[0]:
        grown = <int64_t>n_live + 1
    block = mf_resized(ids[0], grown, sizeof(int32_t))
    if block is NULL:
        return False
    ids[0] = <int32_t *>block
    for k in range(1, n_stack + 1):
        ids[0][grown - k] = ids[0][cap[0] - k]
    cap[0] = grown
    return True


cdef inline bint to_visit(int32_t id, uint16_t walk, int what=WALK_RESULTS) noexcept nogil:
    if id < 0 or nodes[id].mark == walk:
        return False
    if what == WALK_TRACED:
        return nodes[id].op != MF_LEAF and nodes[id].flags & MF_F_TRACED
    return nodes[id].op != MF_LEAF or nodes[id].flags & MF_F_HOOK or what == WALK_ALL


cdef walk_result topological_order(int32_t root, int32_t **ids, int64_t *cap,
                                   int what) noexcept nogil:
    """Fills ids with the nodes under root, operands before users; what: WALK_..."""
    cdef uint16_t walk = next_epoch()
    cdef int64_t n_ordered = 0, n_stack = 0
    cdef int32_t id = root, child
    cdef mf_node *n
    cdef walk_result result
    result.has_hooks = False
    result.n_ordered = MF_NONE
    while True:
        # Enter id: down through unvisited operands, x first.
        nodes[id].mark = walk
        if n_ordered + n_stack + 1 > cap[0] and not grow_order(ids, cap, n_ordered, n_stack):
            return result
        n = &nodes[id]
        child = n.x
        if not to_visit(child, walk, what):
            child = n.y
            if not to_visit(child, walk, what):
                child = MF_NONE
        if child >= 0:
            n_stack += 1
            ids[0][cap[0] - n_stack] = id
            id = child
            continue
        # Nothing left under id: it is next in the order; then on with the node above it.
        while True:
            ids[0][n_ordered] = id
            n_ordered += 1
            result.has_hooks |= (nodes[id].flags & MF_F_HOOK) != 0
            if n_stack == 0:
                result.n_ordered = n_ordered
                return result
            id = ids[0][cap[0] - n_stack]
            child = nodes[id].y
            if to_visit(child, walk, what):
                id = child
                break
            n_stack -= 1


cdef int local_backward(int32_t id, Walk walk) except -1:
    """One node's step: its custom _backward, or partials times grad added to its operands."""
    cdef PyObject *held
    if nodes[id].flags & MF_F_HOOK:
        held = owner(id)
        # A collection in progress may have cleared the Value of a dying node.
        if held is not NULL and (<Value>held).state is not None:
            hook = (<NodeState>(<Value>held).state).hook
            if isinstance(hook, Step):
                (<Step>hook).run(walk)
            elif hook is not None:
                hook()
        return 0
    if mf_node_backward(nodes, node_data, node_grad, id) != MF_OK:
        raise_backward(id)
    return 0


cdef int steps_of_walk(int32_t root, int32_t **ids, int64_t *cap, int64_t n) except -1:
    """Backward over a graph with hooks."""
    global walks
    cdef Walk walk = Walk()
    walk.below, walks = walks, walk
    try:
        run_steps(root, ids, cap, n, walk)
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


cdef int64_t sweep(const int32_t *ids, int64_t n) noexcept nogil:
    """Backward over a graph without hooks; the id of the node that failed, or MF_NONE."""
    cdef int64_t k
    for k in range(n - 1, -1, -1):
        if mf_node_backward(nodes, node_data, node_grad, ids[k]) != MF_OK:
            return ids[k]
    return MF_NONE


cdef int32_t mark_descending(int32_t root, uint16_t walk) noexcept nogil:
    """Marks the nodes under an ascending root; the lowest id of theirs.

    MF_NONE where the graph has hooks, or is so thinly spread over the records that a depth-first
    walk is faster.
    """
    cdef int32_t id = root, child, n_waiting = 1
    cdef int64_t n_found = 1
    cdef mf_node *n
    nodes[root].mark = walk
    while True:
        n = &nodes[id]
        if n.mark == walk and n.op != MF_FREE:
            if n.flags & MF_F_HOOK:
                return MF_NONE
            n_waiting -= 1
            child = n.x
            if to_visit(child, walk):
                nodes[child].mark = walk
                n_waiting += 1
                n_found += 1
            child = n.y
            if to_visit(child, walk):
                nodes[child].mark = walk
                n_waiting += 1
                n_found += 1
            if n_waiting == 0:
                return id
        elif root - id > 1024 + 4 * n_found:
            return MF_NONE
        id -= 1


cdef int32_t sweep_descending(int32_t root, int32_t lowest, uint16_t walk) noexcept nogil:
    """Backward over the marked nodes; the id of the node that failed, or MF_NONE."""
    cdef int32_t id
    for id in range(root, lowest - 1, -1):
        if nodes[id].mark == walk and mf_node_backward(nodes, node_data, node_grad, id) != MF_OK:
            return id
    return MF_NONE


cdef int backward_from(int32_t root) except -1:
    """Value.backward()"""
    cdef uint16_t walk
    cdef int32_t lowest = MF_NONE, failed
    if nodes[root].flags & MF_F_ASCENDING:
        walk = next_epoch()
        lowest = mark_descending(root, walk)
    if lowest < 0:
        return backward_ordered(root)
    node_grad[root] = 1.0
    failed = sweep_descending(root, lowest, walk)
    if failed >= 0:
        raise_backward(failed)
    return 0


cdef int backward_ordered(int32_t root) except -1:
    """The same over a depth-first order, with custom _backwards at their turn."""
    global order, cap_order
    cdef int32_t *ids = order
    cdef int64_t k, cap = cap_order
    cdef walk_result walk
    order = NULL
    cap_order = 0
    try:
        walk = topological_order(root, &ids, &cap, WALK_RESULTS)
        if walk.n_ordered < 0:
            raise MemoryError("no room to order the graph")
        node_grad[root] = 1.0
        if walk.has_hooks:
            steps_of_walk(root, &ids, &cap, walk.n_ordered)
        else:
            k = sweep(ids, walk.n_ordered)
            if k >= 0:
                raise_backward(<int32_t>k)
    finally:
        if cap_order == 0:
            order = ids
            cap_order = cap
        else:
            free(ids)
    return 0


cdef dict late_leaves(const int32_t *ids, int64_t n):
    """Leaves whose step was set after a call of this graph had read them: no operand of its node
    leads there, so they come after all others. Values by id; None: there are none."""
    cdef dict late = None
    cdef set seen = set()
    cdef PyObject *held
    cdef int64_t k
    for k in range(n):
        held = owner(ids[k]) if nodes[ids[k]].op == MF_CALL else NULL
        if held is NULL or (<Value>held).state is None:
            continue
        step = (<NodeState>(<Value>held).state).hook
        if not isinstance(step, Step):
            continue
        known = operand_ids(ids[k])
        for v in (<Step>step).leaves_with_steps(seen):
            if (<Value>v).id not in known:
                late = {} if late is None else late
                late[(<Value>v).id] = v
    return late


cdef int run_steps(int32_t root, int32_t **ids, int64_t *cap, int64_t n, Walk steps) except -1:
    """Every node's step at its turn. Should a step give one to a leaf, leaves have turns from then
    on: the new order is the old one with leaves in between."""
    cdef int64_t k = n - 1, n_before = n_leaf_steps
    cdef bint has_leaves = False
    cdef int32_t id
    cdef walk_result walk
    cdef dict late = late_leaves(ids[0], n) if n_before else None
    while k >= 0:
        id = ids[0][k]
        if late is None or id not in late:
            local_backward(id, steps)
        if n_leaf_steps != n_before and not has_leaves:
            walk = topological_order(root, ids, cap, WALK_ALL)
            if walk.n_ordered < 0:
                raise MemoryError("no room to order the graph")
            has_leaves = True
            while ids[0][k] != id:
                k += 1
        k -= 1
    for late_id in late or ():
        local_backward(<int32_t>late_id, steps)
    return 0
