/* The node store and the order of its graphs, without Python: counts, reuse, limits, failing
 * allocations, what is told of preserved nodes, backward against a plain recursion. */
#include "engine/order.h"

#include "check.h"

static mf_store new_store(void) {
    mf_store s;
    CHECK(mf_store_init(&s));
    return s;
}

/* A node of an op, whose number is computed. */
static int32_t op_new(mf_store *s, int op, int32_t x, int32_t y) {
    double z = 0.0;
    mf_forward(op, s->data[x], y >= 0 ? s->data[y] : 0.0, &z);
    return mf_node_new(s, z, x, y, (uint8_t)op);
}

/* The same, which takes over the caller's uses of the operands. */
static int32_t op_of(mf_store *s, int op, int32_t x, int32_t y) {
    const int32_t id = op_new(s, op, x, y);
    mf_node_release(s, x);
    if (y >= 0) mf_node_release(s, y);
    return id;
}

static int32_t chain(mf_store *s, int n) {
    int32_t id = mf_leaf_new(s, 1.0);
    for (int k = 0; k < n && id >= 0; k++) id = op_of(s, MF_ADD, id, mf_leaf_new(s, 1.0));
    return id;
}

static void backward(mf_store *s, int32_t root) {
    mf_order order;
    CHECK(mf_backward(s, root, &order) == MF_BACKWARD_DONE);
}

/* ---- records ---- */

static void test_a_fresh_store_has_nobody_s_record_alone(void) {
    mf_store s = new_store();
    CHECK(s.n_live == 0 && s.n_nodes == 1);
    CHECK(s.nodes[0].flags & MF_F_TRACED && s.data[0] != s.data[0]);
    CHECK(mf_leaf_new(&s, 2.0) == 1 && s.n_live == 1);
    mf_store_clear(&s);
}

static void test_a_graph_goes_with_its_last_use(void) {
    mf_store s = new_store();
    const int32_t a = mf_leaf_new(&s, 2.0), b = mf_leaf_new(&s, -3.0);
    const int32_t product = op_new(&s, MF_MUL, a, b), square = op_new(&s, MF_MUL, a, a);
    const int32_t sum = op_of(&s, MF_ADD, product, square);
    CHECK(s.n_live == 5 && s.nodes[a].uses == 4 && s.data[sum] == -2.0);
    backward(&s, sum);
    CHECK(s.grad[a] == -3.0 + 2 * 2.0 && s.grad[b] == 2.0 && s.grad[sum] == 1.0);
    backward(&s, product);
    CHECK(s.grad[b] == 4.0);
    mf_node_release(&s, a);
    CHECK(s.n_live == 5);
    CHECK(mf_node_release(&s, sum) && s.n_live == 1 && s.nodes[b].uses == 1);
    CHECK(mf_node_release(&s, b) && s.n_live == 0);
    mf_store_clear(&s);
}

static void test_records_are_used_again(void) {
    for (int n = 50; n < 10000; n *= 10) {
        mf_store s = new_store();
        const int32_t first = chain(&s, n);
        mf_node_release(&s, first);
        const int64_t bytes = mf_store_bytes(&s);
        for (int k = 0; k < 100; k++) {
            const int32_t id = chain(&s, n);
            CHECK(id == first && s.nodes[id].flags & MF_F_ASCENDING);
            backward(&s, id);
            mf_node_release(&s, id);
        }
        CHECK(mf_store_bytes(&s) == bytes && s.n_live == 0);
        mf_store_clear(&s);
    }
}

static void test_an_exhausted_store_stays_whole(void) {
    mf_store s = new_store();
    s.max_nodes = 200;
    const int32_t first = mf_leaf_new(&s, 1.0);
    int32_t id = mf_node_use(&s, first), next;
    while ((next = op_new(&s, MF_ADD, id, first)) >= 0) {
        mf_node_release(&s, id);
        id = next;
    }
    CHECK(s.n_live == 199 && s.n_nodes == 200 && s.data[id] == 199.0);
    CHECK(mf_leaf_new(&s, 0.0) == MF_NONE && s.nodes[id].uses == 1);
    backward(&s, id);
    CHECK(s.grad[first] == 199.0);
    mf_node_release(&s, id);
    CHECK(s.n_live == 1 && mf_leaf_new(&s, 0.0) >= 0);
    mf_store_clear(&s);
}

