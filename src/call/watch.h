/* The quick look at what a trace read, before each call that replays it (readable.pxi makes the list,
 * watch.pxi looks again, slowly, where something differs). Pure CPython API; needs the GIL.
 *
 * Pointers to containers are borrowed: what is watched must not live longer for it, nor lie in a
 * cycle. So the order is the safety: an entry is looked at only after those that say that its object
 * is still where it was, and thereby alive. */
#ifndef MF_WATCH_H
#define MF_WATCH_H

#include <Python.h>
#include <structmember.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MF_WATCH_WORD,   /* *where is still saved */
    MF_WATCH_OBJECT, /* the class, the __dict__ in *where, and its version */
    MF_WATCH_DICT,   /* the class and the version of a dict */
    MF_WATCH_ITEMS,  /* the class, the length and the items of a list or tuple; saved ones in where */
    MF_WATCH_TYPE,   /* the version of a class */
    MF_WATCH_SLOW    /* only watch.pxi can say */
};

typedef struct {
    int32_t kind;
    int32_t index;      /* of what watch.pxi keeps for the slow look; negative: nothing */
    PyObject *object;   /* borrowed, but of MF_WATCH_TYPE */
    PyTypeObject *type; /* of it */
    PyObject **where;
    PyObject *saved;
    const uint64_t *version;
    uint64_t seen; /* the version when it was last looked at; the number of items */
} mf_watched;

static inline PyObject **mf_items_of(PyObject *o) {
    return PyList_Check(o) ? ((PyListObject *)o)->ob_item : ((PyTupleObject *)o)->ob_item;
}

/* 0: none, which any change may leave as it is. */
static inline uint64_t mf_type_version(PyTypeObject *type) {
#if PY_VERSION_HEX < 0x030C0000
    if (!(type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG)) return 0;
#endif
    return type->tp_version_tag;
}

/* Version 0 is that of a dict that cannot be watched. */
static inline int mf_same_version(const mf_watched *w) {
    return w->seen != 0 && *w->version == w->seen;
}

static inline int mf_plainly_same(const mf_watched *w) {
    switch (w->kind) {
    case MF_WATCH_WORD: return *w->where == w->saved;
    case MF_WATCH_OBJECT:
        return Py_TYPE(w->object) == w->type && *w->where == w->saved && mf_same_version(w);
    case MF_WATCH_DICT: return Py_TYPE(w->object) == w->type && mf_same_version(w);
    case MF_WATCH_ITEMS:
        return Py_TYPE(w->object) == w->type && (uint64_t)Py_SIZE(w->object) == w->seen &&
               (w->seen == 0 || /* no items: no pointers to them */
                memcmp(mf_items_of(w->object), w->where, w->seen * sizeof(PyObject *)) == 0);
    case MF_WATCH_TYPE: return w->seen != 0 && mf_type_version(w->type) == w->seen;
    default: return 0;
    }
}

/* Where an object keeps the attribute of a __slots__ member; 0: it is none. */
static inline Py_ssize_t mf_slot_offset(PyObject *member) {
    if (Py_TYPE(member) != &PyMemberDescr_Type) return 0;
    const PyMemberDef *def = ((PyMemberDescrObject *)member)->d_member;
    return def->type == T_OBJECT_EX ? def->offset : 0;
}

/* The first entry from k on that is not plainly the same, or n. */
static inline Py_ssize_t mf_watch_scan(const mf_watched *w, Py_ssize_t k, Py_ssize_t n) {
    while (k < n && mf_plainly_same(&w[k])) k++;
    return k;
}

/* The number that changes whenever a dict does. Of every dict in the address returned; give it back
 * with mf_version_drop. Never fails: a dict that cannot be watched is always looked at slowly. */
static const uint64_t *mf_version_of(PyObject *dict);
static void mf_version_drop(const uint64_t *version);

static const uint64_t mf_no_version = 0;

#if PY_VERSION_HEX < 0x030C0000

static const uint64_t *mf_version_of(PyObject *dict) {
    return &((PyDictObject *)dict)->ma_version_tag;
}

static void mf_version_drop(const uint64_t *version) { (void)version; }

#else /* dicts have no version that may be read; they tell a watcher instead */

