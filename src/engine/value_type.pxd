# The life of a Value as an object (value_type.h).
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport int32_t

cdef extern from "engine/value_type.h" nogil:
    enum:
        MF_UNPINNED
        MF_PINNED
    ctypedef struct mf_value:
        int32_t id
        int32_t pin
    bint mf_cycles_shown
    void mf_value_pin(PyObject *value)

cdef extern from "engine/value_type.h":
    object mf_value_alloc()
    object mf_value_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
    void mf_value_track(object value)
    bint mf_value_has_only_its_step(PyObject *value, Py_ssize_t n_held)
    bint mf_operators_replaced()
    bint mf_constructor_replaced()
    bint mf_access_replaced()
    bint mf_value_type_finalizes()
    ctypedef int (*mf_give_leaf_fn)(PyObject *) except -1
    ctypedef object (*mf_leaf_of_fn)(object)
    ctypedef object (*mf_custom_of_fn)(PyObject *const *, Py_ssize_t)
    ctypedef object (*mf_dict_of_fn)(object)
    ctypedef int (*mf_replace_dict_fn)(object, object) except -1
    ctypedef int (*mf_is_preserved_fn)(PyObject *) noexcept
    ctypedef void (*mf_drop_node_fn)(PyObject *) noexcept
    int mf_value_complete(object o) except -1
    void mf_value_subclassed(PyTypeObject *t)
    int mf_value_type_finish(PyTypeObject *t, PyTypeObject *state, mf_give_leaf_fn give,
                             mf_leaf_of_fn leaf, mf_custom_of_fn custom,
                             mf_dict_of_fn dict_of, mf_replace_dict_fn replace_dict,
                             mf_is_preserved_fn is_preserved, mf_drop_node_fn drop) except -1