/* ids that descend from operands to users: the store is full, and one record is free at a time. */
static int32_t descending_chain(mf_store *s, int n) {
    s->max_nodes = n + 1;
    for (int k = 0; k < n; k++) CHECK(mf_leaf_new(s, 1.0) == k + 1);
    int32_t id = n;
    for (int32_t next = n - 1; next > 0; next--) {
        mf_node_release(s, next);
        CHECK(op_new(s, MF_RELU, id, MF_NONE) == next);
        mf_node_release(s, id);
        id = next;
    }
    return id;
}

static void test_a_deep_chain_needs_no_stack(void) {
    mf_store s = new_store();
    const int32_t up = chain(&s, 1000000);
    backward(&s, up);
    mf_node_release(&s, up);
    CHECK(s.n_live == 0);
    mf_store_clear(&s);

    s = new_store();
    const int32_t down = descending_chain(&s, 5000);
    CHECK(down == 1 && !(s.nodes[down].flags & MF_F_ASCENDING));
    backward(&s, down);
    CHECK(s.grad[5000] == 1.0 && s.workspace.cap > 0);
    mf_node_release(&s, down);
    CHECK(s.n_live == 0);
    mf_store_clear(&s);
}

/* ---- random graphs against a plain model ---- */

enum { N_RANDOM = 300 };

static void visit(const mf_store *s, int32_t id, char *seen, int32_t *order, int *n) {
    if (id < 0 || seen[id]) return;
    seen[id] = 1;
    visit(s, s->nodes[id].x, seen, order, n);
    visit(s, s->nodes[id].y, seen, order, n);
    order[(*n)++] = id;
}

/* The gradients of the first root, by recursion and mf_partials; how many records all roots keep. */
static void check_against_recursion(mf_store *s, const int32_t *roots, int n_roots) {
    char *seen = calloc((size_t)s->n_nodes, 1);
    int32_t *order = calloc((size_t)s->n_nodes, sizeof *order);
    double *grad = calloc((size_t)s->n_nodes, sizeof *grad);
    int n = 0;
    visit(s, roots[0], seen, order, &n);
    grad[roots[0]] = 1.0;
    for (int k = n - 1; k >= 0; k--) {
        const mf_node *node = &s->nodes[order[k]];
        double dx = 0.0, dy = 0.0;
        if (node->op == MF_LEAF) continue;
        mf_partials(node->op, s->data[node->x], node->y >= 0 ? s->data[node->y] : 0.0,
                    s->data[order[k]], &dx, &dy);
        grad[node->x] += dx * grad[order[k]];
        if (node->y >= 0) grad[node->y] += dy * grad[order[k]];
    }
    for (int32_t id = 0; id < s->n_nodes; id++) s->grad[id] = 0.0;
    backward(s, roots[0]);
    for (int k = 0; k < n; k++)
        CHECK(fabs(s->grad[order[k]] - grad[order[k]]) <= 1e-12 * (1.0 + fabs(grad[order[k]])));
    for (int k = 0; k < n_roots; k++) visit(s, roots[k], seen, order, &n);
    CHECK(n == s->n_live);
    free(seen);
    free(order);
    free(grad);
}

