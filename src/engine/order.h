/* The topological order of a graph, and the backward pass over graphs whose every step is C.
 *
 * Where ids ascend from operands to users, as they do unless old records were reused in between,
 * descending ids are the order: two passes over the records, no workspace. Otherwise an iterative
 * depth-first walk makes one: a chain of ten million nodes needs no C stack. Leaves are not ordered
 * (nothing flows on from them) unless a custom _backward waits there. */
#ifndef MF_ORDER_H
#define MF_ORDER_H

#include <stdlib.h>

#include "base/absent.h"
#include "base/memory.h"
#include "engine/node_backward.h"
#include "engine/store.h"

enum { /* what a walk goes to */
    MF_WALK_RESULTS = 0, /* all but leaves without a custom _backward */
    MF_WALK_BACKWARD,    /* the same, and all leaves there have a gradient from then on */
    MF_WALK_TRACED,      /* what was there before the trace is a leaf to it */
    MF_WALK_ALL
};

/* Room for one more id. The order fills the workspace from the left, the stack from the right: a
 * node is in one of the two, so four bytes a node are enough for both. */
static int mf_order_grow(const mf_store *s, mf_order *o, int64_t n_stack) {
    int64_t cap = o->cap * 2 + 1024;
    const int64_t n_live = s->n_live;
    if (cap > n_live + 1 && n_live + 1 > o->cap) cap = n_live + 1;
    int32_t *const ids = mf_resized(o->ids, cap, sizeof *ids);
    if (ids == NULL) return 0;
    for (int64_t k = 1; k <= n_stack; k++) ids[cap - k] = ids[o->cap - k];
    o->ids = ids;
    o->cap = cap;
    return 1;
}

static inline int mf_to_visit(const mf_store *s, int32_t id, uint16_t epoch, int what) {
    const mf_node *const nodes = s->nodes;
    if (id < 0 || nodes[id].mark == epoch) return 0;
    if (what == MF_WALK_BACKWARD && nodes[id].op == MF_LEAF) s->grad[id] = mf_present(s->grad[id]);
    if (what == MF_WALK_TRACED) return nodes[id].op != MF_LEAF && nodes[id].flags & MF_F_TRACED;
    return nodes[id].op != MF_LEAF || nodes[id].flags & MF_F_HOOK || what == MF_WALK_ALL;
}

/* Fills an order, whose memory is used again, with the nodes under root, operands before users; 0
 * when memory has run out. what: MF_WALK_... */
static int mf_order_fill(mf_store *s, mf_order *o, int32_t root, int what) {
    const uint16_t epoch = mf_new_epoch(s);
    mf_node *const nodes = s->nodes;
    int64_t n = 0, n_stack = 0;
    int32_t id = root;
    o->n = 0;
    o->has_hooks = 0;
    for (;;) {
        /* Enter id: down through unvisited operands, x first. */
        nodes[id].mark = epoch;
        if (n + n_stack + 1 > o->cap && !mf_order_grow(s, o, n_stack)) return 0;
        int32_t child = nodes[id].x;
        if (!mf_to_visit(s, child, epoch, what)) {
            child = nodes[id].y;
            if (!mf_to_visit(s, child, epoch, what)) child = MF_NONE;
        }
        if (child >= 0) {
            n_stack++;
            o->ids[o->cap - n_stack] = id;
            id = child;
            continue;
        }
        /* Nothing left under id: it is next in the order; then on with the node above it. */
        for (;;) {
            o->ids[n++] = id;
            o->has_hooks |= (nodes[id].flags & MF_F_HOOK) != 0;
            if (n_stack == 0) {
                o->n = n;
                return 1;
            }
            id = o->ids[o->cap - n_stack];
            child = nodes[id].y;
            if (mf_to_visit(s, child, epoch, what)) {
                id = child;
                break;
            }
            n_stack--;
        }
    }
}

static inline void mf_order_free(mf_order *o) {
    free(o->ids);
    o->ids = NULL;
    o->n = o->cap = 0;
}

/* The store's one workspace, which is kept from walk to walk; while it is out, an empty one. */
static inline mf_order mf_order_borrow(mf_store *s) {
    const mf_order o = s->workspace;
    s->workspace.ids = NULL;
    s->workspace.cap = 0;
    return o;
}

static inline void mf_order_return(mf_store *s, mf_order *o) {
    if (s->workspace.cap == 0)
        s->workspace = *o;
    else
        mf_order_free(o);
}

