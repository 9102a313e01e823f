/* The node store: growing arrays of data, grads and 16-byte records (node.h), who owns each record's
 * Value, and the rule that a record lives while a Value or another record uses it. Knows no Python: a
 * Value is a pointer to it, and what somebody must know of its node is told through `on_...`.
 *
 * Data and grads lie apart from the records: freeing and marking touch the records alone, and what
 * goes over all parameters (compiled calls, zero_grad, optimizers) nothing but the numbers it needs.
 *
 * Invariants, between any two calls: `uses` counts the live Value of a node plus the operand slots
 * that name it; a free record has op MF_FREE; owners[id] is the handle of the node's Value in
 * `handles`, or MF_NONE; record 0 is in use and nobody's. One thread at a time: the core has the GIL.
 * Nothing here runs Python code, so no caller sees a half-done store. Flags are written here alone. */
#ifndef MF_STORE_H
#define MF_STORE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/eval.h"
#include "base/hints.h"
#include "base/memory.h"
#include "engine/modes.h"
#include "engine/node.h"

typedef struct { /* nodes in an order (order.h) */
    int32_t *ids;
    int64_t n, cap;
    int has_hooks; /* whether one of them has a custom _backward */
} mf_order;

typedef struct mf_store mf_store;
/* May change records only by functions of this file. */
typedef void (*mf_node_event)(mf_store *s, int32_t id);
typedef int (*mf_node_check)(mf_store *s, int32_t id);

struct mf_store {
    mf_node *nodes;
    double *data, *grad;
    int32_t *owners;     /* per record: handle of its Value, or MF_NONE */
    int32_t n_nodes;     /* records handed out so far, free ones included */
    int32_t cap_nodes;
    int32_t cursor;      /* where the next record is looked for */
    int32_t n_live;
    int32_t max_nodes;
    int32_t cap_handles;
    int32_t free_handle; /* the first one, or MF_NONE */
    uint16_t epoch;      /* of the latest walk; a node whose mark equals it was visited */
    void **handles;      /* a live Value, or a link to the next free handle */
    mf_order workspace;  /* for the next order, see mf_order_borrow */
    /* What the engine does for nodes whose Values need more than a handle; NULL: nothing. */
    mf_node_event on_used;     /* a preserved node is an operand */
    mf_node_event on_unused;   /* nothing but its Value uses a preserved node any more */
    mf_node_event on_owned;    /* a node above a preserved one has a Value */
    mf_node_event on_unstash;  /* a node that is STASHED is being freed */
    mf_node_check on_made;     /* in a mode a node was made; 0: it is refused */
};

static inline void mf_tell(mf_node_event event, mf_store *s, int32_t id) {
    if (event != NULL) event(s, id);
}

/* ---- records ---- */

/* Room for at least one more record; 0 when there is none to be had. */
static int mf_store_grow(mf_store *s) {
    int64_t cap = (int64_t)s->cap_nodes + (s->cap_nodes >> 1) + 1024;
    void *block;
    if (cap > s->max_nodes) cap = s->max_nodes;
    if (cap <= s->cap_nodes) return 0;
    if ((block = mf_resized(s->nodes, cap, sizeof *s->nodes)) == NULL) return 0;
    s->nodes = block;
    if ((block = mf_resized(s->data, cap, sizeof *s->data)) == NULL) return 0;
    s->data = block;
    if ((block = mf_resized(s->grad, cap, sizeof *s->grad)) == NULL) return 0;
    s->grad = block;
    if ((block = mf_resized(s->owners, cap, sizeof *s->owners)) == NULL) return 0;
    s->owners = block;
    s->cap_nodes = (int32_t)cap;
    return 1;
}

/* The first free record from the cursor on, or a fresh one; MF_NONE when memory has run out.
 *
 * At the end it starts over where at least a quarter of the records is free, so a record that is
 * looked at in vain is paid for by the free ones behind it. */
static int32_t mf_find_free(mf_store *s) {
    const int32_t n = s->n_nodes;
    int32_t id = s->cursor;
    while (id < n && s->nodes[id].op != MF_FREE) id++;
    if (id < n) return id;
    const int full = n >= s->max_nodes;
    if ((n - s->n_live > n >> 2 && n >= 1024) || full) {
        id = 0;
        while (id < n && s->nodes[id].op != MF_FREE) id++;
        if (id < n) return id;
    }
    if (full || (n >= s->cap_nodes && !mf_store_grow(s))) return MF_NONE;
    s->nodes[n].mark = 0;
    s->nodes[n].op = MF_FREE;
    s->owners[n] = MF_NONE;
    s->n_nodes++;
    return n;
}