static void test_random_graphs(void) {
    mf_store s = new_store();
    uint64_t state = 1;
    int32_t roots[N_RANDOM];
    int n_descending = 0;
    for (int round = 0; round < 100; round++) {
        int n_roots = 0;
        while (n_roots < N_RANDOM) {
            const int op = (const int[]){MF_ADD, MF_MUL, MF_TANH, MF_LEAF}[random_below(&state, 4)];
            if (op == MF_LEAF || n_roots < 2) {
                roots[n_roots++] = mf_leaf_new(&s, random_below(&state, 1000) / 1000.0 - 0.5);
                continue;
            }
            const int32_t x = roots[random_below(&state, n_roots)];
            const int32_t y = roots[random_below(&state, n_roots)];
            roots[n_roots++] = op_new(&s, op, x, op == MF_TANH ? MF_NONE : y);
            if (random_below(&state, 3) == 0) { /* drop one: its record may be free at once */
                const int k = random_below(&state, n_roots - 1);
                mf_node_release(&s, roots[k]);
                roots[k] = roots[--n_roots];
            }
            n_descending += !(s.nodes[roots[n_roots - 1]].flags & MF_F_ASCENDING);
        }
        for (int k = 0; k < 50; k++) {
            const int j = random_below(&state, n_roots);
            const int32_t root = roots[j];
            roots[j] = roots[0];
            roots[0] = root;
            check_against_recursion(&s, roots, n_roots);
        }
        for (int k = n_roots - 1; k >= 0; k--) { /* in any order */
            const int j = random_below(&state, k + 1);
            mf_node_release(&s, roots[j]);
            roots[j] = roots[k];
        }
        CHECK(s.n_live == 0);
    }
    CHECK(n_descending > 100);
    mf_store_clear(&s);
}

/* ---- walks ---- */

static void test_marks_start_afresh_when_epochs_run_out(void) {
    mf_store s = new_store();
    const int32_t id = chain(&s, 10);
    for (int k = 0; k < 70000; k++) {
        memset(s.grad, 0, (size_t)s.n_nodes * sizeof *s.grad);
        backward(&s, id);
        CHECK(s.grad[1] == 1.0);
    }
    mf_order order = {NULL, 0, 0, 0};
    CHECK(mf_order_fill(&s, &order, id, MF_WALK_ALL) && order.n == 21);
    for (int k = 0; k < UINT16_MAX - 1; k++) mf_new_epoch(&s); /* the next one was this graph's */
    CHECK(mf_order_fill(&s, &order, id, MF_WALK_RESULTS) && order.n == 10);
    mf_order_free(&order);
    mf_store_clear(&s);
}

static void test_steps_in_python_are_left_to_the_caller(void) {
    mf_store s = new_store();
    const int32_t x = mf_leaf_new(&s, 2.0), custom = mf_node_new(&s, 4.0, x, MF_NONE, MF_CUSTOM);
    const int32_t top = op_new(&s, MF_TANH, custom, MF_NONE);
    mf_order order, other;
    backward(&s, top);
    mf_set_hook(&s, custom);
    s.grad[custom] = 0.0;
    CHECK(mf_backward(&s, top, &order) == MF_BACKWARD_HOOKS);
    mf_order_return(&s, &order);
    CHECK(mf_backward(&s, top, &order) == MF_BACKWARD_HOOKS && s.workspace.cap == 0);
    CHECK(order.n == 2 && order.ids[0] == custom && order.ids[1] == top);
    CHECK(s.grad[top] == 1.0 && s.grad[custom] == 0.0);
    CHECK(mf_backward(&s, custom, &other) == MF_BACKWARD_HOOKS); /* a step may call backward() */
    CHECK(other.ids != order.ids);
    mf_order_return(&s, &other);
    mf_order_return(&s, &order);
    mf_set_hook(&s, x); /* leaves with a step are in the order */
    CHECK(mf_backward(&s, top, &order) == MF_BACKWARD_HOOKS && order.n == 3);
    mf_order_return(&s, &order);
    mf_clear_hook(&s, x);
    mf_become(&s, custom, MF_RELU, MF_NONE);
    s.grad[custom] = s.grad[x] = 0.0;
    backward(&s, top);
    CHECK(s.grad[x] == s.grad[custom] && s.grad[x] != 0.0);
    mf_store_clear(&s);
}