/* Backward over an order without hooks; the id of the node that failed, or MF_NONE. */
static int32_t mf_sweep_order(const mf_store *s, const mf_order *o) {
    const mf_node *const nodes = s->nodes;
    const double *const data = s->data;
    double *const grad = s->grad;
    for (int64_t k = o->n - 1; k >= 0; k--)
        if (mf_node_backward(nodes, data, grad, o->ids[k]) != MF_OK) return o->ids[k];
    return MF_NONE;
}

/* Marks the nodes under an ascending root, as MF_WALK_BACKWARD; the lowest id of theirs. MF_NONE where the graph has
 * hooks, or is so thinly spread over the records that a depth-first walk is faster. */
static int32_t mf_mark_descending(mf_store *s, int32_t root, uint16_t epoch) {
    mf_node *const nodes = s->nodes;
    int32_t n_waiting = 1; /* marked and not yet come to */
    int64_t n_found = 1;
    nodes[root].mark = epoch;
    for (int32_t id = root;; id--) {
        const mf_node *const n = &nodes[id];
        if (n->mark == epoch && n->op != MF_FREE) {
            if (n->flags & MF_F_HOOK) return MF_NONE;
            n_waiting--;
            const int32_t x = n->x, y = n->y;
            if (mf_to_visit(s, x, epoch, MF_WALK_BACKWARD)) {
                nodes[x].mark = epoch;
                n_waiting++;
                n_found++;
            }
            if (mf_to_visit(s, y, epoch, MF_WALK_BACKWARD)) {
                nodes[y].mark = epoch;
                n_waiting++;
                n_found++;
            }
            if (n_waiting == 0) return id;
        } else if (root - id > 1024 + 4 * n_found) {
            return MF_NONE;
        }
    }
}

/* Backward over the marked nodes from root down to lowest; the id of the one that failed, or
 * MF_NONE. */
static int32_t mf_sweep_descending(const mf_store *s, int32_t root, int32_t lowest,
                                   uint16_t epoch) {
    const mf_node *const nodes = s->nodes;
    const double *const data = s->data;
    double *const grad = s->grad;
    for (int32_t id = root; id >= lowest; id--)
        if (nodes[id].mark == epoch && mf_node_backward(nodes, data, grad, id) != MF_OK) return id;
    return MF_NONE;
}

enum { /* what mf_backward returns beside the id of a node whose derivative does not exist */
    MF_BACKWARD_DONE = MF_NONE,
    MF_BACKWARD_HOOKS = -2,
    MF_BACKWARD_NO_MEMORY = -3
};

/* Sets root's grad to 1 and adds to the grads of all nodes under it. MF_BACKWARD_HOOKS: only root's
 * grad is set, and the order is the caller's to walk and to return. */
static int32_t mf_backward(mf_store *s, int32_t root, mf_order *order) {
    int32_t failed = MF_BACKWARD_NO_MEMORY;
    if (s->nodes[root].flags & MF_F_ASCENDING) {
        const uint16_t epoch = mf_new_epoch(s);
        const int32_t lowest = mf_mark_descending(s, root, epoch);
        if (lowest >= 0) {
            s->grad[root] = 1.0;
            return mf_sweep_descending(s, root, lowest, epoch);
        }
    }
    *order = mf_order_borrow(s);
    if (mf_order_fill(s, order, root, MF_WALK_BACKWARD)) {
        s->grad[root] = 1.0;
        if (order->has_hooks) return MF_BACKWARD_HOOKS;
        failed = mf_sweep_order(s, order);
    }
    mf_order_return(s, order);
    return failed;
}

/* Fills an order with the nodes that mf_backward would step through from the last to the first, for
 * who wants to see each step; 0 when memory has run out. */
static int mf_order_as_backward(mf_store *s, mf_order *o, int32_t root) {
    if (s->nodes[root].flags & MF_F_ASCENDING) {
        const uint16_t epoch = mf_new_epoch(s);
        const int32_t lowest = mf_mark_descending(s, root, epoch);
        if (lowest >= 0) {
            o->n = 0;
            o->has_hooks = 0;
            for (int32_t id = lowest; id <= root; id++) {
                if (s->nodes[id].mark != epoch) continue;
                if (o->n + 1 > o->cap && !mf_order_grow(s, o, 0)) return 0;
                o->ids[o->n++] = id;
            }
            return 1;
        }
    }
    return mf_order_fill(s, o, root, MF_WALK_RESULTS);
}

#endif
