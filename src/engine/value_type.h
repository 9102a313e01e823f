/* The life of a Value as an object: allocation, attributes, weak references, collection, and how
 * Value(number) is called. Pure CPython API over the layout that value.pxi declares; the core lends
 * seven functions and calls mf_value_type_finish once. Needs the GIL throughout.
 *
 * By hand because it is the hottest Python-side code there is: Cython 3.3 gives every instance of a
 * class with __dict__ a dict at birth (a fifth of an op's time), saves and restores the exception
 * state around each __dealloc__, and loses __dict__ where a heap type also declares __weakref__. */
#ifndef MF_VALUE_TYPE_H
#define MF_VALUE_TYPE_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hints.h"

typedef struct {
    PyObject_HEAD
    int32_t id;           /* the node, or MF_NONE while it has none */
    int32_t pin;          /* MF_UNPINNED, MF_PINNED, or the next handle whose pin is due */
    PyObject *state;      /* NodeState or None; never NULL */
    PyObject *attributes; /* __dict__, or NULL until the first attribute is set */
    PyObject *weak_list;
} mf_value;

typedef int (*mf_give_leaf_fn)(PyObject *blank);      /* 0, or -1 with an exception set */
typedef PyObject *(*mf_leaf_of_fn)(PyObject *number); /* a new Value, or NULL */
typedef PyObject *(*mf_custom_of_fn)(PyObject *const *args, Py_ssize_t n); /* None: not here */
typedef PyObject *(*mf_dict_of_fn)(PyObject *value);  /* a new reference, or NULL */
typedef int (*mf_replace_dict_fn)(PyObject *value, PyObject *dict); /* 0 or -1 */
typedef int (*mf_is_preserved_fn)(PyObject *value);        /* never fails */
typedef void (*mf_drop_node_fn)(PyObject *value);

typedef struct {         /* NodeState, as Cython lays it out */
    PyObject_HEAD
    PyObject *hook;
    PyObject *op_text;
    PyObject *refs;      /* a tuple that the collector does not know, or None */
} mf_state;

/* A Value whose node is preserved and in use has a reference to itself: the pin. It is what keeps custom
 * steps and attributes alive. When the last user goes it is due: given back as soon as Python code
 * may run. The list of those that are due goes through `pin`, by handles, so that it needs no memory. */
#define MF_UNPINNED (-3)
#define MF_PINNED (-2)

#define MF_MAX_FREELIST 4096 /* dead Values kept for the next op: an allocation costs a third of it */

static PyTypeObject *mf_value_type;
static initproc mf_value_init;
static mf_give_leaf_fn mf_give_leaf;
static mf_leaf_of_fn mf_leaf_of;
static mf_custom_of_fn mf_custom_of;
static mf_dict_of_fn mf_dict_of;
static mf_replace_dict_fn mf_replace_dict;
static mf_is_preserved_fn mf_is_preserved;
static mf_drop_node_fn mf_drop_node;
static PyObject *mf_freelist[MF_MAX_FREELIST];
static int mf_n_freelist = 0;
static int mf_cycles_shown = 0; /* during a collection: whether pins may be traversed (cycles.pxi) */

static inline void mf_value_pin(PyObject *o) {
    if (o == NULL || ((mf_value *)o)->pin != MF_UNPINNED) return;
    ((mf_value *)o)->pin = MF_PINNED;
    Py_INCREF(o);
}

static inline PyObject *mf_value_clean(PyObject *o) {
    mf_value *value = (mf_value *)o;
    value->id = -1;
    value->pin = MF_UNPINNED;
    Py_INCREF(Py_None);
    value->state = Py_None;
    value->attributes = NULL;
    value->weak_list = NULL;
    return o;
}

/* A Value proper (no subclass) without a node. The collector need not know a Value that refers to
 * nothing: it is tracked from its first state or attribute on (a tenth of an op's time saved). */
static inline PyObject *mf_value_alloc(void) {
    PyObject *o;
    if (mf_n_freelist > 0) {
        o = mf_freelist[--mf_n_freelist];
        _Py_NewReference(o);
        return o;
    }
    o = PyType_GenericAlloc(mf_value_type, 0);
    if (o == NULL) return NULL;
    PyObject_GC_UnTrack(o);
    return mf_value_clean(o);
}

static inline void mf_value_track(PyObject *o) {
    if (!PyObject_GC_IsTracked(o)) PyObject_GC_Track(o);
}

/* tp_alloc of Value and, by mf_value_subclassed, of its subclasses: whatever a subclass leaves out
 * of its __init__, and even where object.__new__ made it, a Value has a node from birth. */
