/* What a plan has to know of a program: what is a row of lanes, what gradient is asked for, and how
 * early each value can be known.
 *
 * Values of one level depend on earlier levels only, so that equal ops of a level can join into one
 * step over adjacent slots (layout.h), and dots over the same inputs into a matrix (grouping.h).
 * max(a, b, c, ...) is a chain of ops, each of which needs the one before: a chain is one step,
 * known as soon as its operands are, however long it is. */
#ifndef MF_FACTS_H
#define MF_FACTS_H

#include "program/program.h"

/* Flags of an input. */
enum { MF_INPUT_IS_ROW = 1, MF_INPUT_WANTS = 2 };

typedef struct {
    const mf_program *program;
    /* By value: */
    uint8_t *row;
    uint8_t *wants; /* whether backward has anything to do for it: it depends on what a gradient is
                     * asked for, and an output on it other than through detach or as an index */
    int32_t *level;
    int32_t *chain; /* how many members the chain has that ends there; 0: none does */
    int32_t n_levels;
} mf_facts;

enum {
    MF_INSIDE = -1, /* in a chain, but not its end */
    MF_MIN_CHAIN = 2
};

/* Whether gradient goes to operand j of an instruction: not to the index of a take. */
static int mf_passes_to(const mf_instruction *i, int32_t j) {
    return i->op != MF_DETACH && !(i->op == MF_TAKE && j == 0);
}

/* What is a row, and what depends on something that a gradient is asked for. */
static void mf_find_kinds(mf_facts *f, const uint8_t *inputs) {
    for (int32_t k = 0; k < f->program->code.n; k++) {
        const mf_instruction *i = &f->program->code.items[k];
        if (i->op == MF_INPUT) {
            f->row[k] = !!(inputs[i->x] & MF_INPUT_IS_ROW);
            f->wants[k] = !!(inputs[i->x] & MF_INPUT_WANTS);
        }
        if (i->op == MF_CAPTURED) f->wants[k] = 1;
        for (int32_t j = 0; j < mf_n_operands(i); j++) {
            const int32_t operand = mf_operand(f->program, i, j);
            f->row[k] |= f->row[operand];
            if (mf_passes_to(i, j)) f->wants[k] |= f->wants[operand];
        }
    }
}

/* Takes `wants` from what no output depends on in a way that gradient goes: backward would bring it
 * zeros. What is given keeps it, its gradient is read. */
static void mf_find_reached(mf_facts *f, mf_arena *memory) {
    const mf_program *p = f->program;
    uint8_t *reached = (uint8_t *)mf_taken(memory, (uint64_t)p->code.n, 1);
    if (reached == NULL) return;
    for (int32_t k = 0; k < p->outputs.n; k++) reached[p->outputs.items[k]] = 1;
    for (int32_t k = p->code.n - 1; k >= 0; k--) {
        const mf_instruction *i = &p->code.items[k];
        if (i->op == MF_INPUT || i->op == MF_CAPTURED) continue;
        f->wants[k] &= reached[k];
        for (int32_t j = 0; f->wants[k] && j < mf_n_operands(i); j++)
            if (mf_passes_to(i, j)) reached[mf_operand(p, i, j)] = 1;
    }
}

/* chain[k] becomes how many links in a row of one op end at k, k included. */
static void mf_count_links(mf_facts *f, const int32_t *uses) {
    for (int32_t k = 0; k < f->program->code.n; k++) {
        const mf_instruction *code = f->program->code.items, *i = &code[k];
        if (i->op != MF_MAXIMUM && i->op != MF_MINIMUM && i->op != MF_MUL) continue;
        const int goes_on = i->x != i->y && code[i->x].op == i->op && uses[i->x] == 1 &&
                            f->row[i->x] == f->row[k];
        f->chain[k] = 1 + (goes_on ? f->chain[i->x] : 0);
    }
}

static void mf_find_chains(mf_facts *f, mf_arena *memory) {
    const int32_t *uses = mf_use_counts(f->program, memory);
    if (uses == NULL) return;
    mf_count_links(f, uses);
    /* From the ends down: the members of what is long enough are inside, the others are no chains. */
    for (int32_t k = f->program->code.n - 1; k >= 0; k--) {
        if (f->chain[k] == MF_INSIDE) continue;
        if (f->chain[k] < MF_MIN_CHAIN) f->chain[k] = 0;
        for (int32_t n = f->chain[k], member = k; n > 1; n--) {
            member = f->program->code.items[member].x;
            f->chain[member] = MF_INSIDE;
        }
    }
}

