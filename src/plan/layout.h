/* Layout: gives every value of a program its slot and makes the steps of a plan.
 *
 * Equal ops of a level whose operands stand in adjacent slots, or share one, become one step. Slots
 * are handed out in the order of their operands' slots, so that what is adjacent stays adjacent. */
#ifndef MF_LAYOUT_H
#define MF_LAYOUT_H

#include "plan/grouping.h"

typedef struct { /* an instruction of a level that may share a step with others */
    int32_t k;
    int32_t key;  /* from the highest bits down: op, whether it has a backward step, whether x wants a
                   * gradient, whether y does */
    int32_t x, y; /* slots of operands */
} mf_candidate;

MF_ARRAY(mf_candidates, mf_candidate)

static int mf_compare_candidates(const void *pa, const void *pb) {
    const mf_candidate *a = (const mf_candidate *)pa, *b = (const mf_candidate *)pb;
    int order = (a->key > b->key) - (a->key < b->key);
    if (order == 0) order = mf_compare_slots(a->x, b->x);
    if (order == 0) order = mf_compare_slots(a->y, b->y);
    return order ? order : (a->k > b->k) - (a->k < b->k);
}

/* ---- what is given ---- */

/* Rows 0, 1, ... are the columns that the inputs load. */
static void mf_place_inputs(mf_builder *b, int rows) {
    for (int32_t k = 0; k < b->program->code.n; k++) {
        const mf_instruction *i = &b->program->code.items[k];
        if (i->op == MF_INPUT && b->facts->row[k] == rows) b->input_slots[i->x] = mf_give_slot(b, k);
    }
}

typedef struct {
    int32_t place; /* in memory */
    int32_t k;
} mf_captured_value;

MF_ARRAY(mf_captured_values, mf_captured_value)

static int mf_compare_captured(const void *pa, const void *pb) {
    const mf_captured_value *a = (const mf_captured_value *)pa, *b = (const mf_captured_value *)pb;
    const int order = (a->place > b->place) - (a->place < b->place);
    return order ? order : (a->k > b->k) - (a->k < b->k);
}

/* In the order of the places, of which each captured number has one: a list of parameters stands side
 * by side. */
static void mf_place_captured(mf_builder *b, const int32_t *places) {
    const mf_instruction *code = b->program->code.items;
    mf_captured_values found = {0};
    for (int32_t k = 0; k < b->program->code.n; k++)
        if (code[k].op == MF_CAPTURED)
            mf_captured_values_add(&found, (mf_captured_value){places[code[k].x], k},
                                   &b->memory->failed);
    mf_sort(found.items, found.n, sizeof *found.items, mf_compare_captured);
    for (int32_t j = 0; j < found.n; j++) {
        const int32_t k = found.items[j].k;
        b->slots[k] = b->captured_slots[code[k].x] = mf_new_slot(b, 0, 1);
    }
    free(found.items);
}

static void mf_place_numbers(mf_builder *b) {
    for (int32_t k = 0; k < b->program->code.n; k++) {
        const mf_instruction *i = &b->program->code.items[k];
        if (i->op != MF_NUMBER) continue;
        b->slots[k] = mf_new_slot(b, 0, 0);
        mf_number_slots_add(&b->numbers, (mf_number_slot){b->slots[k], b->program->numbers.items[i->x]},
                            &b->memory->failed);
    }
}

/* ---- ops ---- */

static mf_candidate mf_candidate_of(const mf_builder *b, int32_t k) {
    const mf_instruction *i = &b->program->code.items[k];
    mf_candidate c = {k, 0, b->slots[i->x], mf_has_y(i->op) ? b->slots[i->y] : MF_NO_SLOT};
    c.key = 8 * i->op + 4 * b->facts->wants[k] + 2 * mf_slot_is_wanted(b, c.x);
    if (c.y != MF_NO_SLOT) c.key += mf_slot_is_wanted(b, c.y);
    return c;
}

/* Where the stretch of candidates ends that can be one step: each operand advances by a slot from one to
 * the next, or stays; one of them advances. */
static int32_t mf_stretch_end(const mf_candidate *c, int32_t start, int32_t n) {
    if (start + 1 == n) return n;
    const int32_t x_move = mf_distance(c[start].x, c[start + 1].x);
    const int32_t y_move = mf_distance(c[start].y, c[start + 1].y);
    if (x_move < 0 || x_move > 1 || y_move < 0 || y_move > 1 || x_move + y_move == 0) return start + 1;
    for (int32_t k = start + 1; k < n; k++)
        if (c[k].key != c[start].key || (c[k].x >= 0) != (c[start].x >= 0) ||
            (c[k].y >= 0) != (c[start].y >= 0) || mf_distance(c[k - 1].x, c[k].x) != x_move ||
            mf_distance(c[k - 1].y, c[k].y) != y_move)
            return k;
    return n;
}

