# What Python hangs on a node, and how long it lives. Needs store.pxi.
#
# Three cases, so that graphs without custom parts pay nothing:
# - Nothing hung on it: the Value is a handle that may come and go; `value_of` makes a new one.
# - Plain attributes (numbers, strings: nothing the garbage collector tracks): when the Value goes
#   before the node, they wait in `orphan_attributes` and return with the next Value.
# - A custom _backward, an attribute that could refer back into the graph, a subclass: the node is
#   HELD. Values of the nodes that use it hold a true reference to its Value and are HELD in turn,
#   so the collector sees the same object graph that micrograd would show it: cycles are
#   collected in one pass, and nothing is lost that a live node still uses.

from cpython.object cimport PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF

cdef extern from "Python.h":
    int PyObject_IS_GC(PyObject *o) nogil
    int PyGC_Enable()
    int PyGC_Disable()
    void PyErr_Fetch(PyObject **, PyObject **, PyObject **)
    void PyErr_Restore(PyObject *, PyObject *, PyObject *)

cdef extern from "value_type.h":
    object mf_value_alloc()
    void mf_value_track(object value)

cdef dict orphan_attributes = {}   # id -> __dict__ of a node whose Value is gone
cdef dict orphan_states = {}       # id -> its NodeState
cdef list parked = []              # objects to drop once the store is whole again
cdef int64_t n_hooks_set = 0       # how often a _backward was assigned


@cython.internal
@cython.freelist(64)
@cython.no_gc_clear   # a collection breaks cycles at the Value (value_type.h), if it is HELD
cdef class NodeState:
    """The rare part of a Value; most have none."""
    cdef object hook      # the custom _backward, or None
    cdef object op_text   # _op as the user gave it, or None
    cdef tuple refs       # Values of the HELD operands


@cython.internal
@cython.freelist(8)
cdef class Walk:
    """One backward() that is under way."""
    cdef dict seeds   # what results of compiled calls have added in it, see seeds.pxi; or None


@cython.internal
cdef class Step:
    """A _backward that is C: of what compiled calls return. Called without the way by Python."""

    cdef int run(self, Walk walk) except -1:
        """Its turn in a walk; None: called by hand."""
        return 0

    def __call__(self):
        self.run(None)


cdef void forget_orphan(int32_t id) noexcept with gil:
    """The node is being freed: its attributes go, but only after the store is whole."""
    park(orphan_attributes.pop(id, None))
    park(orphan_states.pop(id, None))


cdef int park(object o) except -1:
    Py_INCREF(o)   # without memory to park it, it leaks rather than run Python code now
    parked.append(o)
    Py_DECREF(o)
    return 0


cdef int drop_parked() except -1:
    """Drops what freeing left behind; may run any Python code."""
    while parked:
        parked.pop()
    return 0


cdef inline int adopt(Value value, int32_t id) except -1:
    """Makes a fresh Value the one of a new node; takes over the caller's use, also on failure.

    The Value is allocated before the node, so that an allocation that fails, or one that sets off
    the garbage collector, never meets a node that nobody holds.
    """
    if id < 0:
        raise MemoryError("no room for another node")
    if not own(id, <PyObject *>value):
        node_release(id)
        raise MemoryError("no room for another Value")
    value.id = id
    return 0


cdef Value value_of(int32_t id):
    """The node's Value, made now if nobody holds one."""
    cdef PyObject *held = owner(id)
    cdef Value value
    if held is not NULL:
        return <Value>held
    nodes[id].uses += 1
    value = blank_value()
    # Allocating may collect garbage, a finalizer may have asked for the same Value.
    held = owner(id)
    if held is not NULL or not own(id, <PyObject *>value):
        node_release(id)
        if held is NULL:
            raise MemoryError("no room for another Value")
        return <Value>held
    value.id = id
    if nodes[id].flags & MF_F_ORPHAN:
        nodes[id].flags &= ~MF_F_ORPHAN
        mf_value_track(value)
        value.state = orphan_states.pop(id, None)
        attributes = orphan_attributes.pop(id, None)
        if attributes is not None:
            Py_INCREF(attributes)
            value.attributes = <PyObject *>attributes
    return value


cdef int orphan(Value value, int32_t id) except -1:
    """The Value goes, the node stays: keeps its attributes if there are any.

    They move as they are: nothing is allocated that could set off the garbage collector, so nobody
    sees the node without them.
    """
    if value.state is not None:
        nodes[id].flags |= MF_F_ORPHAN
        orphan_states[id] = value.state
    if value.attributes is not NULL and <dict>value.attributes:
        nodes[id].flags |= MF_F_ORPHAN
        orphan_attributes[id] = <dict>value.attributes
    return 0


