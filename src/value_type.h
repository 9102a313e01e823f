/* What Cython's type statement cannot say about Value: that every Value has a node from birth, how
 * Value(number) skips argument packing, and whether a program replaced an operator on the class.
 * Pure CPython API; the core lends two functions and calls mf_value_type_finish once. */
#ifndef MF_VALUE_TYPE_H
#define MF_VALUE_TYPE_H

#include <Python.h>

typedef int (*mf_give_leaf_fn)(PyObject *blank);      /* 0, or -1 with an exception set */
typedef PyObject *(*mf_leaf_of_fn)(PyObject *number); /* a new Value, or NULL */

static newfunc mf_blank_new;       /* Cython's tp_new: a Value without a node */
static initproc mf_value_init;
static mf_give_leaf_fn mf_give_leaf;
static mf_leaf_of_fn mf_leaf_of;
static Py_ssize_t mf_dict_offset;
static PyNumberMethods mf_own_slots; /* as the type came: replacing an operator changes its slot */

/* tp_new of Value and its subclasses: whatever a subclass leaves out of its __init__, no Value
 * that Python can see lacks a node. */
static PyObject *mf_value_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *value = mf_blank_new(type, args, kwargs);
    if (value != NULL && mf_give_leaf(value) < 0) Py_CLEAR(value);
    return value;
}

/* The call protocol that Value(number) bypasses. */
static PyObject *mf_call_packed(PyObject *type, PyObject *const *args, Py_ssize_t n,
                                PyObject *names) {
    PyObject *result = NULL, *kwargs = NULL, *tuple = PyTuple_New(n);
    if (tuple == NULL) return NULL;
    for (Py_ssize_t k = 0; k < n; k++) {
        Py_INCREF(args[k]);
        PyTuple_SET_ITEM(tuple, k, args[k]);
    }
    if (names != NULL) {
        kwargs = PyDict_New();
        for (Py_ssize_t k = 0; kwargs != NULL && k < PyTuple_GET_SIZE(names); k++)
            if (PyDict_SetItem(kwargs, PyTuple_GET_ITEM(names, k), args[n + k]) < 0)
                Py_CLEAR(kwargs);
    }
    if (names == NULL || kwargs != NULL) result = PyType_Type.tp_call(type, tuple, kwargs);
    Py_DECREF(tuple);
    Py_XDECREF(kwargs);
    return result;
}

/* Value(number) without a tuple of arguments takes a third of the time. Subclasses do not inherit
 * this, and a program that replaced __init__ or __new__ gets the usual call. */
static PyObject *mf_value_vectorcall(PyObject *callable, PyObject *const *args, size_t nargsf,
                                     PyObject *names) {
    PyTypeObject *type = (PyTypeObject *)callable;
    Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    if (n == 1 && names == NULL && type->tp_init == mf_value_init && type->tp_new == mf_value_new)
        return mf_leaf_of(args[0]);
    return mf_call_packed(callable, args, n, names);
}

/* weak_list_offset: Cython 3.3 loses __dict__ where a heap type also declares __weakref__, so
 * Value keeps its list of weak references in a plain field and clears it in __dealloc__. */
static void mf_value_type_finish(PyTypeObject *type, Py_ssize_t weak_list_offset,
                                 mf_give_leaf_fn give_leaf, mf_leaf_of_fn leaf_of) {
    mf_give_leaf = give_leaf;
    mf_leaf_of = leaf_of;
    mf_blank_new = type->tp_new;
    mf_value_init = type->tp_init;
    mf_own_slots = *type->tp_as_number;
    mf_dict_offset = type->tp_dictoffset;
    type->tp_weaklistoffset = weak_list_offset;
    type->tp_new = mf_value_new;
    type->tp_vectorcall = mf_value_vectorcall;
    PyType_Modified(type);
}

/* The attributes of a Value, borrowed, or NULL; subclasses keep theirs in the same place. */
static inline PyObject *mf_attributes(PyObject *value) {
    return *(PyObject **)((char *)value + mf_dict_offset);
}

/* Whether Python code may see the steps of a composition such as a - b: a + (b * -1). */
static inline int mf_operators_replaced(const PyTypeObject *type) {
    const PyNumberMethods *m = type->tp_as_number;
    return m->nb_add != mf_own_slots.nb_add || m->nb_multiply != mf_own_slots.nb_multiply ||
           m->nb_power != mf_own_slots.nb_power || m->nb_negative != mf_own_slots.nb_negative;
}

#endif
