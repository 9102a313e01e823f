# The node store: growing arrays of data, grads and 16-byte records (node.h), who owns each record's
# Value, and the rule that a record lives while a Value or another record uses it.
#
# Data and grads lie apart from the records: freeing and marking touch the records alone, and what
# goes over all parameters (compiled calls, zero_grad, optimizers) nothing but the numbers it needs.
#
# Invariants, between any two calls: `uses` counts the live Value of a node plus the operand slots
# that name it; a free record has op MF_FREE; owners[id] is the handle of the node's Value in
# `handles`, or MF_NONE; record 0 is in use and nobody's. All under the GIL. Nothing here runs
# Python code but forget_orphan, and that only parks objects (see state.pxi), so no caller sees a
# half-done store.

from base.eval cimport MF_FREE, MF_LEAF
from base.memory cimport mf_n_allocs_left, mf_resized
from engine.modes cimport mf_n_special, mf_special_flags
from engine.node cimport (MF_F_ABOVE, MF_F_ASCENDING, MF_F_HELD, MF_F_ORPHAN, MF_F_TRACED,
                          MF_MAX_NODES, MF_NONE, mf_free_handle, mf_next_handle, mf_node)
from engine.value_type cimport MF_PINNED, mf_value, mf_value_pin

cdef mf_node *nodes = NULL       # the records
cdef double *node_data = NULL
cdef double *node_grad = NULL
cdef int32_t *owners = NULL      # per record: handle of its Value, or MF_NONE
cdef int32_t n_nodes = 0         # records handed out so far, free ones included
cdef int32_t cap_nodes = 0
cdef int32_t cursor = 0          # where the next record is looked for
cdef int32_t n_live = 0
cdef int32_t max_nodes = MF_MAX_NODES

cdef PyObject **handles = NULL   # a live Value, or a link to the next free handle
cdef int32_t cap_handles = 0
cdef int32_t free_handle = MF_NONE
cdef int32_t loose = MF_NONE     # first handle of the Values whose pins are to be given back

cdef struct id_list:
    int32_t *at
    int64_t n
    int64_t cap

cdef id_list fresh               # of cycles.pxi: nodes above HELD ones that were given a Value
cdef id_list waiting             # and the lists of its walk
cdef id_list passing
cdef id_list under


cdef bint grow_nodes() noexcept nogil:
    """Room for at least one more record; False when there is none to be had."""
    global nodes, node_data, node_grad, owners, cap_nodes
    cdef int64_t cap = cap_nodes + (cap_nodes >> 1) + 1024
    cdef void *block
    if cap > max_nodes:
        cap = max_nodes
    if cap <= cap_nodes:
        return False
    block = mf_resized(nodes, cap, sizeof(mf_node))
    if block is NULL:
        return False
    nodes = <mf_node *>block
    block = mf_resized(node_data, cap, sizeof(double))
    if block is NULL:
        return False
    node_data = <double *>block
    block = mf_resized(node_grad, cap, sizeof(double))
    if block is NULL:
        return False
    node_grad = <double *>block
    block = mf_resized(owners, cap, sizeof(int32_t))
    if block is NULL:
        return False
    owners = <int32_t *>block
    cap_nodes = <int32_t>cap
    return True


cdef int32_t find_free() noexcept nogil:
    """The first free record from the cursor on, or a fresh one; MF_NONE when memory has run out.

    At the end it starts over where at least a quarter of the records is free, so a record that is
    looked at in vain is paid for by the free ones behind it.
    """
    global n_nodes
    cdef int32_t id = cursor
    while id < n_nodes and nodes[id].op != MF_FREE:
        id += 1
    if id < n_nodes:
        return id
    if (n_nodes - n_live > n_nodes >> 2 and n_nodes >= 1024) or n_nodes == max_nodes:
        id = 0
        while id < n_nodes and nodes[id].op != MF_FREE:
            id += 1
        if id < n_nodes:
            return id
    if n_nodes >= cap_nodes and not grow_nodes():
        return MF_NONE
    nodes[n_nodes].mark = 0
    nodes[n_nodes].op = MF_FREE
    owners[n_nodes] = MF_NONE
    n_nodes += 1
    return n_nodes - 1


cdef inline int32_t node_new(double data, int32_t x, int32_t y, uint8_t op) noexcept nogil:
    """A record with one use, the caller's, that uses x and y; MF_NONE when memory has run out."""
    global cursor, n_live
    cdef int32_t id = cursor
    cdef mf_node *n
    cdef uint8_t ascending = MF_F_ASCENDING, seen = 0
    if id >= n_nodes or nodes[id].op != MF_FREE:
        id = find_free()
        if id < 0:
            return MF_NONE
    cursor = id + 1
    n = &nodes[id]
    node_data[id] = data
    node_grad[id] = 0.0
    n.x = x
    n.y = y
    n.uses = 1
    n.op = op
    if x >= 0:
        nodes[x].uses += 1
        seen = nodes[x].flags
        ascending = nodes[x].flags if x < id else 0
    if y >= 0:
        nodes[y].uses += 1
        seen |= nodes[y].flags
        ascending &= nodes[y].flags if y < id else 0
    n.flags = ascending & MF_F_ASCENDING
    if unlikely(seen & (MF_F_TRACED | MF_F_HELD | MF_F_ABOVE)):
        n.flags |= inherited(x, y, seen)
    if unlikely(mf_n_special):
        n.flags = mf_special_flags(n.flags)
    n_live += 1
    return id