/* The flags that operands pass on, `seen` being all of theirs. */
static MF_COLD uint8_t mf_inherited(mf_store *s, int32_t x, int32_t y, uint8_t seen) {
    uint8_t flags = seen & MF_F_TRACED;
    if (seen & (MF_F_PRESERVED | MF_F_ABOVE)) flags |= MF_F_ABOVE;
    if (x >= 0 && s->nodes[x].flags & MF_F_PRESERVED) mf_tell(s->on_used, s, x);
    if (y >= 0 && s->nodes[y].flags & MF_F_PRESERVED) mf_tell(s->on_used, s, y);
    return flags;
}

static inline int mf_node_release(mf_store *s, int32_t id);

/* A node that was made while some thread is in a mode: it, or MF_NONE where it is refused. */
static MF_COLD int32_t mf_made_in_mode(mf_store *s, int32_t id) {
    s->nodes[id].flags = mf_mode_flags(id, s->nodes[id].flags);
    if (s->on_made == NULL || s->on_made(s, id)) return id;
    mf_node_release(s, id);
    return MF_NONE;
}

/* A record with one use, the caller's, that uses x and y; MF_NONE when memory has run out, or the node
 * is refused. */
static inline int32_t mf_node_new(mf_store *s, double data, int32_t x, int32_t y, uint8_t op) {
    int32_t id = s->cursor;
    uint8_t ascending = MF_F_ASCENDING, seen = 0;
    if (mf_unlikely(id >= s->n_nodes || s->nodes[id].op != MF_FREE)) {
        id = mf_find_free(s);
        if (id < 0) return MF_NONE;
    }
    mf_node *const nodes = s->nodes, *const n = &nodes[id];
    s->cursor = id + 1;
    s->data[id] = data;
    s->grad[id] = 0.0;
    n->x = x;
    n->y = y;
    n->uses = 1;
    n->op = op;
    if (x >= 0) {
        nodes[x].uses++;
        seen = nodes[x].flags;
        ascending = x < id ? nodes[x].flags : 0;
    }
    if (y >= 0) {
        nodes[y].uses++;
        seen |= nodes[y].flags;
        ascending &= y < id ? nodes[y].flags : 0;
    }
    n->flags = ascending & MF_F_ASCENDING;
    if (mf_unlikely(seen & (MF_F_TRACED | MF_F_PRESERVED | MF_F_ABOVE)))
        n->flags |= mf_inherited(s, x, y, seen);
    s->n_live++; /* last: counted first, it costs 5 % of a forward pass of the moons network */
    return mf_unlikely(mf_n_modes) ? mf_made_in_mode(s, id) : id;
}

static inline int32_t mf_leaf_new(mf_store *s, double data) {
    return mf_node_new(s, data, MF_NONE, MF_NONE, MF_LEAF);
}

/* Frees a record without uses, and all that only it kept alive.
 *
 * The pending records are a list through their own `uses`. y before x: the reverse of the usual
 * order of creation. The cursor goes back to the lowest of them, so that the next graph ascends
 * through the same records, unless what it would look at in vain is more than they pay for. */
static void mf_free_nodes(mf_store *s, int32_t id) {
    mf_node *const nodes = s->nodes;
    int32_t pending = MF_NONE, lowest = id;
    int64_t n_freed = 0;
    for (;;) {
        mf_node *const n = &nodes[id];
        const int32_t x = n->x, y = n->y;
        int32_t next = MF_NONE;
        if (n->flags & MF_F_STASHED) mf_tell(s->on_unstash, s, id);
        n->op = MF_FREE;
        if (id < lowest) lowest = id;
        n_freed++;
        if (y >= 0) {
            const uint32_t uses = --nodes[y].uses;
            if (uses == 0)
                next = y;
            else if (uses == 1 && nodes[y].flags & MF_F_PRESERVED)
                mf_tell(s->on_unused, s, y);
        }
        if (x >= 0) {
            const uint32_t uses = --nodes[x].uses;
            if (uses == 0) {
                if (next >= 0) {
                    nodes[x].uses = (uint32_t)pending;
                    pending = x;
                } else {
                    next = x;
                }
            } else if (uses == 1 && nodes[x].flags & MF_F_PRESERVED) {
                mf_tell(s->on_unused, s, x);
            }
        }
        if (next < 0) {
            if (pending < 0) break;
            next = pending;
            pending = (int32_t)nodes[next].uses;
        }
        id = next;
    }
    const int64_t back = (int64_t)s->cursor - lowest;
    if (0 < back && back <= 64 + 4 * n_freed) s->cursor = lowest;
    s->n_live -= (int32_t)n_freed;
}