/* One step for `count` equal ops. */
static void mf_place_stretch(mf_builder *b, const mf_candidate *c, int32_t count) {
    const int row = b->facts->row[c->k], has_y = c->y != MF_NO_SLOT;
    const int32_t op = b->program->code.items[c->k].op;
    mf_step step = {.kind = op == MF_DETACH ? MF_STEP_DETACH : MF_STEP_OPS, .count = count};
    step.wants_gradient = b->facts->wants[c->k];
    step.ops = (mf_ops_step){op, c->x, c->y, 1, 0};
    if (count > 1) {
        step.ops.x_move = mf_distance(c->x, c[1].x);
        step.ops.y_move = has_y ? mf_distance(c->y, c[1].y) : 0;
    } else if (has_y) { /* a single op: rows move, numbers do not */
        step.ops.x_move = !row || c->x >= 0;
        step.ops.y_move = !row || c->y >= 0;
    }
    for (int32_t j = 0; j < count; j++) mf_give_slot(b, c[j].k);
    step.z = b->slots[c->k];
    mf_add_step(b, step, row);
}

static void mf_place_stretches(mf_builder *b, mf_candidates *c) {
    mf_sort(c->items, c->n, sizeof *c->items, mf_compare_candidates);
    for (int32_t start = 0, end; start < c->n; start = end) {
        end = mf_stretch_end(c->items, start, c->n);
        mf_place_stretch(b, c->items + start, end - start);
    }
    c->n = 0;
}

/* ---- chains and choices ---- */

/* One step for ops each of which takes the result of the one before. links: lent, it becomes them. */
static void mf_place_chain(mf_builder *b, int32_t end, mf_ints *links) {
    const mf_instruction *code = b->program->code.items;
    mf_step step = {.kind = MF_STEP_CHAIN, .count = b->facts->chain[end]};
    int32_t k = end;
    links->n = 0;
    for (int32_t j = 0; j < step.count; j++, k = code[k].x)
        mf_ints_add(links, k, &b->memory->failed);
    if (mf_builder_failed(b)) return;
    step.wants_gradient = b->facts->wants[end];
    step.chain = (mf_chain_step){code[end].op, b->slots[k], b->args.n};
    for (int32_t j = step.count - 1; j >= 0; j--) {
        k = links->items[j];
        mf_add_slot_arg(b, b->slots[code[k].y]);
        b->slots[k] = mf_new_slot(b, b->facts->row[end], step.wants_gradient);
    }
    step.z = b->slots[links->items[step.count - 1]]; /* of the first link */
    mf_add_step(b, step, b->facts->row[end]);
}

/* A take, the largest or the smallest: one of the args. */
static void mf_place_choice(mf_builder *b, int32_t k) {
    const mf_instruction *i = &b->program->code.items[k];
    mf_step step = {.kind = i->op == MF_TAKE ? MF_STEP_TAKE : MF_STEP_EXTREME, .count = 1};
    if (i->op == MF_TAKE)
        step.take = (mf_take_step){b->slots[i->y], b->args.n, i->n};
    else
        step.extreme = (mf_extreme_step){i->op, b->args.n, i->n};
    for (int32_t j = 0; j < i->n; j++)
        mf_add_slot_arg(b, b->slots[b->program->args.items[i->x + j]]);
    step.wants_gradient = b->facts->wants[k];
    step.z = mf_give_slot(b, k);
    mf_add_step(b, step, b->facts->row[k]);
}

/* ---- all of a program ---- */

/* Working memory of mf_place_level, reused from level to level. */
typedef struct {
    mf_builder *b;
    mf_candidates candidates;
    mf_ints links;
    mf_grouping dots;
} mf_layout;

/* Steps for instructions of one level, none of which needs another. */
static void mf_place_level(mf_layout *l, const int32_t *members, int32_t n) {
    mf_builder *b = l->b;
    for (int32_t m = 0; m < n && !mf_builder_failed(b); m++) {
        const int32_t k = members[m], op = b->program->code.items[k].op;
        if (op == MF_DOT)
            mf_add_dot(&l->dots, k);
        else if (mf_has_args(op))
            mf_place_choice(b, k);
        else if (b->facts->chain[k])
            mf_place_chain(b, k, &l->links);
        else
            mf_candidates_add(&l->candidates, mf_candidate_of(b, k), &b->memory->failed);
    }
    mf_place_stretches(b, &l->candidates);
    mf_place_dots(&l->dots);
}

/* captured_places: where each captured number lies in memory, in whatever order that makes. */
static void mf_lay_out(mf_builder *b, const int32_t *captured_places) {
    mf_layout l = {.b = b, .dots = {.b = b}};
    const mf_schedule s = mf_schedule_of(b->facts, b->memory);
    if (mf_builder_failed(b)) return;
    mf_place_inputs(b, 1);
    b->n_columns = b->row_wants.n;
    mf_place_inputs(b, 0);
    mf_place_captured(b, captured_places);
    mf_place_numbers(b);
    for (int32_t bucket = 0; bucket < 2 * b->facts->n_levels && !mf_builder_failed(b); bucket++) {
        const int32_t start = s.starts[bucket], end = s.starts[bucket + 1];
        if (end > start) mf_place_level(&l, s.order + start, end - start);
    }
    free(l.candidates.items);
    free(l.links.items);
    mf_grouping_free(&l.dots);
}

#endif