cdef uint8_t inherited(int32_t x, int32_t y, uint8_t seen) noexcept nogil:
    """The flags that operands pass on. From its first user on the Value of a HELD one is pinned."""
    cdef uint8_t flags = seen & MF_F_TRACED
    if seen & (MF_F_HELD | MF_F_ABOVE):
        flags |= MF_F_ABOVE
    if x >= 0 and nodes[x].flags & MF_F_HELD:
        mf_value_pin(owner(x))
    if y >= 0 and nodes[y].flags & MF_F_HELD:
        mf_value_pin(owner(y))
    return flags


cdef void unpin(int32_t id) noexcept nogil:
    """Nothing uses a HELD node any more: the pin of its Value is loose."""
    global loose
    cdef mf_value *value = <mf_value *>owner(id)
    if value is not NULL and value.pin == MF_PINNED:
        value.pin = loose
        loose = owners[id]


cdef inline int32_t leaf_new(double data) noexcept nogil:
    return node_new(data, MF_NONE, MF_NONE, MF_LEAF)


cdef int reserve_record_0() except -1:
    """Record 0 is nobody's: a Value of zeroed memory (mf_value_complete) seems to be of that node.
    Marked as traced, it has no number, and neither has what is computed from it."""
    global n_live
    if n_nodes != 0 or leaf_new(NAN) != 0:
        raise MemoryError("no room for the first node")
    nodes[0].flags |= MF_F_TRACED
    n_live -= 1
    return 0


reserve_record_0()


cdef void free_nodes(int32_t id) noexcept nogil:
    """Frees a record without uses, and all that only it kept alive.

    The pending records are a list through their own `uses`. y before x: the reverse of the usual
    order of creation. The cursor goes back to the lowest of them, so that the next graph ascends
    through the same records, unless what it would look at in vain is more than they pay for.
    """
    global cursor, n_live
    cdef int32_t pending = MF_NONE, next_id, x, y, lowest = id
    cdef int64_t n_freed = 0
    cdef mf_node *n
    while True:
        n = &nodes[id]
        x = n.x
        y = n.y
        if n.flags & MF_F_ORPHAN:
            forget_orphan(id)
        n.op = MF_FREE
        if id < lowest:
            lowest = id
        n_freed += 1
        next_id = MF_NONE
        if y >= 0:
            nodes[y].uses -= 1
            if nodes[y].uses == 0:
                next_id = y
            elif nodes[y].uses == 1 and nodes[y].flags & MF_F_HELD:
                unpin(y)
        if x >= 0:
            nodes[x].uses -= 1
            if nodes[x].uses == 0:
                if next_id >= 0:
                    nodes[x].uses = <uint32_t>pending
                    pending = x
                else:
                    next_id = x
            elif nodes[x].uses == 1 and nodes[x].flags & MF_F_HELD:
                unpin(x)
        if next_id < 0:
            if pending < 0:
                break
            next_id = pending
            pending = <int32_t>nodes[next_id].uses
        id = next_id
    if 0 < <int64_t>cursor - lowest <= 64 + 4 * n_freed:
        cursor = lowest
    n_live -= <int32_t>n_freed


cdef inline void node_release(int32_t id) noexcept nogil:
    """Gives one use back."""
    nodes[id].uses -= 1
    if nodes[id].uses == 0:
        free_nodes(id)
    elif nodes[id].uses == 1 and nodes[id].flags & MF_F_HELD:
        unpin(id)


cdef bint grow_handles() noexcept nogil:
    global handles, cap_handles, free_handle
    cdef int64_t cap = <int64_t>cap_handles * 2 + 256
    cdef void *block
    cdef int32_t h
    if cap > MF_MAX_NODES:
        cap = MF_MAX_NODES
    if cap <= cap_handles:
        return False
    block = mf_resized(handles, cap, sizeof(PyObject *))
    if block is NULL:
        return False
    handles = <PyObject **>block
    for h in range(<int32_t>cap - 1, cap_handles - 1, -1):
        handles[h] = <PyObject *>mf_free_handle(free_handle)
        free_handle = h
    cap_handles = <int32_t>cap
    return True


cdef inline bint own(int32_t id, PyObject *value) noexcept nogil:
    """Makes value (borrowed) the one Value of a node; False when memory has run out."""
    global free_handle
    cdef int32_t h = free_handle
    if h < 0:
        if not grow_handles():
            return False
        h = free_handle
    free_handle = mf_next_handle(handles[h])
    handles[h] = value
    owners[id] = h
    if nodes[id].flags & MF_F_ABOVE:
        note_above(id)
    return True


cdef inline void disown(int32_t id) noexcept nogil:
    global free_handle
    cdef int32_t h = owners[id]
    handles[h] = <PyObject *>mf_free_handle(free_handle)
    free_handle = h
    owners[id] = MF_NONE


cdef inline PyObject *owner(int32_t id) noexcept nogil:
    """The node's Value, borrowed, or NULL."""
    return handles[owners[id]] if owners[id] >= 0 else NULL


def live_nodes() -> int:
    """How many node records are in use, constants and hidden ones included."""
    return n_live


def store_bytes() -> int:
    """Bytes that the store has asked the system for."""
    return (<int64_t>cap_nodes * (sizeof(mf_node) + 2 * sizeof(double) + sizeof(int32_t))
            + <int64_t>cap_handles * sizeof(PyObject *)
            + (cap_order + fresh.cap + waiting.cap + passing.cap + under.cap)
            * <int64_t>sizeof(int32_t))


def _set_limits(*, max_nodes_to=None, fail_after=None) -> None:
    """Test hook: lower the id limit (None: the real one); let the n-th allocation from now fail."""
    global max_nodes, mf_n_allocs_left
    # One more: record 0 is nobody's.
    max_nodes = MF_MAX_NODES if max_nodes_to is None else min(max_nodes_to + 1, MF_MAX_NODES)
    mf_n_allocs_left = -1 if fail_after is None else fail_after
