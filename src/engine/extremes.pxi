# The largest and the smallest of many Values as one node; extremes.h has the rule for ties.

from base.eval cimport MF_LARGEST, MF_SMALLEST, mf_extreme_of
from engine.modes cimport mf_n_modes, mf_tracing_here
from engine.store cimport mf_leaf_new


cdef object extreme(values, int op, bint detached):
    """A node over at least two Values, or the one; a leaf where no gradient is wanted."""
    cdef tuple children = tuple(values)
    cdef Value value, child
    cdef double z
    if not children:
        raise ValueError("values must hold at least one Value")
    for v in children:
        if not isinstance(v, Value):
            raise TypeError(f"values must be Values, one is {type(v).__name__!r}")
    detached = detached and not (mf_n_modes and mf_tracing_here())
    if len(children) == 1 and not detached:
        return children[0]
    value = blank_value()
    z = store.data[(<Value>children[0]).id]
    for child in children:
        z = mf_extreme_of(op, z, store.data[child.id])
    if detached or not records():
        adopt(value, mf_leaf_new(&store, z))
        return value
    adopt(value, many_new(z, children, op))
    return value


def largest(values, bint detached=False) -> Value:
    """The largest of a sequence of Values; nan if one is. Equal ones share the gradient evenly.

    detached: as a leaf, outside of a trace; there the caller detaches it.
    """
    return extreme(values, MF_LARGEST, detached)


def smallest(values) -> Value:
    """The smallest of a sequence of Values; nan if one is. Equal ones share the gradient evenly."""
    return extreme(values, MF_SMALLEST, False)
