/* A plan for values alone: the same steps over fewer rows. Backward needs every number of a tile;
 * without it, a row whose numbers nothing reads any more is used again, so that the tile of a long
 * program stays in cache.
 *
 * Rows that a step fills or reads as adjacent ones stay adjacent: what is renamed is a stretch of such
 * rows, which lives from the first step that writes to it to the last that reads it. Stretches take the
 * place of dead ones whose room was as large, in powers of two. */
#ifndef MF_REUSE_H
#define MF_REUSE_H

#include "plan/finish.h"
#include "plan/verify_values.h"

typedef struct { /* a stretch of rows */
    int32_t first, n;    /* before */
    int32_t place;       /* of the first one afterwards */
    int32_t from, until; /* steps */
    int32_t next;        /* another one that ends there too, or whose room is free */
} mf_life;

MF_ARRAY(mf_lives, mf_life)

enum {
    MF_MIN_ROWS = 128, /* of a plan for which it may be of use */
    MF_N_ROOMS = 32    /* room number k has 2**k rows */
};

typedef struct {
    mf_check check;        /* first: what walks a step's operands knows no other */
    int32_t *from, *until; /* by row: steps */
    uint8_t *joined;       /* by row: whether the next one stays next to it */
    mf_lives lives;
    int32_t *ends;         /* by step: a stretch that ends there, or -1 */
    int32_t free[MF_N_ROOMS];
    int32_t *places;       /* by row before: row afterwards */
    int32_t n_rows;        /* afterwards */
} mf_reuse;

/* ---- how long rows live ---- */

static void mf_note_rows(mf_reuse *r, int64_t first, int64_t n, int64_t move, int32_t step) {
    const int64_t last = first + (n - 1) * move;
    for (int64_t row = first; row <= last; row++) {
        if (step < r->from[row]) r->from[row] = step;
        if (step > r->until[row]) r->until[row] = step;
        r->joined[row] |= row < last;
    }
}

static int mf_note_read(mf_check *c, mf_span span) {
    if (span.first < c->plan->n_rows)
        mf_note_rows((mf_reuse *)c, span.first, span.n, span.move, (int32_t)(c->step - c->plan->steps));
    return 0;
}

/* Inputs are there from the start on, results to the end. */
static void mf_note_ends(mf_reuse *r) {
    const mf_plan *p = r->check.plan;
    if (p->n_columns > 0) mf_note_rows(r, 0, p->n_columns, 1, p->n_uniform_steps);
    for (int32_t k = 0; k < p->n_outputs; k++)
        if (p->outputs[k] >= 0) mf_note_rows(r, p->outputs[k], 1, 1, p->n_steps);
}

static int mf_compare_lives(const void *pa, const void *pb) {
    const mf_life *a = (const mf_life *)pa, *b = (const mf_life *)pb;
    const int order = (a->from > b->from) - (a->from < b->from);
    return order ? order : (a->first > b->first) - (a->first < b->first);
}

/* Sorted by the step from which on they live. */
static void mf_find_lives(mf_reuse *r, int *failed) {
    const mf_plan *p = r->check.plan;
    for (int32_t row = 0; row < p->n_rows; row++) r->from[row] = p->n_steps;
    mf_note_ends(r);
    for (int32_t k = p->n_uniform_steps; k < p->n_steps; k++) {
        mf_look_at(&r->check, k);
        mf_visit_all(&r->check, mf_note_read);
        mf_note_rows(r, r->check.step->z, mf_n_results(r->check.step), 1, k);
    }
    for (int32_t row = 0; row < p->n_rows && !*failed; row++) {
        mf_life life = {row, 1, 0, r->from[row], r->until[row], -1};
        for (; r->joined[row]; row++, life.n++) {
            life.from = (int32_t)mf_smaller(life.from, r->from[row + 1]);
            life.until = (int32_t)mf_larger(life.until, r->until[row + 1]);
        }
        mf_lives_add(&r->lives, life, failed);
    }
    mf_sort(r->lives.items, r->lives.n, sizeof(mf_life), mf_compare_lives);
}

/* ---- rooms ---- */

static int mf_room_of(const mf_life *life) {
    int room = 0;
    while ((int64_t)1 << room < life->n) room++;
    return room;
}

static void mf_settle(mf_reuse *r, int32_t k) {
    mf_life *life = &r->lives.items[k];
    const int room = mf_room_of(life);
    if (r->free[room] >= 0) {
        life->place = r->lives.items[r->free[room]].place;
        r->free[room] = r->lives.items[r->free[room]].next;
    } else {
        life->place = r->n_rows;
        r->n_rows += (int32_t)1 << room;
    }
    for (int32_t j = 0; j < life->n; j++) r->places[life->first + j] = life->place + j;
    life->next = r->ends[life->until];
    r->ends[life->until] = k;
}