/* One use more; returns the node. */
static inline int32_t mf_node_use(mf_store *s, int32_t id) {
    s->nodes[id].uses++;
    return id;
}

/* Gives one use back; whether the node was freed. */
static inline int mf_node_release(mf_store *s, int32_t id) {
    const uint32_t uses = --s->nodes[id].uses;
    if (uses == 0) {
        mf_free_nodes(s, id);
        return 1;
    }
    if (uses == 1 && s->nodes[id].flags & MF_F_PRESERVED) mf_tell(s->on_unused, s, id);
    return 0;
}

/* ---- owners ---- */

/* A free handle holds the next one, MF_NONE at the end, in an odd word: no pointer to a Value is. The
 * same numbers come back whatever the width of a pointer. */
#define MF_FREE_HANDLE(word, next) ((word)((word)((next) + 1) << 1 | 1))
#define MF_NEXT_HANDLE(handle) ((int32_t)((handle) >> 1) - 1)
#define MF_COMES_BACK(word, next) (MF_NEXT_HANDLE(MF_FREE_HANDLE(word, next)) == (next))
static_assert(MF_COMES_BACK(uint32_t, MF_NONE) && MF_COMES_BACK(uint64_t, MF_NONE), "the end");
static_assert(MF_COMES_BACK(uint32_t, 0) && MF_COMES_BACK(uint64_t, 0), "the first handle");
static_assert(MF_COMES_BACK(uint32_t, MF_MAX_NODES - 1) &&
              MF_COMES_BACK(uint64_t, MF_MAX_NODES - 1), "the last handle");
static inline void *mf_free_handle(int32_t next) {
    return (void *)MF_FREE_HANDLE(uintptr_t, next);
}
static inline int32_t mf_next_handle(const void *handle) {
    return MF_NEXT_HANDLE((uintptr_t)handle);
}

static int mf_store_grow_handles(mf_store *s) {
    int64_t cap = (int64_t)s->cap_handles * 2 + 256;
    if (cap > MF_MAX_NODES) cap = MF_MAX_NODES;
    if (cap <= s->cap_handles) return 0;
    void *const block = mf_resized(s->handles, cap, sizeof *s->handles);
    if (block == NULL) return 0;
    s->handles = block;
    for (int32_t h = (int32_t)cap - 1; h >= s->cap_handles; h--) {
        s->handles[h] = mf_free_handle(s->free_handle);
        s->free_handle = h;
    }
    s->cap_handles = (int32_t)cap;
    return 1;
}

/* The node's Value, borrowed, or NULL. */
static inline void *mf_owner(const mf_store *s, int32_t id) {
    return s->owners[id] >= 0 ? s->handles[s->owners[id]] : NULL;
}

/* Makes value (borrowed) the one Value of a node; 0 when memory has run out. */
static inline int mf_own(mf_store *s, int32_t id, void *value) {
    if (mf_unlikely(s->free_handle < 0) && !mf_store_grow_handles(s)) return 0;
    const int32_t h = s->free_handle;
    s->free_handle = mf_next_handle(s->handles[h]);
    s->handles[h] = value;
    s->owners[id] = h;
    if (mf_unlikely(s->nodes[id].flags & MF_F_ABOVE)) mf_tell(s->on_owned, s, id);
    return 1;
}

static inline void mf_disown(mf_store *s, int32_t id) {
    const int32_t h = s->owners[id];
    s->handles[h] = mf_free_handle(s->free_handle);
    s->free_handle = h;
    s->owners[id] = MF_NONE;
}

/* A Value leaves node `old` for node `id`. The flags that are about the Value (MOVES) go with it; for its
 * users the old node is plain from then on. The caller's use of `id` becomes the Value's. */
static inline void mf_owner_moves(mf_store *s, int32_t old, int32_t id) {
    enum { MOVES = MF_F_PRESERVED | MF_F_HOOK };
    s->nodes[id].flags |= s->nodes[old].flags & MOVES;
    s->nodes[old].flags &= ~MOVES;
    s->owners[id] = s->owners[old];
    s->owners[old] = MF_NONE;
    if (s->nodes[id].flags & MF_F_PRESERVED) mf_tell(s->on_unused, s, id);
    mf_node_release(s, old);
    if (s->nodes[id].flags & MF_F_ABOVE) mf_tell(s->on_owned, s, id);
}

/* ---- flags: what is said of a node, a verb each ---- */

#define MF_SETS(verb, flag) \
    static inline void verb(mf_store *s, int32_t id) { s->nodes[id].flags |= (flag); }
