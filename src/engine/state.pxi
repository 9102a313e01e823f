# What Python hangs on a node, and how long it lives.
#
# Three cases, so that graphs without custom parts pay nothing:
# - Nothing hung on it: the Value is a handle that may come and go; `value_of` makes a new one.
# - Plain attributes (numbers, strings: nothing the garbage collector tracks): when the Value goes
#   before the node, they wait in a stash and return with the next Value.
# - A custom _backward, an attribute that could refer back into the graph, a subclass: the node is
#   preserved. Its Value is pinned while another node uses it: nothing is lost that a live node
#   still uses. How the collector nevertheless finds cycles: cycles.pxi.

from cpython.object cimport PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM

from base.eval cimport MF_LINK, MF_PARAM, mf_ops
from engine.node cimport MF_F_STASHED, MF_NONE, mf_node
from engine.store cimport (mf_disown, mf_node_release, mf_node_use, mf_own, mf_owner, mf_stash,
                           mf_store, mf_unstash)
from engine.value_type cimport (MF_PINNED, MF_UNPINNED, mf_value, mf_value_alloc,
                                mf_value_has_only_its_step, mf_value_pin, mf_value_track)

cdef extern from "Python.h":
    int PyObject_IS_GC(PyObject *o) nogil
    void PyObject_GC_UnTrack(void *o)
    void PyErr_Fetch(PyObject **, PyObject **, PyObject **)
    void PyErr_Restore(PyObject *, PyObject *, PyObject *)

cdef dict stashed_attributes = {}   # id -> __dict__ of a node whose Value is gone
cdef dict stashed_states = {}       # id -> its NodeState
cdef list to_drop = []              # objects that go once the store is whole again
cdef int32_t first_due = MF_NONE    # handle of a Value whose pin is to be given back, with the next
cdef int n_dropping = 0             # calls of drop_pending that run
cdef enum:
    MAX_DROPPING = 20
cdef int64_t n_hooks_set = 0       # how often a _backward was assigned
cdef int64_t n_leaf_steps = 0      # how often to a leaf that had none


@cython.internal
@cython.freelist(64)
@cython.no_gc   # its Value, the only one that refers to it, shows the collector what is in it
cdef class NodeState:
    """The rare part of a Value; most have none. value_type.h knows the order of the fields."""
    cdef object hook      # the custom _backward, or None
    cdef object op_text   # _op as the user gave it, or None
    cdef tuple refs       # Values of the preserved nodes next under this one, or None (cycles.pxi)


@cython.internal
@cython.freelist(8)
cdef class Walk:
    """One backward() that is under way. What results of compiled calls have added in it, see
    seeds.pxi: often there is one such call at a time, which needs no dict."""
    cdef object call    # the first one, or None
    cdef object first   # its Seeds
    cdef dict others    # Call -> Seeds, or None
    cdef Walk below     # the next one among those that are under way
    cdef object seen    # called with each node after its step, see watched.pxi; or None


@cython.internal
cdef class Step:
    """A _backward that is C: of what compiled calls return, of custom ops with a rule. It may know
    its node by its id alone: outside of the engine it goes in a HeldStep."""

    cdef int run(self, Walk walk) except -1:
        """Its turn in a walk; None: called by hand."""
        return 0

    cdef list leaves_with_steps(self, set seen):
        """Leaves that it passes gradient on to and that have a step of their own; seen: what was
        looked at before, and need not be again."""
        return []

    cdef list ids_read(self):
        """The nodes that it may pass gradient on to beside those under its own node."""
        return []

    cdef str called(self):
        """The name of the compiled function whose call this is of; None: of none."""
        return None


@cython.internal
cdef class HeldStep:
    """A Step as a callable of Python's, which keeps the Value alive."""
    cdef object value
    cdef Step step

    def __cinit__(self, value, Step step):
        self.value, self.step = value, step

    def __call__(self):
        self.step.run(None)


cdef void pin_value(mf_store *s, int32_t id) noexcept nogil:
    """A preserved node is in use: so its Value stays."""
    mf_value_pin(mf_owner(s, id))


cdef void unpin_value(mf_store *s, int32_t id) noexcept nogil:
    """Nothing uses a preserved node any more: the pin of its Value is due."""
    global first_due
    cdef mf_value *value = <mf_value *>mf_owner(s, id)
    if value is not NULL and value.pin == MF_PINNED:
        value.pin = first_due
        first_due = s.owners[id]


cdef void drop_stash(mf_store *s, int32_t id) noexcept with gil:
    """The node is being freed: what was hung on it goes, but only after the store is whole."""
    drop_later(stashed_attributes.pop(id, None))
    drop_later(stashed_states.pop(id, None))


store.on_used = pin_value
store.on_unused = unpin_value
store.on_unstash = drop_stash


cdef int drop_later(object o) except -1:
    Py_INCREF(o)   # without memory for the list it leaks rather than run Python code now
    to_drop.append(o)
    Py_DECREF(o)
    return 0


