# What the garbage collector is shown of the graph, so that it finds cycles through custom steps.
#
# A step may refer to anything: to its own node, to operands, to nodes above. Those above keep it
# alive by records that the collector cannot see, and while the graph is built nothing else does:
# no node above a preserved one costs more than a flag, MF_F_ABOVE. Its Value, if it has one, is
# noted.
#
# When a collection starts, each noted Value that is still there gets references to the Values of
# the preserved nodes next under it, and its own node is preserved from then on. A Value's pin is
# then a reference from itself to itself: whoever uses its node has a reference too. So pins may be
# shown, and the collector sees the object graph that micrograd would show it. In all other
# collections pins are hidden and what is pinned counts as reachable: too much is kept, never too
# little.
#
# A walk down goes past results that nothing else refers to (MF_F_BYPASSED) and stops at preserved
# nodes; those with a Value or several users become preserved first, so each record is walked over
# once.
#
# A node that becomes preserved while it is in use puts everything above it in doubt (`in_doubt`): a
# pass over all records flags them anew. It waits until the collections and the steps that came so
# late since the last pass have cost as much, or for a full collection.

from base.eval cimport MF_FREE
from base.memory cimport mf_resized
from engine.node cimport MF_F_ABOVE, MF_F_BYPASSED, MF_F_PRESERVED, mf_node
from engine.store cimport (mf_bypass, mf_flag_above, mf_new_epoch, mf_owner, mf_preserve, mf_store,
                           mf_store_bytes)
from engine.value_type cimport mf_cycles_shown, mf_value_track

# Most steps need no collection at all (mf_value_has_only_its_step), and a graph that is in use
# outlives young collections anyway: the work is left to those that look at everything. CPython 3.14
# makes none of these by itself; there the second generation must do.
from cpython.version cimport PY_VERSION_HEX

cdef int shown_from = 1 if PY_VERSION_HEX >= 0x030E0000 else 2

cdef bint callback_set = False
cdef bint giving = False          # references are being given: what is noted meanwhile has its turn
cdef bint in_doubt = False        # flags and references may lack something
cdef int64_t credit = 0           # how many records the next pass may look at, roughly

cdef struct id_list:
    int32_t *at
    int64_t n
    int64_t cap

cdef id_list noted                # nodes above preserved ones that were given a Value
cdef id_list without_references   # a stack: whose Values are to get references, the next one last
cdef id_list through              # a stack: where the walk under way still has to go down
cdef id_list next_under           # the preserved nodes that it has found

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


cdef void note_above(mf_store *s, int32_t id) noexcept nogil:
    """A node above a preserved one has a Value."""
    global in_doubt, mf_cycles_shown
    if giving:
        return
    mf_cycles_shown = False
    if noted.n == noted.cap:
        forget_gone()
        if 2 * noted.n < noted.cap:
            noted.at[noted.n] = id
            noted.n += 1
            return
    if not append_id(&noted, id):
        in_doubt = True   # the pass over all records finds it


store.on_owned = note_above


cdef void forget_gone() noexcept nogil:
    """Takes nodes out of the list that have no Value any more, and those that are there twice."""
    cdef uint16_t epoch = mf_new_epoch(&store)
    cdef int64_t k, n = 0
    cdef int32_t id
    for k in range(noted.n):
        id = noted.at[k]
        if has_value(id) and store.nodes[id].mark != epoch:
            store.nodes[id].mark = epoch
            noted.at[n] = id
            n += 1
    noted.n = n


cdef inline bint has_value(int32_t id) noexcept nogil:
    return store.nodes[id].op != MF_FREE and store.owners[id] >= 0


cdef int preserve(Value value) except -1:
    """From now on the Value lives as long as its node."""
    global in_doubt, credit, mf_cycles_shown
    if store.nodes[value.id].flags & MF_F_PRESERVED:
        return 0
    if not callback_set:
        set_callback()
    mf_value_track(value)
    mf_cycles_shown = False
    if mf_preserve(&store, value.id):
        in_doubt = True
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
    drop_pending()
    credit += CREDIT_OF_COLLECTION
    if info["generation"] < shown_from:
        return
    if in_doubt and credit < store.n_nodes and info["generation"] < 2:
        return
    try:
        show_cycles()
    except MemoryError:
        pass   # as many collections as it takes
    # What follows runs no Python code until the garbage is known; new nodes reset it.