cdef void drop_node(PyObject *o) noexcept:
    """What a Value's deallocation does to its node, once. May run any Python code, but only after
    the store is whole; an exception on its way stays."""
    cdef int32_t id = (<Value>o).id
    cdef PyObject *kind
    cdef PyObject *error
    cdef PyObject *trace
    if id < 0:
        return
    (<Value>o).id = MF_NONE
    disown(id)
    nodes[id].uses -= 1
    if nodes[id].uses == 0:
        free_nodes(id)
        if not parked:
            return
        PyErr_Fetch(&kind, &error, &trace)
    elif (<Value>o).state is None and (<Value>o).attributes is NULL:
        return
    else:
        PyErr_Fetch(&kind, &error, &trace)
        orphan(<Value>o, id)
    drop_parked()
    PyErr_Restore(kind, error, trace)


cdef inline Value blank_value():
    """A Value without a node, for adopt(): faster than the type's own call, which gives it one."""
    return <Value>mf_value_alloc()


cdef dict attributes_of(Value value):
    """A copy of what the user hung on the Value, label included."""
    return dict(<dict>value.attributes) if value.attributes is not NULL else {}


cdef NodeState state_for(Value value):
    if value.state is None:
        mf_value_track(value)
        value.state = NodeState()
    return <NodeState>value.state


cdef list operand_ids(int32_t id):
    """Operands as the user sees them, in order; those of a custom node come through its links."""
    cdef list ids = []
    cdef mf_node *n = &nodes[id]
    while True:
        if n.x >= 0:
            ids.append(n.x)
        if n.y < 0 or mf_ops[n.op].kind == MF_PARAM:
            return ids
        if nodes[n.y].op != MF_LINK:
            ids.append(n.y)
            return ids
        n = &nodes[n.y]


cdef tuple held_operands(int32_t id):
    """Values of the operands that are HELD; made where a collection took them away.

    No list comprehension: Cython 3.3 gives up an item twice where its append runs out of memory.
    """
    cdef list held = []
    for k in operand_ids(id):
        if nodes[<int32_t>k].flags & MF_F_HELD:
            held.append(value_of(k))
    return tuple(held)


cdef int hold_result(Value value) except -1:
    """Called for a new node with a HELD operand."""
    state_for(value).refs = held_operands(value.id)
    nodes[value.id].flags |= MF_F_HELD
    return 0


cdef int hold(Value value) except -1:
    """From now on the node's Value must live as long as the node."""
    if nodes[value.id].flags & MF_F_HELD:
        return 0
    if nodes[value.id].uses > 1:
        hold_users(value)
    nodes[value.id].flags |= MF_F_HELD
    return 0


cdef int hold_users(Value value) except -1:
    """Something was hung on a node that is in use already: all that depend on it become HELD.

    Nodes do not know their users, so this looks through the whole store; it is as rare as the
    habit of giving containers to nodes after building on them. On an error nothing is HELD.
    """
    cdef int collecting = PyGC_Disable()  # a finalizer could free what was just found
    try:
        return hold_all(mark_users(value.id), value.id)
    finally:
        if collecting:
            PyGC_Enable()


cdef bytearray mark_users(int32_t used):
    """A byte per record: 1 for `used` and for all nodes that depend on it."""
    cdef bytearray found = bytearray(n_nodes)
    cdef uint8_t *mark = found
    cdef int32_t id
    cdef bint again = True
    mark[used] = 1
    while again:
        again = False
        for id in range(n_nodes):
            if mark[id] or nodes[id].op == MF_LEAF or nodes[id].op == MF_FREE:
                continue
            if (nodes[id].x >= 0 and mark[nodes[id].x]) or (nodes[id].y >= 0 and mark[nodes[id].y]):
                mark[id] = again = True
    return found


cdef int hold_all(bytearray found, int32_t used) except -1:
    cdef uint8_t *mark = found
    cdef int32_t id
    cdef list users = [], refs = [], held
    for id in range(<int32_t>len(found)):
        if mark[id] and id != used and nodes[id].op != MF_LINK:
            users.append(value_of(id))
    for user in users:
        held = []
        for k in operand_ids((<Value>user).id):
            if mark[<int32_t>k] or nodes[<int32_t>k].flags & MF_F_HELD:
                held.append(value_of(k))
        refs.append(tuple(held))
        state_for(<Value>user)
    for user, operands in zip(users, refs):
        (<NodeState>(<Value>user).state).refs = operands
        nodes[(<Value>user).id].flags |= MF_F_HELD
    return 0
