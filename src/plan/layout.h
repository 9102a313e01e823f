/* Layout: gives every value of a program its slot and makes the steps of a plan.
 *
 * Equal ops of a level whose operands stand in adjacent slots, or share one, become one step: see
 * stretches.h. Slots are handed out in the order of their operands' slots, so that what is adjacent
 * stays adjacent. */
#ifndef MF_LAYOUT_H
#define MF_LAYOUT_H

#include "plan/stretches.h"

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

/* Steps for candidates of one key. */
static void mf_place_alike(mf_builder *b, mf_candidate *c, mf_candidate *tried, int32_t n) {
    mf_order_candidates(c, tried, n);
    for (int32_t start = 0, end; start < n; start = end) {
        end = mf_stretch_end(c, start, n);
        mf_place_stretch(b, c + start, end - start);
    }
}

/* The candidates of a level. tried: lent. */
static void mf_place_stretches(mf_builder *b, mf_candidates *c, mf_candidates *tried) {
    mf_candidates_reserve(tried, c->n, &b->memory->failed);
    if (mf_builder_failed(b)) return;
    mf_sort_candidates(c->items, c->n);
    for (int32_t start = 0, end; start < c->n; start = end) {
        for (end = start + 1; end < c->n && c->items[end].key == c->items[start].key;) end++;
        mf_place_alike(b, c->items + start, tried->items, end - start);
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
    mf_candidates candidates, tried;
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
    mf_place_stretches(b, &l->candidates, &l->tried);
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
    free(l.tried.items);
    free(l.links.items);
    mf_grouping_free(&l.dots);
}

#endif
