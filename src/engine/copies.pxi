# Copies and pickles of leaf Values, and of what subclasses add to them.
#
# A plain Value is (data, grad), or (data, grad, op, attributes) where anything hangs on it. Where a
# subclass has slots or one of pickle's methods, the copy is made as Python would make that of a
# class whose __dict__ held data and grad, as micrograd's does: they are in the state that
# __getstate__ gives, and __setstate__ may change them; and they are set before it, so a state that
# leaves them out loses nothing.

import copyreg

from base.eval cimport MF_LEAF
from engine.modes cimport mf_n_modes, mf_tracing_here
from engine.node cimport MF_F_HOOK, MF_F_TRACED, mf_node
from engine.store cimport mf_mark_filled
from engine.value_type cimport (mf_access_replaced, mf_constructor_replaced, mf_value_complete,
                                mf_value_subclassed)

cdef extern from "Python.h":
    PyObject *_PyType_Lookup(PyTypeObject *t, object name)

cdef dict registered = copyreg.dispatch_table   # reducers that a program gave for a class


cdef object found(object cls, str name):
    """What a class or its bases have under a name, unbound; None: nothing."""
    cdef PyObject *attribute = _PyType_Lookup(<PyTypeObject *>cls, name)
    return <object>attribute if attribute is not NULL else None


cdef bint differs(object cls, str name):
    return found(cls, name) is not found(Value, name)


cdef int check_copyable(Value value) except -1:
    check_value(value, "copying or pickling")
    cdef const mf_node *n = &store.nodes[value.id]
    if n.op != MF_LEAF:
        raise TypeError("only leaf Values can be copied or pickled, this one is the result of "
                        f"{op_text(value) or 'a custom op'!r}: use v.detach()")
    if n.flags & MF_F_HOOK:
        raise TypeError("a Value with a custom _backward cannot be copied or pickled")
    return 0


cdef bint is_plain_leaf(Value value) noexcept:
    """Whether a copy is data, grad and attributes, and nobody else's methods make it."""
    cdef const mf_node *n = &store.nodes[value.id]
    return (type(value) is Value and n.op == MF_LEAF and not n.flags & (MF_F_HOOK | MF_F_TRACED)
            and not (mf_n_modes and mf_tracing_here()) and is_as_it_came())


cdef inline bint is_bare(Value value) noexcept:
    """Whether nothing hangs on it: what a model has by the hundred thousand."""
    return value.state is None and value.attributes is NULL


cdef inline bint is_as_it_came() noexcept:
    """Whether Values are made and filled by nobody's methods but their own."""
    return not (mf_constructor_replaced() or mf_access_replaced())


def _leaf(data, grad):
    """The copy of a plain leaf."""
    cdef double number = as_number(data, "data"), gradient = as_number(grad, "grad")
    cdef Value made
    if not is_as_it_came():
        made = Value.__new__(Value)
        made.__setstate__((number, gradient, "", {}))
        return made
    made = own_leaf(number)
    store.grad[made.id] = gradient
    return made


cdef object deep_copy(Value value, dict memo):
    """Value.__deepcopy__(memo). What copy.deepcopy would make of reduced() took twenty times as
    long."""
    cdef Value made
    cdef bint plain = is_plain_leaf(value) and Value not in registered
    if plain:
        made = own_leaf(store.data[value.id])
        store.grad[made.id] = store.grad[value.id]
        if is_bare(value):
            return made
    import copy

    if plain:
        memo[id(value)] = made   # attributes may refer to it
        set_extras(made, op_text(value), copy.deepcopy(attributes_of(value), memo))
        return made
    other = getattr(super(Value, value), "__deepcopy__", None)
    if other is not None:   # of a class that stands after Value among a subclass's bases
        return other(memo)
    reducer = registered.get(type(value))
    parts = reducer(value) if reducer is not None else value.__reduce_ex__(4)
    return value if isinstance(parts, str) else copy._reconstruct(value, memo, *parts)


cdef object reduced(Value value):
    """What pickle and copy ask for."""
    if is_bare(value) and is_plain_leaf(value):
        return _leaf, (store.data[value.id], store.grad[value.id])
    check_copyable(value)
    cls = type(value)
    data, grad, text = store.data[value.id], store.grad[value.id], op_text(value)
    args, kwargs = new_arguments(value)
    plain = not (args or kwargs or differs(cls, "__getstate__") or differs(cls, "__setstate__"))
    if plain and (cls is Value or not copyreg._slotnames(cls)):
        return copyreg.__newobj__, (cls,), (data, grad, text, attributes_of(value))
    return _restored, (cls, data, grad, text, args, kwargs), value.__getstate__()


