# Comparisons in a trace, whose truth is known at every call anew: a Value of 1 or 0 that only
# mg.where and the like may decide by.

from base.eval cimport MF_EQUAL, MF_LESS, MF_LESS_EQUAL, MF_MAXIMUM, MF_MUL


cdef object comparison(Value self, object other, int op):
    """self < other and the like, where a trace runs."""
    cdef bint flipped = op == Py_GT or op == Py_GE
    cdef int code = MF_LESS if op == Py_LT or op == Py_GT else MF_LESS_EQUAL
    if not isinstance(other, Value):
        if not is_number(other):
            return NotImplemented
        other = own_leaf(as_number(other, "operand"))
    if flipped:
        return condition_of(binary(other, self, code))
    return condition_of(binary(self, other, code))


cdef inline Condition condition_of(Value value):
    return Condition.__new__(Condition, value)


cdef object joined(Condition self, object other, int op):
    """Of two conditions, or a condition and a bool or a Value, which is true unless it is 0."""
    cdef Value y = truth_of(other)
    return NotImplemented if y is None else condition_of(binary(self.value, y, op))


cdef Value truth_of(object thing):
    """1 or 0, of a condition, a bool or a Value; None of anything else."""
    if isinstance(thing, Condition):
        return (<Condition>thing).value
    if isinstance(thing, Value):
        return 1.0 - (<Value>thing).equal(0.0)
    kind = type(thing)
    if kind is bool or kind.__name__ in ("bool_", "bool") and kind.__module__ == "numpy":
        return own_leaf(1.0 if thing else 0.0)
    return None


cdef class Condition:
    """A comparison inside a compiled function: give it to mg.where. Join several by &, |, ^ and ~.
    `value`: 1 or 0 as a Value, which is what arithmetic with it takes."""
    cdef readonly Value value

    def __cinit__(self, Value value not None):
        self.value = value

    def __and__(self, other):
        return joined(self, other, MF_MUL)

    def __rand__(self, other):
        return joined(self, other, MF_MUL)

    def __or__(self, other):
        return joined(self, other, MF_MAXIMUM)

    def __ror__(self, other):
        return joined(self, other, MF_MAXIMUM)

    def __xor__(self, other):
        same = joined(self, other, MF_EQUAL)
        return same if same is NotImplemented else condition_of(1.0 - (<Condition>same).value)

    def __rxor__(self, other):
        return self.__xor__(other)

    def __invert__(self):
        return condition_of(1.0 - self.value)

    def __bool__(self):
        raise_trace_error("deciding by a comparison")
        return True

    def __eq__(self, other):
        if self is other:
            return True
        raise_trace_error("deciding by a comparison")
        return NotImplemented

    def __hash__(self):
        return (<PyTypeObject *>object).tp_hash(self)

    def __repr__(self):
        return "Condition(traced)"

    def __neg__(self):
        return -self.value

    def __add__(self, other):
        return self.value + other

    def __radd__(self, other):
        return other + self.value

    def __sub__(self, other):
        return self.value - other

    def __rsub__(self, other):
        return other - self.value

    def __mul__(self, other):
        return self.value * other

    def __rmul__(self, other):
        return other * self.value

    def __truediv__(self, other):
        return self.value / other

    def __rtruediv__(self, other):
        return other / self.value


def truth(thing):
    """Whether something holds: a bool, or in a trace a Value of 1 or 0 where that is not known yet.
    None for what is neither a condition nor a number."""
    if isinstance(thing, Condition):
        return truth_of(thing)
    if isinstance(thing, Value):
        if mf_n_modes and mf_tracing_here() and not in_aside(True):
            return truth_of(thing)
        check_value(<Value>thing, "a condition")
        return store.data[(<Value>thing).id] != 0.0
    return as_number(thing, "condition") != 0.0 if is_number(thing) else None
