# Value's methods for the rows of the op table (op_methods.h).
from cpython.object cimport PyTypeObject

cdef extern from "engine/op_methods.h":
    int mf_add_op_methods(PyTypeObject *t) except -1