cdef tuple new_arguments(Value value):
    """(args, kwargs) for __new__, by pickle's rules."""
    cls = type(value)
    if cls is Value:
        return (), {}
    if found(cls, "__getnewargs_ex__") is not None:
        args, kwargs = value.__getnewargs_ex__()
    elif found(cls, "__getnewargs__") is not None:
        args, kwargs = value.__getnewargs__(), {}
    else:
        return (), {}
    if not isinstance(args, tuple) or not isinstance(kwargs, dict):
        raise TypeError(f"{cls.__name__}: __getnewargs__ must return a tuple, __getnewargs_ex__ a "
                        "tuple and a dict")
    return args, kwargs


def _restored(cls, data, grad, op, tuple args, dict kwargs):
    """The copy, as far as it goes without __setstate__."""
    value = cls.__new__(cls, *args, **kwargs)
    if isinstance(value, Value):
        fill(<Value>value, data, grad, op)
    return value


cdef int fill(Value value, data, grad, op) except -1:
    cdef double number = as_number(data, "data"), gradient = as_number(grad, "grad")
    mf_value_complete(value)
    if store.nodes[value.id].op != MF_LEAF:
        raise TypeError("only a leaf Value can take a state")
    if op:
        value._op = op
    store.data[value.id] = number
    store.grad[value.id] = gradient
    mf_mark_filled(&store, value.id)
    return 0


cdef object state_of(Value value):
    """Value.__getstate__()"""
    check_copyable(value)
    state = {"data": store.data[value.id], "grad": store.grad[value.id], **attributes_of(value)}
    if op_text(value):
        state["_op"] = op_text(value)
    slots = {}
    for name in copyreg._slotnames(type(value)) or ():
        if hasattr(value, name):
            slots[name] = getattr(value, name)
    return (state, slots) if slots else state


cdef int set_state(Value value, state) except -1:
    """Value.__setstate__(state): a plain Value's four, or what state_of gives. The numbers, checked
    first, are set last: a state that is refused leaves them as they were."""
    cdef dict numbers
    slots, text = {}, ""
    if isinstance(state, tuple) and len(state) == 4:
        data, grad, text, state = state
        numbers = {"data": data, "grad": grad}
    else:
        if isinstance(state, tuple) and len(state) == 2:
            state, slots = state
            state = {} if state is None and slots else state   # as copyreg gives it
        numbers = {name: state[name] for name in ("data", "grad")
                   if isinstance(state, dict) and name in state}
        state = ({name: x for name, x in state.items() if name not in numbers}
                 if isinstance(state, dict) else state)
    if not isinstance(state, dict) or not isinstance(slots, dict):
        raise TypeError("the state of a Value is (data, grad, op, attributes), a dict of "
                        "attributes, or such a dict and one of slots")
    for name, number in numbers.items():
        numbers[name] = as_number(number, name)
    mf_value_complete(value)
    if store.nodes[value.id].op != MF_LEAF:
        raise TypeError("only a leaf Value can take a state")
    set_extras(value, text, {**state, **slots})
    store.data[value.id] = numbers.get("data", store.data[value.id])
    store.grad[value.id] = numbers.get("grad", store.grad[value.id])
    mf_mark_filled(&store, value.id)
    return 0


cdef int set_extras(Value value, text, dict attributes) except -1:
    if text:
        value._op = text
    for name, attribute in list(attributes.items()):
        setattr(value, name, attribute)
    return 0


# ---- subclasses ----

# Read and written in C, whatever a subclass says; _op is text for people alone.
cdef tuple FIXED = ("data", "grad", "_prev", "_backward")


def subclassed(cls, **kwargs):
    """Value.__init_subclass__ (value_setup.pxi): FIXED, which C reads, may not be overridden."""
    super(Value, cls).__init_subclass__(**kwargs)
    mf_value_subclassed(<PyTypeObject *>cls)
    check_subclass(cls)


cdef int check_subclass(cls) except -1:
    """Raises TypeError for a class that overrides what the engine would not ask it for."""
    for name in FIXED:
        if differs(cls, name):
            raise TypeError(f"{cls.__name__}.{name} cannot be overridden: ops and backward() use "
                            f"the number that the engine holds. Give it another name, or convert "
                            f"where {name} is assigned")
    for name in ("__setattr__", "__getattribute__"):
        if found(cls, name) is not found(cls.__base__, name):
            import warnings

            warnings.warn(f"{cls.__name__}.{name} is called for what Python code reads and "
                          "assigns, not for the data and grad that ops, backward() and optimizers "
                          "use", RuntimeWarning, stacklevel=1)
    return 0
