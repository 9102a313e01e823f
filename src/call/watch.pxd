# What a trace read, compared before a replay (watch.h).
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport int32_t, uint64_t

cdef extern from "call/watch.h":
    enum:
        MF_WATCH_WORD
        MF_WATCH_OBJECT
        MF_WATCH_DICT
        MF_WATCH_ITEMS
        MF_WATCH_TYPE
        MF_WATCH_SLOW
    ctypedef struct mf_watched:
        int32_t kind
        int32_t index
        PyObject *object
        PyTypeObject *type
        PyObject **where
        PyObject *saved
        const uint64_t *version
        uint64_t seen
    PyObject **mf_items_of(PyObject *o)
    uint64_t mf_type_version(PyTypeObject *type)
    Py_ssize_t mf_slot_offset(object member)
    Py_ssize_t mf_watch_scan(const mf_watched *w, Py_ssize_t k, Py_ssize_t n)
    const uint64_t *mf_version_of(PyObject *dict)
    const uint64_t *mf_version_of_attributes(PyObject *dict)
    void mf_version_drop(const uint64_t *version)