#define MF_CLEARS(verb, flag) \
    static inline void verb(mf_store *s, int32_t id) { s->nodes[id].flags &= (uint8_t)~(flag); }
MF_SETS(mf_set_hook, MF_F_HOOK)
MF_CLEARS(mf_clear_hook, MF_F_HOOK)
MF_SETS(mf_stash, MF_F_STASHED)
MF_CLEARS(mf_unstash, MF_F_STASHED)
MF_SETS(mf_mark_traced, MF_F_TRACED)
MF_CLEARS(mf_unmark_traced, MF_F_TRACED)
MF_SETS(mf_mark_int_exponent, MF_F_INT_EXP)
MF_SETS(mf_mark_number, MF_F_NUMBER)
MF_SETS(mf_mark_unfilled, MF_F_UNFILLED)
MF_CLEARS(mf_mark_filled, MF_F_UNFILLED)
MF_SETS(mf_bypass, MF_F_BYPASSED)
#undef MF_SETS
#undef MF_CLEARS

/* From now on the node's Value lives as long as the node. Returns 1 where other nodes use it already:
 * they and those above them may lack MF_F_ABOVE. */
static inline int mf_preserve(mf_store *s, int32_t id) {
    s->nodes[id].flags |= MF_F_PRESERVED;
    if (s->nodes[id].uses <= 1) return 0;
    mf_tell(s->on_used, s, id);
    return 1;
}

/* One pass over all records, which flags each one that has a flagged operand; whether it did so. */
static int mf_flag_users(mf_store *s, int upwards) {
    mf_node *const nodes = s->nodes;
    int any_new = 0;
    for (int32_t k = 0; k < s->n_nodes; k++) {
        mf_node *const n = &nodes[upwards ? k : s->n_nodes - 1 - k];
        if (n->op == MF_FREE || n->flags & MF_F_ABOVE) continue;
        const int seen = (n->x >= 0 ? nodes[n->x].flags : 0) | (n->y >= 0 ? nodes[n->y].flags : 0);
        if (seen & (MF_F_PRESERVED | MF_F_ABOVE)) {
            n->flags |= MF_F_ABOVE;
            any_new = 1;
        }
    }
    return any_new;
}

/* Flags whatever is above preserved nodes, and forgets what was bypassed there. */
static void mf_flag_above(mf_store *s) {
    int upwards = 1;
    while (mf_flag_users(s, upwards)) upwards = !upwards; /* thrice where ids ascend and descend */
    for (int32_t id = 0; id < s->n_nodes; id++)
        if (s->nodes[id].op != MF_FREE && s->nodes[id].flags & MF_F_ABOVE)
            s->nodes[id].flags &= (uint8_t)~MF_F_BYPASSED;
}

/* A custom node becomes one of an op over the same operands; y: as the op has it. */
static inline void mf_become(mf_store *s, int32_t id, uint8_t op, int32_t y) {
    mf_clear_hook(s, id);
    s->nodes[id].y = y;
    s->nodes[id].op = op;
}

/* ---- the store as a whole ---- */

/* An empty store, but for record 0, which is nobody's: a Value of zeroed memory (mf_value_complete)
 * seems to be of that node. Marked as traced, it has no number, and neither has what is computed from
 * it. 0 when there is no memory. */
static int mf_store_init(mf_store *s) {
    memset(s, 0, sizeof *s);
    s->max_nodes = MF_MAX_NODES;
    s->free_handle = MF_NONE;
    if (mf_leaf_new(s, NAN) != 0) return 0;
    mf_mark_traced(s, 0);
    s->n_live--;
    return 1;
}

/* Gives all memory back, whatever is still in use. */
static inline void mf_store_clear(mf_store *s) {
    free(s->nodes);
    free(s->data);
    free(s->grad);
    free(s->owners);
    free(s->handles);
    free(s->workspace.ids);
    memset(s, 0, sizeof *s);
}

/* Bytes that were asked of the system. */
static inline int64_t mf_store_bytes(const mf_store *s) {
    return s->cap_nodes * (int64_t)(sizeof *s->nodes + sizeof *s->data + sizeof *s->grad +
                                    sizeof *s->owners) +
           s->cap_handles * (int64_t)sizeof *s->handles +
           s->workspace.cap * (int64_t)sizeof *s->workspace.ids;
}

/* A mark that no live or free record bears. */
static inline uint16_t mf_new_epoch(mf_store *s) {
    if (++s->epoch == 0) {
        for (int32_t id = 0; id < s->n_nodes; id++) s->nodes[id].mark = 0;
        s->epoch = 1;
    }
    return s->epoch;
}

#endif