/* How much later a value is known than its operands. Inside a chain: not at all, as if it had those of
 * the whole chain. */
static int32_t mf_delay(const mf_facts *f, int32_t k) { return f->chain[k] != MF_INSIDE; }

/* 0 for what is given; else below the users, as late as can be: what leads to a result in as many
 * steps is then of one level, however early it could be known. A chain has one. */
static void mf_find_levels(mf_facts *f) {
    const mf_program *p = f->program;
    f->n_levels = 1;
    for (int32_t k = 0; k < p->code.n; k++) {
        const mf_instruction *i = &p->code.items[k];
        const int32_t n = mf_n_operands(i);
        for (int32_t j = 0; j < n; j++) {
            const int32_t level = f->level[mf_operand(p, i, j)];
            if (level > f->level[k]) f->level[k] = level;
        }
        if (n > 0) f->level[k] += mf_delay(f, k);
        if (f->level[k] >= f->n_levels) f->n_levels = f->level[k] + 1;
    }
    for (int32_t k = 0; k < p->code.n; k++) f->level[k] = f->n_levels - 1;
    for (int32_t k = p->code.n - 1; k >= 0; k--) {
        const mf_instruction *i = &p->code.items[k];
        const int32_t n = mf_n_operands(i), latest = f->level[k] - mf_delay(f, k);
        for (int32_t j = 0; j < n; j++) {
            int32_t *level = &f->level[mf_operand(p, i, j)];
            if (latest < *level) *level = latest;
        }
        if (n == 0) f->level[k] = 0;
    }
}

/* inputs: the flags of each. The facts mean nothing where the arena has failed. */
static mf_facts mf_facts_of(const mf_program *p, const uint8_t *inputs, mf_arena *memory) {
    const uint64_t n = (uint64_t)p->code.n;
    mf_facts f = {.program = p};
    f.row = (uint8_t *)mf_taken(memory, n, 1);
    f.wants = (uint8_t *)mf_taken(memory, n, 1);
    f.level = (int32_t *)mf_taken(memory, n, sizeof *f.level);
    f.chain = (int32_t *)mf_taken(memory, n, sizeof *f.chain);
    if (memory->failed) return f;
    mf_find_kinds(&f, inputs);
    mf_find_reached(&f, memory);
    mf_find_chains(&f, memory);
    if (!memory->failed) mf_find_levels(&f);
    return f;
}

/* ---- the order of steps ---- */

/* Instructions that compute something, uniform ones first, by level; starts[l] says where level l
 * begins among the uniform ones, starts[n_levels + l] among those over lanes. */
typedef struct {
    int32_t *order, *starts;
} mf_schedule;

/* Whether value k is computed, and not as a part of the chain that ends elsewhere. */
static int mf_is_step(const mf_facts *f, int32_t k) {
    return f->level[k] > 0 && f->chain[k] != MF_INSIDE;
}

static int32_t mf_bucket(const mf_facts *f, int32_t k) {
    return (f->row[k] ? f->n_levels : 0) + f->level[k];
}

/* A counting sort; level 0 is what is given. */
static mf_schedule mf_schedule_of(const mf_facts *f, mf_arena *memory) {
    const int32_t n = f->program->code.n;
    const uint64_t n_buckets = 2 * (uint64_t)f->n_levels;
    mf_schedule s;
    s.order = (int32_t *)mf_taken(memory, (uint64_t)n, sizeof *s.order);
    s.starts = (int32_t *)mf_taken(memory, n_buckets + 1, sizeof *s.starts);
    int32_t *next = (int32_t *)mf_taken(memory, n_buckets, sizeof *next);
    if (memory->failed) return s;
    for (int32_t k = 0; k < n; k++) s.starts[mf_bucket(f, k) + 1] += mf_is_step(f, k);
    for (uint64_t b = 0; b < n_buckets; b++) {
        s.starts[b + 1] += s.starts[b];
        next[b] = s.starts[b];
    }
    for (int32_t k = 0; k < n; k++)
        if (mf_is_step(f, k)) s.order[next[mf_bucket(f, k)]++] = k;
    return s;
}

#endif