cdef int drop_pending() except -1:
    """Drops what freeing left behind; may run any Python code.

    What is dropped may leave more behind: a chain of any length does not recurse, as calls that are
    nested too deep leave it to the first of them.
    """
    global n_dropping, first_due
    cdef Value value
    if n_dropping >= MAX_DROPPING:
        return 0
    n_dropping += 1
    while to_drop or first_due >= 0:
        if to_drop:
            to_drop.pop()
            continue
        value = <Value>store.handles[first_due]
        first_due = value.pin
        if store.nodes[value.id].uses > 1:
            value.pin = MF_PINNED   # it was used again
        else:
            value.pin = MF_UNPINNED
            Py_DECREF(value)   # `value` gives back the last one
            if mf_value_has_only_its_step(<PyObject *>value, 1):
                (<NodeState>value.state).hook = None
            value = None
    n_dropping -= 1
    return 0


cdef tuple refused = None   # of a node that the mode refused: what anomaly() says of it


cdef int raise_no_node() except -1:
    """What stands in the way of a new node: memory, or anomaly.pxi."""
    global refused
    cdef tuple found = refused
    refused = None
    if found is None:
        raise MemoryError("no room for another node")
    from micrograd_fast.anomaly import anomaly

    raise anomaly(*found)


cdef inline int adopt(Value value, int32_t id) except -1:
    """Makes a fresh Value the one of a new node; takes over the caller's use, also on failure.

    The Value is allocated before the node, so that an allocation that fails, or one that sets off
    the garbage collector, never meets a node that nobody holds.
    """
    if id < 0:
        raise_no_node()
    if not mf_own(&store, id, <PyObject *>value):
        mf_node_release(&store, id)
        raise MemoryError("no room for another Value")
    value.id = id
    return 0


cdef Value value_of(int32_t id):
    """The node's Value, made now if nobody holds one."""
    cdef PyObject *other = mf_owner(&store, id)
    cdef Value value
    if other is not NULL:
        return <Value>other
    mf_node_use(&store, id)
    try:
        value = blank_value()
    except MemoryError:
        mf_node_release(&store, id)
        raise
    # Allocating may collect garbage, a finalizer may have asked for the same Value.
    other = mf_owner(&store, id)
    if other is not NULL or not mf_own(&store, id, <PyObject *>value):
        mf_node_release(&store, id)
        if other is NULL:
            raise MemoryError("no room for another Value")
        return <Value>other
    value.id = id
    if store.nodes[id].flags & MF_F_STASHED:
        mf_unstash(&store, id)
        mf_value_track(value)
        value.state = stashed_states.pop(id, None)
        attributes = stashed_attributes.pop(id, None)
        if attributes is not None:
            Py_INCREF(attributes)
            value.attributes = <PyObject *>attributes
    return value


cdef int stash(Value value, int32_t id) except -1:
    """The Value goes, the node stays: keeps what was hung on it if there is anything.

    It moves as it is: nothing is allocated that could set off the garbage collector, so nobody sees
    the node without it.
    """
    cdef NodeState state
    if value.state is not None:
        state = <NodeState>value.state
        if state.refs is not None:
            drop_later(state.refs)
            state.refs = None
        if state.hook is not None or state.op_text is not None:
            mf_stash(&store, id)
            stashed_states[id] = state
    if value.attributes is not NULL and <dict>value.attributes:
        mf_stash(&store, id)
        stashed_attributes[id] = <dict>value.attributes
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
    mf_disown(&store, id)
    if mf_node_release(&store, id):
        if first_due < 0 and not to_drop:
            return
        PyErr_Fetch(&kind, &error, &trace)
    elif (<Value>o).state is None and (<Value>o).attributes is NULL:
        return
    else:
        PyErr_Fetch(&kind, &error, &trace)
        stash(<Value>o, id)
    drop_pending()
    PyErr_Restore(kind, error, trace)


cdef inline Value blank_value():
    """A Value without a node, for adopt(): faster than the type's own call, which gives it one."""
    return <Value>mf_value_alloc()


cdef dict attributes_of(Value value):
    """A copy of what the user hung on the Value, label included."""
    return dict(<dict>value.attributes) if value.attributes is not NULL else {}


cdef NodeState state_at(int32_t id):
    """What hangs on the Value of a node; None: it has no Value, or nothing does."""
    cdef PyObject *value = mf_owner(&store, id)
    return <NodeState>(<Value>value).state if value is not NULL else None


cdef NodeState state_for(Value value):
    if value.state is None:
        mf_value_track(value)
        value.state = NodeState()
    return <NodeState>value.state


cdef list operand_ids(int32_t id):
    """Operands as the user sees them, in order; those of a custom node come through its links."""
    cdef list ids = []
    cdef const mf_node *n = &store.nodes[id]
    while True:
        if n.x >= 0:
            ids.append(n.x)
        if n.y < 0 or mf_ops[n.op].kind == MF_PARAM:
            return ids
        if store.nodes[n.y].op != MF_LINK:
            ids.append(n.y)
            return ids
        n = &store.nodes[n.y]
