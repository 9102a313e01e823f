# What a Value shows of itself as Python containers: _prev as a set, __dict__ as a dict. Both are
# whole objects of those types for whoever reads; a write that would be lost is refused, or goes to
# where it counts.

from cpython.set cimport PySet_Add
from cpython.weakref cimport PyWeakref_NewRef

from engine.value_type cimport mf_value_complete, mf_value_track


@cython.internal
cdef class Operands(set):
    """v._prev: a set like any other, but the operands of a node never change."""

    def __refuse(self, *others):
        raise TypeError("the operands of a node do not change: give them to the constructor, "
                        "Value(data, (a, b), op), or change a copy, set(v._prev)")

    add = discard = remove = pop = clear = update = difference_update = __refuse
    intersection_update = symmetric_difference_update = __refuse

    def __ior__(self, other):
        self.__refuse()

    def __iand__(self, other):
        self.__refuse()

    def __isub__(self, other):
        self.__refuse()

    def __ixor__(self, other):
        self.__refuse()

    def copy(self):
        return set(self)

    def __reduce__(self):
        return set, (list(self),)

    def __repr__(self):
        return repr(set(self))


cdef Operands operands_of(Value value):
    cdef Operands found = Operands.__new__(Operands)
    for k in operand_ids(value.id):
        PySet_Add(found, value_of(k))
    return found


@cython.internal
cdef class Attributes(dict):
    """v.__dict__: what was hung on a Value. data, grad and the rest of micrograd's attributes are
    kept elsewhere; read or written here by name they are the Value's own."""
    cdef object owner   # weak, for the Value holds this

    def __setitem__(self, name, attribute):
        if name in PROPERTIES:
            setattr(self.value(), name, attribute)
        else:
            dict.__setitem__(self, name, attribute)
            note_freeze(name)

    def __missing__(self, name):
        if name in PROPERTIES:
            return getattr(self.value(), name)
        raise KeyError(name)

    cdef object value(self):
        value = self.owner()
        if value is None:
            raise ReferenceError("the Value of this __dict__ is gone")
        return value

    def update(self, *others, **named):
        for name, attribute in dict(*others, **named).items():
            self[name] = attribute

    def setdefault(self, name, default=None):
        if name in PROPERTIES:
            return getattr(self.value(), name)
        return dict.setdefault(self, name, default)

    def __ior__(self, other):
        self.update(other)
        return self

    def copy(self):
        return dict(self)

    def __reduce__(self):
        return dict, (dict(self),)


cdef object dict_of(object o):
    """Lent to value_type.h: v.__dict__. Who has it may hang anything on the node unseen, references
    back into the graph too."""
    cdef Value value = <Value>o
    cdef Attributes made
    cdef PyObject *old = value.attributes
    mf_value_complete(value)
    mf_value_track(value)
    preserve(value)
    note_freeze("requires_grad")   # it may be taken out of there
    if old is NULL or type(<object>old) is not Attributes:
        made = Attributes(<object>old) if old is not NULL else Attributes()
        made.owner = PyWeakref_NewRef(value, None)
        Py_INCREF(made)
        value.attributes = <PyObject *>made
        if old is not NULL:
            Py_DECREF(<object>old)
    return <object>value.attributes


cdef int replace_dict(object o, object attributes) except -1:
    """Lent to value_type.h: v.__dict__ = attributes."""
    if not isinstance(attributes, dict):
        raise TypeError(f"__dict__ must be a dict, not {type(attributes).__name__!r}")
    cdef dict wanted = dict(attributes)
    kept = dict_of(o)
    dict.clear(kept)
    kept.update(wanted)
    return 0
