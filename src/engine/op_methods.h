/* Value's methods for the ops that Python has no operator for, expanded from ops.h: a C function
 * each, in which the op is a constant, so that what operators.pxi computes with it folds. */
#ifndef MF_OP_METHODS_H
#define MF_OP_METHODS_H

#include <Python.h>

#include "base/eval.h"

/* Defined by operators.pxi, in the unit that Cython makes. */
#ifdef CYTHON_HEX_VERSION
#define MF_BY_CYTHON static
#else /* compiled by itself */
#define MF_BY_CYTHON extern
#endif
MF_BY_CYTHON PyObject *mf_unary_method(PyObject *self, int op);
MF_BY_CYTHON PyObject *mf_binary_method(PyObject *self, PyObject *other, int op);
#undef MF_BY_CYTHON

/* The argument `other` of a call, by place or by name; NULL with TypeError set. */
static inline PyObject *mf_other_of(PyObject *const *args, Py_ssize_t n, PyObject *names, int op) {
    if (n == 1 && names == NULL) return args[0];
    if (n == 0 && names != NULL && PyTuple_GET_SIZE(names) == 1 &&
        PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "other") == 0)
        return args[0];
    return PyErr_Format(PyExc_TypeError, "%s() takes one argument: other", mf_ops[op].name);
}

#define MF_METHOD_MF_UNARY(code)                                        \
    static PyObject *mf_method_##code(PyObject *self, PyObject *none) { \
        (void)none;                                                     \
        return mf_unary_method(self, MF_##code);                        \
    }
#define MF_METHOD_MF_BINARY(code)                                                          \
    static PyObject *mf_method_##code(PyObject *self, PyObject *const *args, Py_ssize_t n, \
                                      PyObject *names) {                                   \
        PyObject *other = mf_other_of(args, n, names, MF_##code);                          \
        return other == NULL ? NULL : mf_binary_method(self, other, MF_##code);            \
    }
#define MF_METHOD_MF_PARAM(code) /* always an operator's */
#define OP(code, n_, l_, kind, ...) MF_METHOD_##kind(code)
#define PROGRAM_OP(...)
#include "ops.h"
#undef OP

static int mf_add_method(PyTypeObject *type, PyMethodDef *method) {
    PyObject *made = PyDescr_NewMethod(type, method);
    const int error = made == NULL ? -1 : PyDict_SetItemString(type->tp_dict, method->ml_name, made);
    Py_XDECREF(made);
    return error;
}

/* What NumPy calls these methods: np.arcsin(a) of an array of objects calls arcsin() of each. */
static const char *const mf_numpy_names[][2] = {
    {"arcsin", "asin"},   {"arccos", "acos"},   {"arctan", "atan"},  {"arctan2", "atan2"},
    {"arcsinh", "asinh"}, {"arccosh", "acosh"}, {"arctanh", "atanh"}};

static int mf_add_numpy_names(PyTypeObject *type) {
    for (size_t k = 0; k < sizeof(mf_numpy_names) / sizeof(*mf_numpy_names); k++) {
        PyObject *method = PyDict_GetItemString(type->tp_dict, mf_numpy_names[k][1]);
        if (method == NULL ||
            PyDict_SetItemString(type->tp_dict, mf_numpy_names[k][0], method) < 0)
            return -1;
    }
    return 0;
}

/* A docstring begins with the signature, which Python takes off. */
#define MF_ROW_MF_UNARY(code, name, doc) \
    {name, mf_method_##code, METH_NOARGS, name "($self, /)\n--\n\n" doc}
#define MF_ROW_MF_BINARY(code, name, doc)                                                \
    {name, (PyCFunction)(void (*)(void))mf_method_##code, METH_FASTCALL | METH_KEYWORDS, \
     name "($self, other)\n--\n\n" doc}
#define MF_ROW_MF_PARAM(code, name, doc) {NULL, NULL, 0, NULL}

/* Gives the type a method for each row that has a docstring; -1 with an exception set. */
static int mf_add_op_methods(PyTypeObject *type) {
#define OP(code, name, l_, kind, z_, dx_, dy_, f_, bf_, p_, libm_, lo_, hi_, doc, ...) \
    {                                                                                  \
        static PyMethodDef method = MF_ROW_##kind(code, name, doc);                    \
        if (sizeof(doc) > 1 && mf_add_method(type, &method) < 0) return -1;            \
    }
#include "ops.h"
#undef OP
#undef PROGRAM_OP
    if (mf_add_numpy_names(type) < 0) return -1;
    PyType_Modified(type);
    return 0;
}

#undef MF_METHOD_MF_UNARY
#undef MF_METHOD_MF_BINARY
#undef MF_METHOD_MF_PARAM
#undef MF_ROW_MF_UNARY
#undef MF_ROW_MF_BINARY
#undef MF_ROW_MF_PARAM

#endif