/* What a step reads is no longer there from the next one on: its results lie elsewhere. */
static void mf_find_places(mf_reuse *r) {
    const int32_t n_steps = r->check.plan->n_steps;
    int32_t k = 0;
    for (int32_t step = 0; step <= n_steps; step++) r->ends[step] = -1;
    for (int room = 0; room < MF_N_ROOMS; room++) r->free[room] = -1;
    for (int32_t step = 0; step <= n_steps; step++) {
        for (; k < r->lives.n && r->lives.items[k].from == step; k++) mf_settle(r, k);
        for (int32_t dead = r->ends[step], next; dead >= 0; dead = next) {
            const int room = mf_room_of(&r->lives.items[dead]);
            next = r->lives.items[dead].next;
            r->lives.items[dead].next = r->free[room];
            r->free[room] = dead;
        }
    }
}

/* ---- the plan ---- */

static void mf_rename(const mf_reuse *r, int32_t *slot) {
    if (*slot >= 0) *slot = r->places[*slot];
}

static void mf_rename_step(const mf_reuse *r, mf_step *s) {
    int32_t *fields[3];
    for (int k = mf_row_fields(s, fields) - 1; k >= 0; k--) mf_rename(r, fields[k]);
}

static void *mf_copied(const void *items, int32_t n, size_t size, int *failed) {
    void *copy = mf_resized(NULL, (uint64_t)n + 1, size);
    if (copy == NULL) *failed = 1;
    if (copy != NULL && n > 0) memcpy(copy, items, (size_t)n * size);
    return copy;
}

/* What a run without backward reads. */
static void mf_rename_plan(const mf_reuse *r, mf_plan *made, int *failed) {
    const mf_plan *p = r->check.plan;
    made->steps = (mf_step *)mf_copied(p->steps, p->n_steps, sizeof *p->steps, failed);
    made->args = (int32_t *)mf_copied(p->args, p->n_args, sizeof *p->args, failed);
    made->outputs = (int32_t *)mf_copied(p->outputs, p->n_outputs, sizeof *p->outputs, failed);
    if (*failed) return;
    made->n_uniform_steps = p->n_uniform_steps;
    made->n_steps = p->n_steps;
    made->n_args = p->n_args;
    made->n_outputs = p->n_outputs;
    made->n_columns = p->n_columns;
    made->n_uniforms = p->n_uniforms;
    made->n_rows = r->n_rows;
    for (int32_t k = p->n_uniform_steps; k < p->n_steps; k++) mf_rename_step(r, &made->steps[k]);
    for (int32_t k = 0; k < p->n_args; k++) mf_rename(r, &made->args[k]);
    for (int32_t k = 0; k < p->n_outputs; k++) mf_rename(r, &made->outputs[k]);
    mf_find_tile(made, sizeof(double) * mf_larger(made->n_rows, 1));
    const int64_t room = 2 * (int64_t)p->n_rows * p->tile / mf_larger(made->n_rows, 1);
    made->tile = (int32_t)mf_smaller(made->tile, room / MF_LANE_BLOCK * MF_LANE_BLOCK);
}

/* Fills *made, all zeros before, from a valid plan; it runs in the workspace of that. It stays empty
 * where that is of no use, or memory runs out. What a mistake of this file would be, and with which
 * step; NULL: none. */
static const char *mf_plan_values(const mf_plan *p, mf_plan *made, int32_t *step) {
    const char *fault = NULL;
    mf_arena memory = {0};
    if (p->n_rows < MF_MIN_ROWS) return NULL;
    mf_reuse r = {.check = {p, NULL, NULL, 0}};
    r.from = (int32_t *)mf_taken(&memory, (uint64_t)p->n_rows, sizeof *r.from);
    r.until = (int32_t *)mf_taken(&memory, (uint64_t)p->n_rows, sizeof *r.until);
    r.places = (int32_t *)mf_taken(&memory, (uint64_t)p->n_rows, sizeof *r.places);
    r.joined = (uint8_t *)mf_taken(&memory, (uint64_t)p->n_rows, 1);
    r.ends = (int32_t *)mf_taken(&memory, (uint64_t)p->n_steps + 1, sizeof *r.ends);
    if (!memory.failed) mf_find_lives(&r, &memory.failed);
    if (!memory.failed) mf_find_places(&r);
    if (!memory.failed && r.n_rows <= p->n_rows / 2) mf_rename_plan(&r, made, &memory.failed);
    if (!memory.failed && made->n_steps > 0) fault = mf_values_fault(p, made, &memory, step);
    if (memory.failed) mf_plan_free(made);
    free(r.lives.items);
    mf_arena_free(&memory);
    return memory.failed ? NULL : fault;
}

#endif