static PyObject *mf_value_born(PyTypeObject *type, Py_ssize_t n) {
    PyObject *o = PyType_GenericAlloc(type, n);
    if (o == NULL) return NULL;
    if (mf_give_leaf(mf_value_clean(o)) < 0) Py_CLEAR(o);
    return o;
}

/* For each new subclass: CPython gives every class of Python's the generic tp_alloc. */
static inline void mf_value_subclassed(PyTypeObject *type) { type->tp_alloc = mf_value_born; }

/* For objects of a class whose __init_subclass__ does not call super()'s, made by object.__new__
 * (which works once Value.__new__ was replaced): all zeros. Called wherever Python code asks a Value
 * for something off the hot paths; those come to record 0 of the store, which has no number. */
static inline int mf_value_complete(PyObject *o) {
    if (((mf_value *)o)->state != NULL) return 0;
    mf_value_subclassed(Py_TYPE(o));
    return mf_give_leaf(mf_value_clean(o));
}

/* tp_new of Value and its subclasses. */
static PyObject *mf_value_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)args, (void)kwargs;
    mf_value_subclassed(type);
    return type->tp_alloc(type, 0);
}

/* Value.__new__. Not the wrapper that CPython makes of a tp_new, which refuses to work once another
 * __new__ was assigned, and that one could not call the old one. */
static PyObject *mf_value_dunder_new(PyObject *unused, PyObject *args, PyObject *kwargs) {
    (void)unused;
    PyObject *type = PyTuple_GET_SIZE(args) > 0 ? PyTuple_GET_ITEM(args, 0) : NULL;
    if (type == NULL || !PyType_Check(type) ||
        !PyType_IsSubtype((PyTypeObject *)type, mf_value_type)) {
        PyErr_SetString(PyExc_TypeError, "Value.__new__ takes Value or a subclass of it first");
        return NULL;
    }
    return mf_value_new((PyTypeObject *)type, args, kwargs);
}

static PyMethodDef mf_value_new_method = {
    "__new__", (PyCFunction)(void (*)(void))mf_value_dunder_new, METH_VARARGS | METH_KEYWORDS,
    "Create and return a new object.  See help(type) for accurate signature."};

/* One in the free list keeps its references to its type and to None: it is a clean Value but for its count. */
static inline void mf_value_free(PyObject *o, PyTypeObject *type) {
    if (type == mf_value_type && mf_n_freelist < MF_MAX_FREELIST && type->tp_finalize == NULL) {
        mf_freelist[mf_n_freelist++] = o;
        return;
    }
    Py_DECREF(((mf_value *)o)->state);
    type->tp_free(o);
    Py_DECREF(type);
}

static void mf_value_dealloc(PyObject *o) {
    mf_value *value = (mf_value *)o;
    PyTypeObject *type = Py_TYPE(o);
    if (type == mf_value_type && type->tp_finalize != NULL) { /* Value.__del__ = f */
        mf_value_track(o);
        if (PyObject_CallFinalizerFromDealloc(o) < 0) return;
    }
    PyObject_GC_UnTrack(o);
    if (value->state == NULL) mf_value_clean(o);
    /* First of all: what runs from here on (callbacks of weak references, finalizers, whatever while
     * this object waits in the trashcan) must not find a dying Value as the one of its node. */
    mf_drop_node(o);
    if (value->weak_list != NULL) PyObject_ClearWeakRefs(o);
    if (value->state == Py_None && value->attributes == NULL) {
        mf_value_free(o, type);
        return;
    }
    Py_TRASHCAN_BEGIN(o, mf_value_dealloc)
    PyObject *state = value->state;
    Py_INCREF(Py_None);
    value->state = Py_None;
    Py_CLEAR(value->attributes);
    Py_DECREF(state);
    mf_value_free(o, type);
    Py_TRASHCAN_END
}

/* A Value may be garbage while its node is in use, and then its label and plain attributes still
 * belong to the node. They are in no cycle, and the collector is not shown their dict: from 3.14 on it
 * would empty it. What may be in a cycle makes the node preserved (state.pxi), and then the Value is
 * garbage only together with all that uses it. */
static int mf_value_traverse(PyObject *o, visitproc visit, void *arg) {
    mf_value *value = (mf_value *)o;
    Py_VISIT(Py_TYPE(o));
    if (value->state == NULL) return 0; /* all zeros: made by object.__new__, not complete yet */
    if (value->state != Py_None) {
        const mf_state *state = (mf_state *)value->state;
        Py_VISIT(state->hook);
        if (state->refs != Py_None)
            for (Py_ssize_t k = PyTuple_GET_SIZE(state->refs); k-- > 0;)
                Py_VISIT(PyTuple_GET_ITEM(state->refs, k));
    }
    if (value->attributes != NULL && mf_is_preserved(o)) Py_VISIT(value->attributes);
    if (value->pin == MF_PINNED && mf_cycles_shown) Py_VISIT(o);
    return 0;
}

