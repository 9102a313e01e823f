# The node store (store.h).
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

from engine.node cimport mf_node

cdef extern from "engine/store.h" nogil:
    ctypedef struct mf_order:
        int32_t *ids
        int64_t n
        int64_t cap
        bint has_hooks
    ctypedef struct mf_store
    ctypedef void (*mf_node_event)(mf_store *s, int32_t id) noexcept nogil
    ctypedef int (*mf_node_check)(mf_store *s, int32_t id) noexcept nogil
    ctypedef struct mf_store:
        mf_node *nodes
        double *data
        double *grad
        int32_t *owners
        int32_t n_nodes
        int32_t n_live
        int32_t max_nodes
        PyObject **handles
        mf_node_event on_used
        mf_node_event on_unused
        mf_node_event on_owned
        mf_node_event on_unstash
        mf_node_check on_made
    bint mf_store_init(mf_store *s)
    int64_t mf_store_bytes(const mf_store *s)
    uint16_t mf_new_epoch(mf_store *s)

    int32_t mf_node_new(mf_store *s, double data, int32_t x, int32_t y, uint8_t op)
    int32_t mf_leaf_new(mf_store *s, double data)
    int32_t mf_node_use(mf_store *s, int32_t id)
    bint mf_node_release(mf_store *s, int32_t id)
    void mf_become(mf_store *s, int32_t id, uint8_t op, int32_t y)

    PyObject *mf_owner(const mf_store *s, int32_t id)
    bint mf_own(mf_store *s, int32_t id, PyObject *value)
    void mf_disown(mf_store *s, int32_t id)
    void mf_owner_moves(mf_store *s, int32_t old, int32_t id)

    bint mf_preserve(mf_store *s, int32_t id)
    void mf_flag_above(mf_store *s)
    void mf_set_hook(mf_store *s, int32_t id)
    void mf_stash(mf_store *s, int32_t id)
    void mf_unstash(mf_store *s, int32_t id)
    void mf_mark_traced(mf_store *s, int32_t id)
    void mf_unmark_traced(mf_store *s, int32_t id)
    void mf_mark_int_exponent(mf_store *s, int32_t id)
    void mf_mark_number(mf_store *s, int32_t id)
    void mf_mark_unfilled(mf_store *s, int32_t id)
    void mf_mark_filled(mf_store *s, int32_t id)
    void mf_bypass(mf_store *s, int32_t id)
