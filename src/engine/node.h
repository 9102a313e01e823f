/* The node record: what one scalar of the graph is, but for its data and grad. Owned by store.pxi,
 * which allocates, counts and frees; order.pxi marks and sweeps. Ids are indices into the array of
 * records, and into those of data and grads, and stay valid while these move; pointers do not. */
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

enum {
    MF_F_HELD = 1,     /* the node's Value must live as long as the node: it is pinned while in use */
    MF_F_HOOK = 2,     /* a custom _backward waits in the Value's state */
    MF_F_ORPHAN = 4,   /* attributes of a dropped Value wait in the side table */
    MF_F_INT_EXP = 8,  /* a power whose exponent was written as an int: `**2`, not `**2.0` */
    MF_F_ASCENDING = 16, /* every node under this one has a smaller id than its users */
    MF_F_TRACED = 32,  /* made while a function was traced, or from such a node: data means nothing */
    /* The same bits mean one thing of a leaf and another of a result. */
    MF_F_NUMBER = 8,   /* a leaf: the number on the left of `2 ** v`: nobody asked for its gradient */
    MF_F_BLANK = 64,   /* a leaf: of a Value that __new__ made and no __init__ has filled yet */
    MF_F_PASSED = 64,  /* a result: references of a Value above were drawn past it (cycles.pxi) */
    MF_F_ABOVE = 128   /* a HELD node is somewhere under it; never of a leaf */
};

static inline int mf_is_number(const mf_node *n) {
    return n->x < 0 && n->y < 0 && n->flags & MF_F_NUMBER; /* a leaf: not a power's MF_F_INT_EXP */
}

#endif