cdef int show_cycles() except -1:
    """Gives every Value above preserved nodes its references."""
    global giving, mf_cycles_shown
    cdef int64_t k
    giving = True
    try:
        if in_doubt:
            note_all()
        for k in range(noted.n):
            if has_value(noted.at[k]):
                give_references_from(noted.at[k])
        noted.n = 0
    finally:
        giving = False
    mf_cycles_shown = not in_doubt
    return 0


cdef int note_all() except -1:
    """The pass over all records: flags what is above preserved nodes and notes its Values."""
    global in_doubt, credit
    cdef int32_t id
    mf_flag_above(&store)
    noted.n = 0
    for id in range(store.n_nodes):
        if not store.nodes[id].flags & MF_F_ABOVE or not has_value(id):
            continue
        if not append_id(&noted, id):
            raise MemoryError
        if (<Value>mf_owner(&store, id)).state is not None:
            (<NodeState>(<Value>mf_owner(&store, id)).state).refs = None
    in_doubt = False
    credit = 0
    return 0


cdef inline bint stops(int32_t id) noexcept nogil:
    """Whether walks end at this node."""
    return store.nodes[id].flags & MF_F_PRESERVED and store.owners[id] >= 0


cdef inline bint has_references(int32_t id) noexcept:
    if not stops(id) or (<Value>mf_owner(&store, id)).state is None:
        return False
    return (<NodeState>(<Value>mf_owner(&store, id)).state).refs is not None


cdef int give_references_from(int32_t root) except -1:
    """References for a node's Value, after those of the Values that its walk must stop at."""
    cdef int64_t base = without_references.n
    cdef int32_t id
    if has_references(root):
        return 0
    try:
        if not append_id(&without_references, root):
            raise MemoryError
        while without_references.n > base:
            id = without_references.at[without_references.n - 1]
            if id != root and stops(id):
                without_references.n -= 1
            elif walk_down(id):
                give_references(id)
                without_references.n -= 1
    finally:
        without_references.n = base
    return 0


cdef bint walk_down(int32_t id) except -1:
    """Finds the preserved nodes next under a node. False where others must be given references
    first: these are on the stack then."""
    cdef int64_t before = without_references.n
    cdef int32_t at, side, below
    through.n = 0
    next_under.n = 0
    if not append_id(&through, id):
        raise MemoryError
    while through.n > 0:
        through.n -= 1
        at = through.at[through.n]
        for side in range(2):
            below = store.nodes[at].y if side else store.nodes[at].x
            if below < 0 or not store.nodes[below].flags & (MF_F_PRESERVED | MF_F_ABOVE):
                continue
            if not append_id(list_for(below), below):
                raise MemoryError
    return without_references.n == before


cdef id_list *list_for(int32_t id) noexcept nogil:
    """Where a walk puts a node that it comes to."""
    cdef const mf_node *n = &store.nodes[id]
    if stops(id):
        return &next_under
    if n.flags & MF_F_BYPASSED or (n.uses == 1 and store.owners[id] < 0):
        mf_bypass(&store, id)
        return &through
    return &without_references


cdef int give_references(int32_t id) except -1:
    """To the node's Value, made now where nobody has it: to those of the nodes next under it."""
    cdef Value value = value_of(id)
    cdef NodeState state = state_for(value)
    cdef int64_t k
    cdef tuple refs = PyTuple_New(next_under.n)
    for k in range(next_under.n):
        under = <object>mf_owner(&store, next_under.at[k])
        Py_INCREF(under)
        PyTuple_SET_ITEM(refs, k, under)
    PyObject_GC_UnTrack(<void *>refs)   # the Value shows what is in it: an object less to look at
    state.refs = refs
    # A bypassed one gets references alone: those above do not refer to its Value.
    if not store.nodes[id].flags & MF_F_BYPASSED:
        mf_preserve(&store, id)
    return 0


def store_bytes() -> int:
    """Bytes that the store and the lists about it have asked the system for."""
    cdef int64_t n_ids = noted.cap + without_references.cap + through.cap + next_under.cap
    return mf_store_bytes(&store) + n_ids * <int64_t>sizeof(int32_t)
