/* Stretches: equal ops of a level that can be one step, because each operand moves on by a slot from
 * one op to the next, or stays.
 *
 * Sorted by (x, y), ops whose y alone moves are neighbours; by (y, x) those whose x moves; by
 * (y - x, x) those whose both do. Which of these makes the fewest stretches is tried for each op of a
 * level, and whether each candidate is better off in its own longest one: families of ops that share an
 * operand (x[i] * v[i], x[i] * w[i], x[i] * 2) are taken apart so. */
#ifndef MF_STRETCHES_H
#define MF_STRETCHES_H

#include "plan/grouping.h"

typedef enum { MF_Y_MOVES, MF_X_MOVES, MF_BOTH_MOVE, MF_N_DIRECTIONS } mf_direction;

typedef struct { /* an instruction of a level that may share a step with others */
    int32_t k;
    int32_t key;  /* from the highest bits down: op, whether it has a backward step, whether x wants a
                   * gradient, whether y does, whether x is a row, whether y is */
    int32_t x, y; /* slots of operands */
    int32_t direction;         /* which neighbours it is to have; one for all, or its own */
    int32_t line, place;       /* by direction: what neighbours share, and where on that it stands */
    int32_t longest, favorite; /* stretch that it was in so far, and of which direction that was */
} mf_candidate;

MF_ARRAY(mf_candidates, mf_candidate)

static mf_candidate mf_candidate_of(const mf_builder *b, int32_t k) {
    const mf_instruction *i = &b->program->code.items[k];
    mf_candidate c = {.k = k, .x = b->slots[i->x]};
    c.y = mf_has_y(i->op) ? b->slots[i->y] : MF_NO_SLOT;
    c.key = 32 * i->op + 16 * b->facts->wants[k] + 8 * mf_slot_is_wanted(b, c.x);
    c.key += 4 * mf_slot_is_wanted(b, c.y) + 2 * (c.x >= 0) + (c.y >= 0);
    c.line = mf_position(c.x);
    c.place = mf_position(c.y);
    return c;
}

static void mf_turn(mf_candidate *c, int32_t direction) {
    const int32_t x = mf_position(c->x), y = mf_position(c->y);
    c->direction = direction;
    c->line = direction == MF_Y_MOVES ? x : direction == MF_X_MOVES ? y : y - x;
    c->place = direction == MF_Y_MOVES ? y : x;
}

static int mf_compare_candidates(const void *pa, const void *pb) {
    const mf_candidate *a = (const mf_candidate *)pa, *b = (const mf_candidate *)pb;
    if (a->key != b->key) return a->key > b->key ? 1 : -1;
    if (a->direction != b->direction) return a->direction - b->direction;
    if (a->line != b->line) return a->line > b->line ? 1 : -1;
    if (a->place != b->place) return a->place > b->place ? 1 : -1;
    return (a->k > b->k) - (a->k < b->k);
}

/* Where the stretch ends that starts there, of n candidates of one key. */
static int32_t mf_stretch_end(const mf_candidate *c, int32_t start, int32_t n) {
    if (start + 1 == n) return n;
    const int32_t x_move = mf_distance(c[start].x, c[start + 1].x);
    const int32_t y_move = mf_distance(c[start].y, c[start + 1].y);
    if (x_move < 0 || x_move > 1 || y_move < 0 || y_move > 1 || x_move + y_move == 0) return start + 1;
    for (int32_t k = start + 1; k < n; k++)
        if (c[k].direction != c[start].direction || mf_distance(c[k - 1].x, c[k].x) != x_move ||
            mf_distance(c[k - 1].y, c[k].y) != y_move)
            return k;
    return n;
}

/* How many stretches n candidates of one key are; each notes the longest that it was in. */
static int32_t mf_count_stretches(mf_candidate *c, int32_t n) {
    int32_t count = 0;
    for (int32_t start = 0, end; start < n; start = end, count++) {
        end = mf_stretch_end(c, start, n);
        for (int32_t k = start; k < end; k++) {
            if (end - start <= c[k].longest) continue;
            c[k].longest = end - start;
            c[k].favorite = c[k].direction;
        }
    }
    return count;
}

/* ---- the order of candidates ---- */

/* Most levels are a few candidates: qsort alone would be a tenth of the time that a plan takes. */
static void mf_sort_candidates(mf_candidate *c, int32_t n) {
    enum { FEW = 20 };
    if (n > FEW) mf_sort(c, n, sizeof *c, mf_compare_candidates);
    for (int32_t k = 1; n <= FEW && k < n; k++) {
        const mf_candidate moved = c[k];
        int32_t to = k;
        for (; to > 0 && mf_compare_candidates(&c[to - 1], &moved) > 0; to--) c[to] = c[to - 1];
        c[to] = moved;
    }
}

/* Stretches of n candidates if each stood in the longest that it was in: there are no fewer. */
static int32_t mf_fewest_stretches(const mf_candidate *c, int32_t n) {
    double sum = 0.5;
    for (int32_t k = 0; k < n; k++) sum += 1.0 / c[k].longest;
    return (int32_t)sum;
}

/* As many stretches as there are then; direction MF_N_DIRECTIONS: each candidate has its favorite. */
static int32_t mf_try(mf_candidate *c, int32_t n, int32_t direction) {
    for (int32_t k = 0; k < n; k++)
        mf_turn(&c[k], direction < MF_N_DIRECTIONS ? direction : c[k].favorite);
    mf_sort_candidates(c, n);
    return mf_count_stretches(c, n);
}

/* n candidates of one key, sorted by x and y: in the order that makes the fewest stretches.
 * tried: n of them, lent. */
static void mf_order_candidates(mf_candidate *c, mf_candidate *tried, int32_t n) {
    int32_t fewest = mf_count_stretches(c, n);
    if (fewest == 1 || c->y == MF_NO_SLOT) return;
    memcpy(tried, c, (size_t)n * sizeof *c);
    for (int32_t direction = MF_X_MOVES; direction <= MF_N_DIRECTIONS; direction++) {
        if (direction == MF_N_DIRECTIONS && mf_fewest_stretches(tried, n) >= fewest) return;
        const int32_t count = mf_try(tried, n, direction);
        if (count >= fewest) continue;
        fewest = count;
        memcpy(c, tried, (size_t)n * sizeof *c);
    }
}

#endif
