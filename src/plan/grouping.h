/* Grouping: dots of a level that share their inputs become one matrix step; the others stay dots.
 *
 * z[m] = bias[m] + the sum over k of W[m][k] * x[k] needs W at regular distances and x side by side.
 * Parameters stand in the order in which they were made, results in the order of their operands, so
 * that both come about by themselves; where they do not, a gather step brings them together. */
#ifndef MF_GROUPING_H
#define MF_GROUPING_H

#include "base/hash.h"
#include "plan/builder.h"

/* What is worth a step of another kind. */
enum {
    MIN_MATRIX_WEIGHTS = 8, /* fewer are faster as dots */
    MIN_GATHERED = 4,       /* dots, and factors of each, for which a copy of their factors pays */
    MIN_INNER = 4           /* products of a uniform dot over adjacent slots */
};

typedef struct {
    uint64_t hash; /* of the second factors, and whether the first ones are rows */
    int32_t k;     /* value */
    int32_t n;     /* products */
    int32_t first; /* n first factors in mf_grouping.factors, then n second factors; as slots */
    int32_t bias;
    int32_t row;   /* position of the first factor: which row of a matrix it would be */
} mf_dot_entry;

typedef struct {
    int32_t start, n; /* among the entries */
    int32_t w, x;     /* slots of the first factors */
} mf_dot_group;

MF_ARRAY(mf_dot_entries, mf_dot_entry)
MF_ARRAY(mf_dot_groups, mf_dot_group)

/* The dots of one level: mf_add_dot() them, then mf_place_dots(). */
typedef struct {
    mf_builder *b;
    mf_dot_entries entries;
    mf_dot_groups groups;
    mf_ints factors;
    mf_hashes hashes;
} mf_grouping;

static void mf_grouping_free(mf_grouping *g) {
    free(g->entries.items);
    free(g->groups.items);
    free(g->factors.items);
    free(g->hashes.items);
}

/* ---- orders ---- */

static inline int mf_compare_slots(int32_t a, int32_t b) {
    if ((a >= 0) != (b >= 0)) return a >= 0 ? 1 : -1;
    return (mf_position(a) > mf_position(b)) - (mf_position(a) < mf_position(b));
}

static int mf_compare_hashes(const void *pa, const void *pb) {
    const uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;
    return (a > b) - (a < b);
}

/* Dots over the same inputs side by side. */
static int mf_compare_inputs(const void *pa, const void *pb) {
    const mf_dot_entry *a = (const mf_dot_entry *)pa, *b = (const mf_dot_entry *)pb;
    const int order = (a->hash > b->hash) - (a->hash < b->hash);
    return order ? order : (a->k > b->k) - (a->k < b->k);
}

/* Rows of a matrix as they lie. */
static int mf_compare_rows(const void *pa, const void *pb) {
    const mf_dot_entry *a = (const mf_dot_entry *)pa, *b = (const mf_dot_entry *)pb;
    const int order = (a->row > b->row) - (a->row < b->row);
    return order ? order : (a->k > b->k) - (a->k < b->k);
}

static int mf_compare_groups(const void *pa, const void *pb) {
    const mf_dot_group *a = (const mf_dot_group *)pa, *b = (const mf_dot_group *)pb;
    int order = mf_compare_slots(a->w, b->w);
    if (order == 0) order = mf_compare_slots(a->x, b->x);
    return order ? order : (a->start > b->start) - (a->start < b->start);
}

/* ---- slots in a row ---- */

static uint64_t mf_hash_slots(const int32_t *slots, int32_t n) {
    uint64_t h = (uint64_t)n;
    for (int32_t k = 0; k < n; k++) h = mf_mix(h, (uint32_t)slots[k], 0, 0);
    return h;
}

/* From slot a to slot b, of one kind. */
static int32_t mf_distance(int32_t a, int32_t b) { return mf_position(b) - mf_position(a); }

/* The distance of neighbours among n slots of a kind; MF_NO_SLOT if it is not one. */
static int32_t mf_regular(const int32_t *slots, int32_t n) {
    if (n == 1) return 1;
    const int32_t move = mf_distance(slots[0], slots[1]);
    for (int32_t k = 1; k < n; k++)
        if ((slots[k] >= 0) != (slots[0] >= 0) || mf_distance(slots[k - 1], slots[k]) != move)
            return MF_NO_SLOT;
    return move;
}

