# Whether an object goes because an exception leaves the frame that held it (unwinding.h).
from cpython.object cimport PyTypeObject

cdef extern from "engine/unwinding.h":
    int mf_unwinds
    void mf_look_at_dealloc(PyTypeObject *type)