typedef struct {
    uint64_t version; /* first: its address stands for the whole */
    PyObject *dict;   /* borrowed; NULL once it is gone */
    Py_ssize_t users;
} mf_watched_dict;

static mf_watched_dict **mf_dicts; /* open addressing, a power of two */
static size_t mf_n_dicts = 0, mf_cap_dicts = 0;
static int mf_watcher = -1;

static size_t mf_dict_place(PyObject *dict) {
    size_t k = ((uintptr_t)dict >> 4) * (size_t)0x9E3779B97F4A7C15u;
    k = (k ^ (k >> 15)) & (mf_cap_dicts - 1);
    while (mf_dicts[k] != NULL && mf_dicts[k]->dict != dict) k = (k + 1) & (mf_cap_dicts - 1);
    return k;
}

static void mf_dict_forget(PyObject *dict) {
    size_t k = mf_dict_place(dict);
    mf_dicts[k]->dict = NULL;
    mf_dicts[k] = NULL;
    mf_n_dicts--;
    /* What was put further on because of it moves up. */
    for (k = (k + 1) & (mf_cap_dicts - 1); mf_dicts[k] != NULL; k = (k + 1) & (mf_cap_dicts - 1)) {
        mf_watched_dict *moved = mf_dicts[k];
        mf_dicts[k] = NULL;
        mf_dicts[mf_dict_place(moved->dict)] = moved;
    }
}

static int mf_dict_changes(PyDict_WatchEvent event, PyObject *dict, PyObject *key, PyObject *value) {
    (void)key, (void)value;
    if (mf_cap_dicts == 0) return 0;
    mf_watched_dict *found = mf_dicts[mf_dict_place(dict)];
    if (found == NULL) return 0;
    found->version++;
    if (event == PyDict_EVENT_DEALLOCATED) mf_dict_forget(dict);
    return 0;
}

static int mf_dicts_grow(void) {
    size_t cap = mf_cap_dicts ? 2 * mf_cap_dicts : 64, old_cap = mf_cap_dicts;
    mf_watched_dict **old = mf_dicts, **grown = calloc(cap, sizeof *grown);
    if (grown == NULL) return 0;
    mf_dicts = grown;
    mf_cap_dicts = cap;
    for (size_t k = 0; k < old_cap; k++)
        if (old[k] != NULL) mf_dicts[mf_dict_place(old[k]->dict)] = old[k];
    free(old);
    return 1;
}

static const uint64_t *mf_version_of(PyObject *dict) {
    if (mf_watcher < 0 && (mf_watcher = PyDict_AddWatcher(mf_dict_changes)) < 0) {
        PyErr_Clear();
        return &mf_no_version;
    }
    if (2 * mf_n_dicts >= mf_cap_dicts && !mf_dicts_grow()) return &mf_no_version;
    size_t k = mf_dict_place(dict);
    if (mf_dicts[k] == NULL) {
        mf_watched_dict *made = malloc(sizeof *made);
        if (made == NULL) return &mf_no_version;
        if (PyDict_Watch(mf_watcher, dict) < 0) {
            PyErr_Clear();
            free(made);
            return &mf_no_version;
        }
        made->dict = dict;
        made->version = 1;
        made->users = 0;
        mf_dicts[k] = made;
        mf_n_dicts++;
    }
    mf_dicts[k]->users++;
    return &mf_dicts[k]->version;
}

static void mf_version_drop(const uint64_t *version) {
    mf_watched_dict *w = (mf_watched_dict *)version;
    if (version == &mf_no_version || --w->users > 0) return;
    if (w->dict != NULL) {
        PyObject *dict = w->dict;
        mf_dict_forget(dict);
        if (PyDict_Unwatch(mf_watcher, dict) < 0) PyErr_Clear();
    }
    free(w);
}

#endif

/* The version of an object's __dict__. CPython 3.13.0 does not tell of attributes that are set
 * where the object keeps them itself (gh-125608). */
static const uint64_t *mf_version_of_attributes(PyObject *dict) {
#if PY_VERSION_HEX >= 0x030D0000 && PY_VERSION_HEX < 0x030E0000
    if ((Py_Version & 0xFFFFFF00) == 0x030D0000) return &mf_no_version;
#endif
    return mf_version_of(dict);
}

#endif