static void mf_exchange(int32_t *a, int32_t *b) {
    const int32_t before = *a;
    *a = *b;
    *b = before;
}

/* ---- the dots of a level ---- */

static inline int32_t *mf_first_factors(const mf_grouping *g, const mf_dot_entry *e) {
    return g->factors.items + e->first;
}

static inline int32_t *mf_second_factors(const mf_grouping *g, const mf_dot_entry *e) {
    return g->factors.items + e->first + e->n;
}

static inline int mf_dot_wants(const mf_grouping *g, const mf_dot_entry *e) {
    return g->b->facts->wants[e->k];
}

static int mf_is_given_number(const mf_program *p, int32_t value) {
    return p->code.items[value].op == MF_CAPTURED || p->code.items[value].op == MF_NUMBER;
}

/* A uniform factor comes before a row, a parameter or number before what is computed. */
static void mf_swap_factors_by_kind(mf_grouping *g, const mf_dot_entry *e, const mf_instruction *i) {
    const mf_program *p = g->b->program;
    const int32_t *factor = p->args.items + i->x;
    int32_t *w = mf_first_factors(g, e), *x = mf_second_factors(g, e);
    for (int32_t j = 0; j < e->n; j++, factor += 2) {
        const int only_second = !mf_is_given_number(p, factor[0]) && mf_is_given_number(p, factor[1]);
        if (x[j] < 0 && (w[j] >= 0 || only_second))
            mf_exchange(&w[j], &x[j]);
    }
}

static void mf_add_dot(mf_grouping *g, int32_t k) {
    const mf_program *p = g->b->program;
    const mf_instruction *i = &p->code.items[k];
    const int32_t *slots = g->b->slots;
    int *failed = &g->b->memory->failed;
    mf_dot_entry e = {.k = k, .n = i->n, .first = g->factors.n};
    e.bias = i->y >= 0 ? slots[i->y] : MF_NO_SLOT;
    mf_ints_reserve(&g->factors, (int64_t)g->factors.n + 2 * (int64_t)i->n, failed);
    if (*failed) return;
    for (int32_t side = 0; side < 2; side++)
        for (int32_t j = 0; j < i->n; j++)
            mf_ints_add(&g->factors, slots[p->args.items[i->x + 2 * j + side]], failed);
    mf_swap_factors_by_kind(g, &e, i);
    e.hash = mf_hash_slots(mf_second_factors(g, &e), e.n) + (*mf_first_factors(g, &e) >= 0);
    mf_dot_entries_add(&g->entries, e, failed);
}

