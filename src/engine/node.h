/* The node record: what one scalar of the graph is, but for its data and grad. The store (store.h)
 * allocates, counts and frees records and writes their flags; order.h marks what a walk has visited.
 * Ids are indices into the array of records, and into those of data and grads, and stay valid while
 * these move; pointers do not. */
#ifndef MF_NODE_H
#define MF_NODE_H

#include <assert.h>
#include <stdint.h>

#define MF_NONE (-1)          /* no operand, no owner, end of a list */
#define MF_MAX_NODES INT32_MAX

typedef struct {
    int32_t x;       /* operand id or MF_NONE */
    int32_t y;       /* operand id, MF_NONE, or the hidden node that keeps a MF_PARAM number */
    uint32_t uses;   /* one for a live Value, one per operand slot that names this node */
    uint16_t mark;   /* equals the epoch of the walk that visited this node last */
    uint8_t op;      /* MF_FREE, MF_LEAF ... and the rows of the op table */
    uint8_t flags;   /* MF_F_... */
} mf_node;

static_assert(sizeof(mf_node) == 16, "a node record is 16 bytes");

enum {
    MF_F_PRESERVED = 1,  /* the node's Value lives as long as the node: pinned while that is in use */
    MF_F_HOOK = 2,       /* a custom _backward waits in the Value's state */
    MF_F_STASHED = 4,    /* what was hung on a Value that is gone waits in the stash (state.pxi) */
    MF_F_INT_EXP = 8,    /* a power whose exponent was written as an int: `**2`, not `**2.0` */
    MF_F_ASCENDING = 16, /* every node under this one has a smaller id than its users */
    MF_F_TRACED = 32,    /* made while a function was traced, or from such a node: no number */
    /* Bits that mean one thing of a leaf and another of a result. */
    MF_F_NUMBER = 8,     /* a leaf: the number on the left of `2 ** v`: nobody wants its gradient */
    MF_F_UNFILLED = 64,  /* a leaf: of a Value that __new__ made and no __init__ has filled yet */
    MF_F_BYPASSED = 64,  /* a result: Values above it refer to what is under it (cycles.pxi) */
    MF_F_ABOVE = 128     /* a preserved node is somewhere under it; never of a leaf */
};

static inline int mf_is_number(const mf_node *n) {
    return n->x < 0 && n->y < 0 && n->flags & MF_F_NUMBER; /* a leaf: not a power's MF_F_INT_EXP */
}

#endif
