# What the garbage collector is shown of the graph, so that it finds cycles through custom steps.
#
# A step may refer to anything: to its own node, to operands, to nodes above. Those above keep it
# alive by records that the collector cannot see, and while the graph is built nothing else does:
# no node above a HELD one costs more than a flag, MF_F_ABOVE. Its Value, if it has one, is noted.
#
# When a collection starts, each noted Value that is still there gets references to the Values of
# the HELD nodes next under it, and becomes HELD itself. A Value's pin is then a reference from
# itself to itself: whoever uses its node has a reference too. So pins may be shown, and the
# collector sees the object graph that micrograd would show it. In all other collections pins are
# hidden and what is pinned counts as reachable: too much is kept, never too little.
#
# A walk down goes past results that nothing else refers to (MF_F_PASSED) and stops at HELD ones;
# those with a Value or several users become HELD first, so each record is walked over once.
#
# A node that becomes HELD while it is in use (`late`) puts everything above it in doubt: a pass
# over all records flags them anew. It waits until the collections and the late steps since the last
# one have cost as much, or for a full collection.

from base.eval cimport MF_FREE
from base.memory cimport mf_resized
from engine.node cimport MF_F_ABOVE, MF_F_HELD, MF_F_PASSED, mf_node
from engine.value_type cimport mf_cycles_shown, mf_value_pin, mf_value_track

# Most steps need no collection at all (mf_value_has_only_its_step), and a graph that is in use
# outlives young collections anyway: the work is left to those that look at everything. CPython 3.14
# makes none of these by itself; there the second generation must do.
from cpython.version cimport PY_VERSION_HEX

cdef int shown_from = 1 if PY_VERSION_HEX >= 0x030E0000 else 2

cdef bint callback_set = False
cdef bint settling = False        # what is noted now is being settled anyway
cdef bint late = False            # flags and references may lack something
cdef int64_t credit = 0           # how many records the next pass may look at, roughly

cdef enum:
    CREDIT_OF_COLLECTION = 4096
    CREDIT_OF_LATE = 64


cdef bint append_id(id_list *ids, int32_t id) noexcept nogil:
    """False when memory has run out."""
    cdef int64_t cap
    cdef void *block
    if ids.n == ids.cap:
        cap = 2 * ids.cap + 1024
        block = mf_resized(ids.at, cap, sizeof(int32_t))
        if block is NULL:
            return False
        ids.at = <int32_t *>block
        ids.cap = cap
    ids.at[ids.n] = id
    ids.n += 1
    return True


cdef void note_above(int32_t id) noexcept nogil:
    """A node above a HELD one has a Value now."""
    global late, mf_cycles_shown
    if settling:
        return
    mf_cycles_shown = False
    if fresh.n == fresh.cap:
        forget_gone()
        if 2 * fresh.n < fresh.cap:
            fresh.at[fresh.n] = id
            fresh.n += 1
            return
    if not append_id(&fresh, id):
        late = True   # the pass over all records finds it


cdef void forget_gone() noexcept nogil:
    """Takes nodes out of the list that have no Value any more, and those that are there twice."""
    cdef uint16_t walk = next_epoch()
    cdef int64_t k, n = 0
    cdef int32_t id
    for k in range(fresh.n):
        id = fresh.at[k]
        if nodes[id].op != MF_FREE and owners[id] >= 0 and nodes[id].mark != walk:
            nodes[id].mark = walk
            fresh.at[n] = id
            n += 1
    fresh.n = n


cdef int hold(Value value) except -1:
    """From now on the node's Value must live as long as the node."""
    global late, credit, mf_cycles_shown
    cdef int32_t id = value.id
    if nodes[id].flags & MF_F_HELD:
        return 0
    if not callback_set:
        set_callback()
    mf_value_track(value)
    mf_cycles_shown = False
    nodes[id].flags |= MF_F_HELD
    if nodes[id].uses > 1:
        mf_value_pin(<PyObject *>value)
        late = True
        credit += CREDIT_OF_LATE
    return 0


cdef int set_callback() except -1:
    global callback_set
    import gc

    gc.callbacks.append(_collection_phase)
    callback_set = True
    return 0


def _collection_phase(phase, info, /):
    """Python calls this before and after each garbage collection."""
    global mf_cycles_shown, credit
    mf_cycles_shown = False
    if phase != "start":
        return
    drop_parked()
    credit += CREDIT_OF_COLLECTION
    if info["generation"] < shown_from or (late and credit < n_nodes and info["generation"] < 2):
        return
    try:
        show_cycles()
    except MemoryError:
        pass   # as many collections as it takes
    # What follows runs no Python code until the garbage is known; new nodes reset it.