static void test_a_derivative_that_does_not_exist_is_named(void) {
    mf_store s = new_store();
    const int32_t x = mf_leaf_new(&s, 0.0), root = op_new(&s, MF_SQRT, x, MF_NONE);
    const int32_t top = op_new(&s, MF_RELU, root, MF_NONE);
    mf_order order;
    s.data[top] = 1.0; /* so that relu passes on what comes */
    CHECK(mf_backward(&s, top, &order) == root && s.grad[x] == 0.0);
    mf_store_clear(&s);
}

/* ---- owners, and what is told of preserved nodes ---- */

static int n_used, n_unused, n_owned, n_unstashed;
static int32_t last_told;
static void told_used(mf_store *s, int32_t id) { (void)s, n_used++, last_told = id; }
static void told_unused(mf_store *s, int32_t id) { (void)s, n_unused++, last_told = id; }
static void told_owned(mf_store *s, int32_t id) { (void)s, n_owned++, last_told = id; }
static void told_unstashed(mf_store *s, int32_t id) { (void)s, n_unstashed++, last_told = id; }

static mf_store listened_store(void) {
    mf_store s = new_store();
    n_used = n_unused = n_owned = n_unstashed = 0;
    s.on_used = told_used;
    s.on_unused = told_unused;
    s.on_owned = told_owned;
    s.on_unstash = told_unstashed;
    return s;
}

static void test_a_node_has_one_owner(void) {
    mf_store s = new_store();
    static char values[1000];
    for (int k = 0; k < 1000; k++) {
        const int32_t id = mf_leaf_new(&s, k);
        CHECK(mf_owner(&s, id) == NULL && mf_own(&s, id, &values[k]));
        CHECK(mf_owner(&s, id) == &values[k]);
    }
    const int32_t cap = s.cap_handles;
    for (int round = 0; round < 3; round++)
        for (int32_t id = 1; id <= 1000; id += 2) {
            mf_disown(&s, id);
            CHECK(mf_owner(&s, id) == NULL && mf_owner(&s, id + 1) == &values[id]);
            CHECK(mf_own(&s, id, &values[id - 1]));
        }
    CHECK(s.cap_handles == cap);
    mf_store_clear(&s);
}

static void test_uses_of_preserved_nodes_are_told(void) {
    mf_store s = listened_store();
    const int32_t x = mf_leaf_new(&s, 1.0), other = mf_leaf_new(&s, 1.0);
    CHECK(!mf_preserve(&s, x) && n_used == 0);
    const int32_t top = op_new(&s, MF_ADD, x, other);
    CHECK(n_used == 1 && last_told == x && s.nodes[top].flags & MF_F_ABOVE);
    const int32_t second = op_new(&s, MF_ADD, other, x), above = op_new(&s, MF_ADD, top, second);
    CHECK(n_used == 2 && s.nodes[above].flags & MF_F_ABOVE);
    char value;
    CHECK(mf_own(&s, above, &value) && n_owned == 1 && last_told == above);
    CHECK(mf_own(&s, other, &value) && n_owned == 1);
    mf_node_release(&s, top);
    mf_node_release(&s, second);
    CHECK(n_unused == 0);
    mf_disown(&s, above);
    mf_node_release(&s, above);
    CHECK(n_unused == 1 && last_told == x && s.nodes[x].uses == 1);
    mf_stash(&s, other);
    mf_disown(&s, other);
    mf_node_release(&s, other);
    CHECK(n_unstashed == 1 && last_told == other);
    mf_store_clear(&s);
}

static void test_a_node_that_is_preserved_late_has_those_above_flagged(void) {
    for (int down = 0; down < 2; down++) {
        mf_store s = listened_store();
        const int32_t top = down ? descending_chain(&s, 50) : chain(&s, 50);
        const int32_t low = down ? 40 : 11; /* leaf, leaf, sum, leaf, sum ... */
        CHECK(s.nodes[low].op != MF_LEAF && mf_preserve(&s, top) == 0 && mf_preserve(&s, low) == 0);
        mf_node_use(&s, low);
        CHECK(mf_preserve(&s, low) == 1 && n_used == 1);
        mf_flag_above(&s);
        CHECK(s.nodes[top].flags & MF_F_ABOVE && !(s.nodes[low].flags & MF_F_ABOVE));
        mf_store_clear(&s);
    }
}