/* How many hashes of a sorted list are below the wanted one, or with `nor_equal` not above it. */
static int32_t mf_n_below(const mf_hashes *sorted, uint64_t wanted, int nor_equal) {
    int32_t low = 0, high = sorted->n;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (sorted->items[middle] < wanted || (nor_equal && sorted->items[middle] == wanted))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int32_t mf_occurrences(const mf_hashes *sorted, uint64_t wanted) {
    return mf_n_below(sorted, wanted, 1) - mf_n_below(sorted, wanted, 0);
}

/* Where a dot's first factors are shared by more dots than its second ones, they change places. Lanes'
 * dots stay: their first factors are the uniform ones. */
static void mf_swap_factors_by_sharing(mf_grouping *g) {
    int *failed = &g->b->memory->failed;
    g->hashes.n = 0;
    for (int32_t k = 0; k < g->entries.n; k++) {
        const mf_dot_entry *e = &g->entries.items[k];
        mf_hashes_add(&g->hashes, mf_hash_slots(mf_first_factors(g, e), e->n), failed);
        mf_hashes_add(&g->hashes, e->hash, failed);
    }
    if (*failed) return;
    mf_sort(g->hashes.items, g->hashes.n, sizeof(uint64_t), mf_compare_hashes);
    for (int32_t k = 0; k < g->entries.n; k++) {
        mf_dot_entry *e = &g->entries.items[k];
        int32_t *w = mf_first_factors(g, e), *x = mf_second_factors(g, e);
        if (w[0] >= 0 || x[0] >= 0) continue;
        const uint64_t first = mf_hash_slots(w, e->n);
        if (mf_occurrences(&g->hashes, first) <= mf_occurrences(&g->hashes, e->hash)) continue;
        for (int32_t j = 0; j < e->n; j++) mf_exchange(&w[j], &x[j]);
        e->hash = first;
    }
}

static int mf_same_inputs(const mf_grouping *g, const mf_dot_entry *a, const mf_dot_entry *b) {
    return a->hash == b->hash && a->n == b->n &&
           (*mf_first_factors(g, a) >= 0) == (*mf_first_factors(g, b) >= 0) &&
           memcmp(mf_second_factors(g, a), mf_second_factors(g, b),
                  (size_t)a->n * sizeof(int32_t)) == 0;
}

/* Groups of dots over the same inputs, each in the order of its first factors, so that the rows of a
 * matrix follow each other. */
static void mf_find_groups(mf_grouping *g) {
    mf_dot_entry *e = g->entries.items;
    for (int32_t k = 0; k < g->entries.n; k++) e[k].row = mf_position(*mf_first_factors(g, &e[k]));
    mf_sort(e, g->entries.n, sizeof *e, mf_compare_inputs);
    for (int32_t start = 0, end; start < g->entries.n; start = end) {
        for (end = start + 1; end < g->entries.n && mf_same_inputs(g, &e[start], &e[end]);) end++;
        mf_sort(e + start, end - start, sizeof *e, mf_compare_rows);
        const mf_dot_group group = {start, end - start, *mf_first_factors(g, &e[start]),
                                    *mf_second_factors(g, &e[start])};
        mf_dot_groups_add(&g->groups, group, &g->b->memory->failed);
    }
}

/* ---- matrices ---- */

/* How many of n dots, from the first on, have their factors W at regular distances. */
static int32_t mf_n_regular(const mf_grouping *g, const mf_dot_entry *e, int32_t n) {
    const int32_t col = mf_regular(mf_first_factors(g, e), e->n);
    if (n == 1 || col == MF_NO_SLOT) return 1;
    const int32_t row = mf_distance(*mf_first_factors(g, e), *mf_first_factors(g, e + 1));
    const int32_t bias_move = mf_distance(e->bias, e[1].bias);
    /* Rows side by side or columns side by side; never one over the other. */
    if (!(col == 1 && row >= e->n) && !(row == 1 && col > 1)) return 1;
    for (int32_t m = 1; m < n; m++) {
        const mf_dot_entry *last = e + m - 1, *next = e + m;
        const int32_t *w = mf_first_factors(g, next);
        if (mf_regular(w, e->n) != col || mf_distance(*mf_first_factors(g, last), *w) != row ||
            /* Backward runs for all results of a step, or for none. */
            mf_dot_wants(g, next) != mf_dot_wants(g, e) ||
            (next->bias >= 0) != (e->bias >= 0) ||
            (next->bias == MF_NO_SLOT) != (e->bias == MF_NO_SLOT) ||
            mf_distance(last->bias, next->bias) != bias_move ||
            (col > 1 && m == col))
            return m;
    }
    return n;
}

static int mf_is_matrix(const mf_grouping *g, const mf_dot_entry *e, int32_t n) {
    return n > 1 && (int64_t)n * e->n >= MIN_MATRIX_WEIGHTS && *mf_first_factors(g, e) < 0 &&
           mf_regular(mf_second_factors(g, e), e->n) == 1 && mf_n_regular(g, e, n) == n;
}

/* Whether two groups, of dots e and f, have the same first factors and biases. */
static int mf_same_matrix(const mf_grouping *g, const mf_dot_group *a, const mf_dot_group *b) {
    const mf_dot_entry *e = g->entries.items + a->start, *f = g->entries.items + b->start;
    if (a->n != b->n || e->n != f->n || a->w != b->w || !mf_is_matrix(g, f, b->n)) return 0;
    for (int32_t m = 0; m < a->n; m++) {
        const size_t n_bytes = (size_t)e->n * sizeof(int32_t);
        if (e[m].bias != f[m].bias || mf_dot_wants(g, &e[m]) != mf_dot_wants(g, &f[m])) return 0;
        if (memcmp(mf_first_factors(g, &e[m]), mf_first_factors(g, &f[m]), n_bytes)) return 0;
    }
    return 1;
}

/* ---- steps ---- */

/* Copies n slots into adjacent new ones; `slots` names those afterwards. wants: whether gradient comes
 * back to the copies. */
static void mf_gather(mf_builder *b, int32_t *slots, int32_t n, int row, int wants) {
    mf_step step = {.kind = MF_STEP_GATHER, .count = n};
    step.gather.args = b->args.n;
    for (int32_t j = 0; j < n; j++) {
        mf_add_slot_arg(b, slots[j]);
        step.wants_gradient |= wants && mf_slot_is_wanted(b, slots[j]);
    }
    for (int32_t j = 0; j < n; j++) slots[j] = mf_new_slot(b, row, step.wants_gradient);
    step.z = slots[0];
    mf_add_step(b, step, row);
}

/* Inputs x that are not side by side are copied together, where that pays. */
static void mf_gather_inputs(mf_grouping *g) {
    for (int32_t k = 0; k < g->groups.n && !mf_builder_failed(g->b); k++) {
        mf_dot_group *group = &g->groups.items[k];
        const mf_dot_entry *e = g->entries.items + group->start;
        int32_t *x = mf_second_factors(g, e);
        int wants = 0;
        if (group->n < MIN_GATHERED || e->n < MIN_GATHERED || group->w >= 0) continue;
        if (mf_regular(x, e->n) == 1) continue;
        for (int32_t m = 0; m < group->n; m++) wants |= mf_dot_wants(g, e + m);
        mf_gather(g->b, x, e->n, g->b->facts->row[e->k], wants);
        group->x = x[0];
        for (int32_t m = 1; m < group->n; m++)
            memcpy(mf_second_factors(g, e + m), x, (size_t)e->n * sizeof(int32_t));
    }
}

/* What a dot asks of the step that it is a part of. */
static void mf_note_wants(const mf_grouping *g, const mf_dot_entry *e, uint8_t *w, uint8_t *x) {
    for (int32_t j = 0; j < e->n; j++) {
        *w |= (uint8_t)mf_slot_is_wanted(g->b, mf_first_factors(g, e)[j]);
        *x |= (uint8_t)mf_slot_is_wanted(g->b, mf_second_factors(g, e)[j]);
    }
}

/* One step for the same matrix times n_vectors vectors: the groups from this one on. */
static void mf_place_matrix(mf_grouping *g, const mf_dot_group *group, int32_t n_vectors,
                            int32_t vector_move) {
    const mf_dot_entry *e = g->entries.items + group->start;
    const int32_t *w = mf_first_factors(g, e);
    mf_step step = {.kind = MF_STEP_MATRIX, .count = group->n};
    mf_matrix_step *matrix = &step.matrix;
    matrix->n = e->n;
    matrix->w = ~w[0];
    matrix->w_col = mf_regular(w, e->n);
    matrix->w_row = mf_distance(w[0], *mf_first_factors(g, e + 1));
    matrix->x = *mf_second_factors(g, e);
    matrix->bias = e->bias;
    matrix->bias_move = mf_distance(e->bias, e[1].bias);
    matrix->n_vectors = n_vectors;
    matrix->vector_move = vector_move;
    for (int32_t v = 0; v < n_vectors; v++)
        for (int32_t m = 0; m < group->n; m++) {
            const mf_dot_entry *dot = g->entries.items + group[v].start + m;
            mf_note_wants(g, dot, &matrix->wants_w, &matrix->wants_x);
            step.wants_gradient |= (uint8_t)mf_dot_wants(g, dot);
            mf_give_slot(g->b, dot->k);
        }
    step.z = g->b->slots[e->k];
    mf_add_step(g->b, step, g->b->facts->row[e->k]);
}

static mf_step mf_inner_of(const mf_grouping *g, const mf_dot_entry *e, int32_t w_move) {
    mf_step step = {.kind = MF_STEP_INNER, .count = 1};
    step.inner.n = e->n;
    step.inner.w = ~*mf_first_factors(g, e);
    step.inner.w_move = w_move;
    step.inner.x = *mf_second_factors(g, e);
    step.inner.bias = e->bias;
    mf_note_wants(g, e, &step.inner.wants_w, &step.inner.wants_x);
    return step;
}

static mf_step mf_dot_of(const mf_grouping *g, const mf_dot_entry *e) {
    const int32_t *w = mf_first_factors(g, e), *x = mf_second_factors(g, e);
    const int mixed = g->b->facts->row[e->k] && w[0] < 0;
    mf_step step = {.kind = MF_STEP_DOT, .count = 1};
    step.dot.bias = e->bias;
    step.dot.args = g->b->args.n;
    step.dot.n_rows = mixed ? e->n : 0;
    step.dot.n_pairs = mixed ? 0 : e->n;
    for (int32_t j = 0; j < e->n; j++) {
        mf_add_slot_arg(g->b, w[j]);
        mf_add_slot_arg(g->b, x[j]);
    }
    return step;
}

/* A dot of its own: over adjacent slots, or over any. */
static void mf_place_dot(mf_grouping *g, const mf_dot_entry *e) {
    const int row = g->b->facts->row[e->k];
    const int32_t w_move = mf_regular(mf_first_factors(g, e), e->n);
    const int is_inner = !row && e->n >= MIN_INNER && (w_move == 0 || w_move == 1) &&
                         mf_regular(mf_second_factors(g, e), e->n) == 1;
    mf_step step = is_inner ? mf_inner_of(g, e, w_move) : mf_dot_of(g, e);
    step.wants_gradient = (uint8_t)mf_dot_wants(g, e);
    step.z = mf_give_slot(g->b, e->k);
    mf_add_step(g->b, step, row);
}

/* The factors W of n dots side by side. */
static void mf_gather_rows(mf_grouping *g, const mf_dot_entry *e, int32_t n) {
    for (int32_t m = 0; m < n; m++)
        mf_gather(g->b, mf_first_factors(g, e + m), e->n, 0, mf_dot_wants(g, e + m));
}

/* Matrices where W and x allow, else dots. */
static void mf_place_group(mf_grouping *g, mf_dot_group group) {
    const mf_dot_entry *e = g->entries.items + group.start;
    const int32_t end = group.start + group.n;
    int32_t n_parts = 0;
    const int over_lanes = g->b->facts->row[e->k] && *mf_first_factors(g, e) < 0;
    if (group.n >= MIN_GATHERED && e->n >= MIN_GATHERED && over_lanes)
        for (int32_t k = 0; k < group.n; n_parts++) k += mf_n_regular(g, e + k, group.n - k);
    /* parts of fewer than four rows on average */
    if (n_parts * 4 > group.n) mf_gather_rows(g, e, group.n);
    while (group.start < end && !mf_builder_failed(g->b)) {
        e = g->entries.items + group.start;
        group.n = mf_n_regular(g, e, end - group.start);
        if (mf_is_matrix(g, e, group.n)) {
            mf_place_matrix(g, &group, 1, 0);
        } else {
            group.n = 1;
            mf_place_dot(g, e);
        }
        group.start += group.n;
    }
}

/* Group k, and those after it that are the same matrix times other vectors; how many. */
static int32_t mf_place_groups(mf_grouping *g, int32_t k) {
    const mf_dot_group *group = &g->groups.items[k];
    const mf_dot_entry *e = g->entries.items + group->start;
    int32_t n_vectors = 1, vector_move = 0;
    if (g->b->facts->row[e->k] || !mf_is_matrix(g, e, group->n)) {
        mf_place_group(g, *group);
        return 1;
    }
    for (; k + n_vectors < g->groups.n; n_vectors++) {
        const mf_dot_group *last = group + n_vectors - 1, *next = group + n_vectors;
        if (!mf_same_matrix(g, group, next)) break;
        if (n_vectors == 1) vector_move = mf_distance(last->x, next->x);
        if (vector_move < e->n || mf_distance(last->x, next->x) != vector_move) break;
    }
    mf_place_matrix(g, group, n_vectors, vector_move);
    return n_vectors;
}

/* Makes the steps of all dots that were added. */
static void mf_place_dots(mf_grouping *g) {
    if (g->entries.n == 0) return;
    if (!mf_builder_failed(g->b)) mf_swap_factors_by_sharing(g);
    if (!mf_builder_failed(g->b)) mf_find_groups(g);
    if (!mf_builder_failed(g->b)) mf_gather_inputs(g);
    if (mf_builder_failed(g->b)) return;
    mf_sort(g->groups.items, g->groups.n, sizeof(mf_dot_group), mf_compare_groups);
    for (int32_t k = 0; k < g->groups.n && !mf_builder_failed(g->b);) k += mf_place_groups(g, k);
    g->entries.n = g->groups.n = g->factors.n = 0;
}

#endif
