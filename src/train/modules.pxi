# What a module does to its parameters one after the other, in C where they are plain Values. What
# else a module calls its parameters is read and written as Python does it.

from base.absent cimport MF_ABSENT
from engine.modes cimport mf_n_modes, mf_tracing_here
from engine.node cimport MF_F_TRACED
from engine.value_type cimport mf_access_replaced


cdef inline bint is_plain(object p) noexcept:
    """A Value whose data and grad may be read and written here."""
    return (type(p) is Value and not store.nodes[(<Value>p).id].flags & MF_F_TRACED
            and not (mf_n_modes and mf_tracing_here()) and not mf_access_replaced())


def clear_grads(parameters, bint set_to_none) -> None:
    """p.grad = 0 for each. set_to_none: and there is none until backward() comes there."""
    cdef double number = MF_ABSENT if set_to_none else 0.0
    for p in parameters:
        if is_plain(p):
            store.grad[(<Value>p).id] = number
        else:
            p.grad = 0


def data_of(list parameters) -> list:
    """[p.data for p in parameters]"""
    return [store.data[(<Value>p).id] if is_plain(p) else p.data for p in parameters]


def write_data(list parameters, list numbers) -> None:
    """p.data = number for each, after all numbers were checked.

    Raises TypeError for what is no number, OverflowError for an int beyond float64.
    """
    cdef list floats = [number if PyFloat_CheckExact(number) else as_number(number, "data")
                        for number in numbers]
    for p, number in zip(parameters, floats, strict=True):
        if is_plain(p):
            store.data[(<Value>p).id] = PyFloat_AS_DOUBLE(number)
        else:
            p.data = number


def is_leaf_value(Value value not None) -> bool:
    """Whether it is the result of no op and has no operands."""
    mf_value_complete(value)
    return store.nodes[value.id].op == MF_LEAF


def without_repeats(list parameters not None) -> list:
    """The list with each object where it came first."""
    cdef IdMap places = IdMap()
    cdef set others = set()   # what is no Value, by identity
    cdef Py_ssize_t n = 0
    cdef list found = list(parameters)
    for p in parameters:
        if isinstance(p, Value):
            mf_value_complete(p)
            if places.at((<Value>p).id)[0]:
                continue
            places.at((<Value>p).id)[0] = 1
        elif id(p) in others:
            continue
        else:
            others.add(id(p))
        found[n] = p
        n += 1
    del found[n:]
    return found


def add_leaves(list found not None, items) -> bool:
    """Adds a list's Values that are leaves to what was found, passing over numbers and text; False,
    and nothing is added, where other things are in it."""
    cdef list leaves = []
    for v in items:
        if isinstance(v, Value):
            mf_value_complete(v)
            if store.nodes[(<Value>v).id].op == MF_LEAF:
                leaves.append(v)
        elif v is not None and type(v) not in (float, int, str, bool):
            return False
    found += leaves
    return True