static void test_an_owner_moves_with_what_is_said_of_it(void) {
    mf_store s = listened_store();
    char value;
    const int32_t old = mf_leaf_new(&s, 1.0), user = op_new(&s, MF_RELU, old, MF_NONE);
    CHECK(mf_own(&s, old, &value));
    mf_preserve(&s, old);
    mf_set_hook(&s, old);
    const int32_t id = mf_leaf_new(&s, 2.0);
    mf_owner_moves(&s, old, id);
    CHECK(mf_owner(&s, id) == &value && mf_owner(&s, old) == NULL && s.nodes[old].uses == 1);
    CHECK(s.nodes[id].flags & MF_F_PRESERVED && s.nodes[id].flags & MF_F_HOOK);
    CHECK(!(s.nodes[old].flags & (MF_F_PRESERVED | MF_F_HOOK)));
    CHECK(n_unused == 1 && last_told == id);
    mf_node_release(&s, user);
    CHECK(s.n_live == 1);
    mf_store_clear(&s);
}

/* ---- failing allocations ---- */

/* Builds, orders and frees in a store whose n-th allocation fails; whether none did. */
static int survives(int n) {
    mf_store s;
    mf_order order;
    char value;
    int done = 0;
    mf_n_allocs_left = n;
    if (mf_store_init(&s)) {
        const int32_t low = mf_leaf_new(&s, 1.0), first = mf_leaf_new(&s, 1.0); /* room is there */
        int32_t id = first, n_live = 2;
        for (int k = 0; k < 3000 && id >= 0; k++) {
            const int32_t next = op_new(&s, MF_ADD, id, low);
            CHECK(next >= 0 || s.n_live == n_live);
            n_live = s.n_live;
            if (id != first) mf_node_release(&s, id);
            id = next;
        }
        if (id >= 0) {
            const int32_t custom = mf_node_new(&s, 1.0, id, MF_NONE, MF_CUSTOM);
            mf_node_release(&s, id);
            if (custom >= 0) {
                mf_set_hook(&s, custom); /* so that there must be an order */
                const int32_t result = mf_backward(&s, custom, &order);
                CHECK(result == MF_BACKWARD_HOOKS || result == MF_BACKWARD_NO_MEMORY);
                if (result == MF_BACKWARD_HOOKS) mf_order_return(&s, &order);
                done = mf_own(&s, custom, &value) && result == MF_BACKWARD_HOOKS;
                mf_node_release(&s, custom);
            }
        }
        mf_node_release(&s, first);
        mf_node_release(&s, low);
        CHECK(s.n_live == 0);
        mf_n_allocs_left = -1; /* there is memory again: all is as if nothing had failed */
        const int32_t later = chain(&s, 3000);
        backward(&s, later);
        mf_node_release(&s, later);
        CHECK(s.n_live == 0);
    }
    mf_n_allocs_left = -1;
    mf_store_clear(&s);
    return done;
}

static void test_any_allocation_may_fail(void) {
    int n = 0;
    while (!survives(n)) n++;
    CHECK(n > 12); /* four arrays, each more than once, handles, the order */
}

int main(void) {
    test_a_fresh_store_has_nobody_s_record_alone();
    test_a_graph_goes_with_its_last_use();
    test_records_are_used_again();
    test_an_exhausted_store_stays_whole();
    test_a_deep_chain_needs_no_stack();
    test_random_graphs();
    test_marks_start_afresh_when_epochs_run_out();
    test_steps_in_python_are_left_to_the_caller();
    test_a_derivative_that_does_not_exist_is_named();
    test_a_node_has_one_owner();
    test_uses_of_preserved_nodes_are_told();
    test_a_node_that_is_preserved_late_has_those_above_flagged();
    test_an_owner_moves_with_what_is_said_of_it();
    test_any_allocation_may_fail();
    return 0;
}