static int mf_value_clear(PyObject *o) {
    mf_value *value = (mf_value *)o;
    PyObject *state = value->state;
    if (state == NULL || !mf_is_preserved(o)) return 0;
    Py_INCREF(Py_None);
    value->state = Py_None;
    Py_XDECREF(state);
    Py_CLEAR(value->attributes);
    return 0;
}

/* How many references to o a tuple of cells or of defaults holds that nobody else has. */
static inline Py_ssize_t mf_references_from(PyObject *tuple, PyObject *o, int cells) {
    Py_ssize_t n = 0;
    if (tuple == NULL || !PyTuple_CheckExact(tuple) || Py_REFCNT(tuple) != 1) return 0;
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(tuple); k++) {
        PyObject *item = PyTuple_GET_ITEM(tuple, k);
        if (cells) {
            if (Py_REFCNT(item) != 1 || !PyCell_Check(item)) continue;
            item = PyCell_GET(item);
        }
        n += item == o;
    }
    return n;
}

/* Whether o, of which the caller holds n_held references, is referred to by nothing but its own step,
 * as what the lecture's custom ops leave behind. The counts prove it, so no collection is needed:
 * a graph with such steps goes as one without does, at once. */
static int mf_value_has_only_its_step(PyObject *o, Py_ssize_t n_held) {
    PyObject *state = ((mf_value *)o)->state;
    if (state == NULL || state == Py_None || Py_REFCNT(state) != 1) return 0;
    PyObject *hook = ((mf_state *)state)->hook;
    if (!PyFunction_Check(hook) || Py_REFCNT(hook) != 1) return 0;
    return Py_REFCNT(o) == n_held + mf_references_from(PyFunction_GET_CLOSURE(hook), o, 1) +
                               mf_references_from(PyFunction_GET_DEFAULTS(hook), o, 0);
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

static PyObject *mf_value_vectorcall(PyObject *callable, PyObject *const *args, size_t nargsf,
                                     PyObject *names);

static PyObject *mf_get_dict(PyObject *o, void *unused) {
    (void)unused;
    return mf_dict_of(o);
}

static int mf_set_dict(PyObject *o, PyObject *dict, void *unused) {
    (void)unused;
    if (dict != NULL) return mf_replace_dict(o, dict);
    PyErr_SetString(PyExc_TypeError, "cannot delete __dict__");
    return -1;
}

static PyGetSetDef mf_dict_getset = {"__dict__", mf_get_dict, mf_set_dict, NULL, NULL};

/* Returns -1 with an exception set where Cython laid Value out in another way than mf_value. */
static int mf_value_type_finish(PyTypeObject *type, PyTypeObject *state_type,
                                mf_give_leaf_fn give_leaf, mf_leaf_of_fn leaf_of,
                                mf_custom_of_fn custom_of, mf_dict_of_fn dict_of,
                                mf_replace_dict_fn replace_dict, mf_is_preserved_fn is_preserved,
                                mf_drop_node_fn drop_node) {
    if (type->tp_basicsize != (Py_ssize_t)sizeof(mf_value) ||
        state_type->tp_basicsize != (Py_ssize_t)sizeof(mf_state)) {
        PyErr_SetString(PyExc_ImportError, "micrograd_fast._core: unexpected layout of Value");
        return -1;
    }
    PyObject *getter = PyDescr_NewGetSet(type, &mf_dict_getset);
    if (getter == NULL || PyDict_SetItemString(type->tp_dict, "__dict__", getter) < 0) return -1;
    Py_DECREF(getter);
    PyObject *new_method = PyCFunction_New(&mf_value_new_method, NULL);
    if (new_method == NULL || PyDict_SetItemString(type->tp_dict, "__new__", new_method) < 0)
        return -1;
    Py_DECREF(new_method);
    mf_value_type = type;
    mf_give_leaf = give_leaf;
    mf_leaf_of = leaf_of;
    mf_custom_of = custom_of;
    mf_dict_of = dict_of;
    mf_replace_dict = replace_dict;
    mf_is_preserved = is_preserved;
    mf_drop_node = drop_node;
    mf_value_init = type->tp_init;
    type->tp_dictoffset = offsetof(mf_value, attributes);
    type->tp_weaklistoffset = offsetof(mf_value, weak_list);
    type->tp_name = "Value"; /* what AttributeErrors say: a class of Python's has no dots there */
    type->tp_new = mf_value_new;
    type->tp_alloc = mf_value_born;
    type->tp_vectorcall = mf_value_vectorcall;
    type->tp_dealloc = mf_value_dealloc;
    type->tp_traverse = mf_value_traverse;
    type->tp_clear = mf_value_clear;
    PyType_Modified(type);
    return 0;
}

/* Whether Value.__del__ was set. */
static inline int mf_value_type_finalizes(void) { return mf_value_type->tp_finalize != NULL; }

static int mf_other_constructor = 0;      /* see mf_operators_replaced */
static int mf_other_access = 0;
#define MF_NO_VERSION UINT32_MAX          /* not 0, which the class has just after a change */
static uint32_t mf_plain_version = MF_NO_VERSION; /* the class's, while its constructor is its own */
static uint32_t mf_access_version = MF_NO_VERSION; /* while its data and grad are, and its copies */

/* Whether the class has a version that tells when it changes. */
static inline int mf_value_tagged(void) {
#if PY_VERSION_HEX < 0x030C0000
    return (mf_value_type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG) != 0;
#else
    return mf_value_type->tp_version_tag != 0;
#endif
}

enum { MF_N_OPERATORS = 4, MF_N_COMPOSING = 6, MF_N_WATCHED = 11 };

/* Whether Python code may see the steps of a composition such as a - b: a + (b * -1), because an
 * operator or the constructor is no longer the one that Value came with. The answer holds until
 * the class changes, which its version tag tells. */
static int mf_operators_replaced(void) {
    static const char *const names[MF_N_WATCHED] = {
        "__add__", "__mul__", "__pow__", "__neg__", "__init__", "__new__",
        "data", "grad", "__setattr__", "__reduce_ex__", "__setstate__"};
    static PyObject *own[MF_N_WATCHED];
    static unsigned int version = 0;
    static int replaced = 0;
    if (mf_value_tagged() && mf_value_type->tp_version_tag == version) return replaced;
    replaced = mf_other_access = 0;
    mf_other_constructor = mf_value_type_finalizes();
    for (int k = 0; k < MF_N_WATCHED; k++) {
        PyObject *name = PyUnicode_InternFromString(names[k]);
        if (name == NULL) {
            PyErr_Clear();
            mf_other_constructor = mf_other_access = 1;
            return 1; /* no memory: the long way is always right */
        }
        PyObject *found = _PyType_Lookup(mf_value_type, name);
        Py_DECREF(name);
        if (own[k] == NULL) {
            Py_XINCREF(found); /* the first call, when the module is made: as the type came */
            own[k] = found;
        }
        if (found == own[k]) continue;
        if (k >= MF_N_COMPOSING)
            mf_other_access = 1;
        else if (k >= MF_N_OPERATORS)
            mf_other_constructor = 1;
        else
            replaced = 1;
    }
    replaced |= mf_other_constructor;
    version = mf_value_type->tp_version_tag;
    return replaced;
}

static int mf_constructor_looked_up(void) {
    const PyTypeObject *type = mf_value_type;
    mf_operators_replaced(); /* its look at the class gives the class a version */
    if (type->tp_init == mf_value_init && type->tp_new == mf_value_new && type->tp_finalize == NULL)
        mf_other_constructor = 0;
    mf_plain_version =
        mf_other_constructor || !mf_value_tagged() ? MF_NO_VERSION : type->tp_version_tag;
    return mf_other_constructor;
}

/* Whether results must be made by calling Value. Asked by every op: one comparison, of a version
 * that CPython sets to 0 when the class changes. */
static inline int mf_constructor_replaced(void) {
    return mf_unlikely(mf_value_type->tp_version_tag != mf_plain_version) &&
           mf_constructor_looked_up();
}

static int mf_access_looked_up(void) {
    mf_operators_replaced();
    mf_access_version =
        mf_other_access || !mf_value_tagged() ? MF_NO_VERSION : mf_value_type->tp_version_tag;
    return mf_other_access;
}

/* Whether a program may see how the data and grad of a plain Value are read and written, or how it is
 * copied, because it has put something of its own there. */
static inline int mf_access_replaced(void) {
    return mf_unlikely(mf_value_type->tp_version_tag != mf_access_version) && mf_access_looked_up();
}

/* Value(number) without a tuple of arguments takes a third of the time. Subclasses do not inherit
 * this, and a program that replaced __init__ or __new__ gets the usual call. */
static PyObject *mf_value_vectorcall(PyObject *callable, PyObject *const *args, size_t nargsf,
                                     PyObject *names) {
    PyTypeObject *type = (PyTypeObject *)callable;
    Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    if (names == NULL && n >= 1 && n <= 3 && type == mf_value_type && !mf_constructor_replaced()) {
        PyObject *made = n == 1 ? mf_leaf_of(args[0]) : mf_custom_of(args, n);
        if (made != Py_None) return made;
        Py_DECREF(made);
    }
    return mf_call_packed(callable, args, n, names);
}

#endif