cdef int show_cycles() except -1:
    """Gives every Value above HELD nodes its references."""
    global settling, mf_cycles_shown
    cdef int64_t k
    settling = True
    try:
        if late:
            flag_all()
        for k in range(fresh.n):
            if nodes[fresh.at[k]].op != MF_FREE and owners[fresh.at[k]] >= 0:
                settle(fresh.at[k])
        fresh.n = 0
    finally:
        settling = False
    mf_cycles_shown = not late
    return 0


cdef int flag_all() except -1:
    """The pass over all records: flags what is above HELD nodes and notes its Values."""
    global late, credit
    cdef int32_t id
    cdef bint upwards = True
    while flag_users(upwards):   # more than two passes only where ids ascend and descend
        upwards = not upwards
    fresh.n = 0
    for id in range(n_nodes):
        if nodes[id].op == MF_FREE or not nodes[id].flags & MF_F_ABOVE:
            continue
        nodes[id].flags &= ~MF_F_PASSED
        if owners[id] >= 0:
            if not append_id(&fresh, id):
                raise MemoryError
            if (<Value>owner(id)).state is not None:
                (<NodeState>(<Value>owner(id)).state).refs = None
    late = False
    credit = 0
    return 0


cdef bint flag_users(bint upwards) noexcept nogil:
    """Flags each node with a flagged operand; whether there was one."""
    cdef int32_t k, id, x, y
    cdef uint8_t seen
    cdef bint any_new = False
    for k in range(n_nodes):
        id = k if upwards else n_nodes - 1 - k
        if nodes[id].op == MF_FREE or nodes[id].flags & MF_F_ABOVE:
            continue
        x = nodes[id].x
        y = nodes[id].y
        seen = (nodes[x].flags if x >= 0 else 0) | (nodes[y].flags if y >= 0 else 0)
        if seen & (MF_F_HELD | MF_F_ABOVE):
            nodes[id].flags |= MF_F_ABOVE
            any_new = True
    return any_new


cdef inline bint stops(int32_t id) noexcept nogil:
    """Whether walks end at this node."""
    return nodes[id].flags & MF_F_HELD and owners[id] >= 0


cdef inline bint settled(int32_t id) noexcept:
    if not stops(id) or (<Value>owner(id)).state is None:
        return False
    return (<NodeState>(<Value>owner(id)).state).refs is not None


cdef int settle(int32_t root) except -1:
    """References for a node's Value, after those of the Values that its walk must stop at."""
    cdef int64_t base = waiting.n
    cdef int32_t id
    if settled(root):
        return 0
    try:
        if not append_id(&waiting, root):
            raise MemoryError
        while waiting.n > base:
            id = waiting.at[waiting.n - 1]
            if id != root and stops(id):
                waiting.n -= 1
            elif walk_down(id):
                give_references(id)
                waiting.n -= 1
    finally:
        waiting.n = base
    return 0


cdef bint walk_down(int32_t id) except -1:
    """Fills `under` with the HELD nodes next under a node. False where others must be settled
    first: these wait now."""
    cdef int64_t before = waiting.n
    cdef int32_t at, side, next_id
    passing.n = 0
    under.n = 0
    if not append_id(&passing, id):
        raise MemoryError
    while passing.n > 0:
        passing.n -= 1
        at = passing.at[passing.n]
        for side in range(2):
            next_id = nodes[at].y if side else nodes[at].x
            if next_id < 0 or not nodes[next_id].flags & (MF_F_HELD | MF_F_ABOVE):
                continue
            if not append_id(list_for(next_id), next_id):
                raise MemoryError
    return waiting.n == before


cdef id_list *list_for(int32_t id) noexcept nogil:
    """Where a walk puts a node that it comes to."""
    cdef mf_node *n = &nodes[id]
    if stops(id):
        return &under
    if n.flags & MF_F_PASSED or (n.uses == 1 and owners[id] < 0):
        n.flags |= MF_F_PASSED
        return &passing
    return &waiting


cdef int give_references(int32_t id) except -1:
    cdef Value value = value_of(id)
    cdef NodeState state = state_for(value)
    cdef int64_t k
    cdef tuple refs = PyTuple_New(under.n)
    for k in range(under.n):
        held = <object>owner(under.at[k])
        Py_INCREF(held)
        PyTuple_SET_ITEM(refs, k, held)
    PyObject_GC_UnTrack(<void *>refs)   # the Value shows what is in it: an object less to look at
    state.refs = refs
    # What a walk went past gets references alone: those above do not refer to its Value.
    if not nodes[id].flags & MF_F_PASSED:
        nodes[id].flags |= MF_F_HELD
        if nodes[id].uses > 1:
            mf_value_pin(<PyObject *>value)
    return 0
