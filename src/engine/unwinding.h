/* Whether an object goes because an exception leaves the frame that held it. From 3.14 on CPython may
 * handle a signal when __enter__ of a with statement has run and the statement does not protect its
 * block yet: __exit__ is never called, and what was entered has to end with its object. Cython puts
 * the exception aside before __dealloc__, so it is looked for here. */
#ifndef MF_UNWINDING_H
#define MF_UNWINDING_H

#include <Python.h>

#include "engine/modes.h"

static MF_THREAD_LOCAL int mf_unwinds = 0; /* while a __dealloc__ runs that asks */
static destructor mf_dealloc_without_a_look = NULL;

static void mf_dealloc_with_a_look(PyObject *o) {
    const int before = mf_unwinds;
    mf_unwinds = PyErr_Occurred() != NULL;
    mf_dealloc_without_a_look(o);
    mf_unwinds = before;
}

/* From now on __dealloc__ of the one type whose objects need to know finds mf_unwinds. */
static void mf_look_at_dealloc(PyTypeObject *type) {
    mf_dealloc_without_a_look = type->tp_dealloc;
    type->tp_dealloc = mf_dealloc_with_a_look;
}

#endif
