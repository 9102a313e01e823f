/* The compiler and the executor without Python: programs through the passes, the plan, its verifier
 * and the replay, against a naive evaluation; every allocation failing; and programs that nobody made.
 * The sanitizers notice what is read or freed wrongly, or lost. */
#include "naive.h"
#include "plan/plan.h"
#include "program/passes.h"
#include "run/replay.h"

static const char *op_name(int32_t op) {
    if (op == MF_NUMBER) return "number";
    if (op == MF_CAPTURED) return "captured";
    return op == MF_DOT ? "dot" : mf_ops[op].name;
}

/* ---- passes ---- */

/* Names of the ops of a program, in order. */
static void check_ops(const mf_program *p, const char *expected) {
    char found[1000] = "";
    for (int32_t k = 0; k < p->code.n; k++) {
        strcat(found, k ? " " : "");
        strcat(found, op_name(p->code.items[k].op));
    }
    CHECK_OF(strcmp(found, expected) == 0, "%s", found);
}

static void test_passes_of_a_neuron(void) {
    mf_program p = {.n_inputs = 2, .n_params = 3}, after = {0};
    int32_t x[2], w[3], where;
    for (int32_t k = 0; k < 2; k++) x[k] = mf_emit(&p, MF_INPUT, k, MF_NO_VALUE, 0);
    for (int32_t k = 0; k < 3; k++) w[k] = mf_emit(&p, MF_CAPTURED, k, MF_NO_VALUE, 0);
    int32_t z = mf_emit(&p, MF_ADD, w[2], mf_emit(&p, MF_MUL, w[0], x[0], 0), 0);
    z = mf_emit(&p, MF_ADD, z, mf_emit(&p, MF_MUL, w[1], x[1], 0), 0);
    const int32_t one = mf_emit_number(&p, 1.0), minus = mf_emit_number(&p, -1.0);
    const int32_t turned = mf_emit(&p, MF_MUL, z, minus, 0);
    z = mf_emit(&p, MF_RELU, mf_emit(&p, MF_ADD, one, turned, 0), MF_NO_VALUE, 0);
    mf_ints_add(&p.outputs, z, &p.failed);
    CHECK_OF(mf_program_fault(&p, &where) == MF_PROGRAM_OK, "at %d", where);
    mf_optimize(&p, &after);
    check_ops(&after, "input input captured captured captured number dot sub relu");
    CHECK_OF(after.outputs.items[0] == 8, "%d", after.outputs.items[0]);
    mf_program_free(&p);
    mf_program_free(&after);
}

/* ---- runs ---- */

enum { N_SAMPLES = 19 };

static int n_steps[MF_N_STEP_KINDS]; /* that were compared */

/* Outputs of all samples, and adjoints of captured numbers and uniform inputs over all of them. */
typedef struct {
    double outputs[N_SAMPLES * MAX_OUTPUTS];
    double captured[MAX_CAPTURED], inputs[MAX_INPUTS];
    sample columns[N_SAMPLES]; /* adjoints of the inputs that are rows */
} answers;

static void run_naively(const mf_program *p, const sample *samples, const uint8_t *kinds, answers *a) {
    static double v[MAX_VALUES], d[MAX_VALUES];
    CHECK_OF(p->code.n <= MAX_VALUES, "%d instructions", p->code.n);
    memset(a, 0, sizeof *a);
    for (int b = 0; b < N_SAMPLES; b++) {
        naive_values(p, &samples[b], v);
        naive_adjoints(p, v, d);
        for (int32_t k = 0; k < p->outputs.n; k++)
            a->outputs[b * p->outputs.n + k] = v[p->outputs.items[k]];
        for (int32_t k = 0; k < p->code.n; k++) {
            const mf_instruction *i = &p->code.items[k];
            if (i->op == MF_CAPTURED) a->captured[i->x] += d[k];
            if (i->op != MF_INPUT || !(kinds[i->x] & MF_INPUT_WANTS)) continue;
            if (kinds[i->x] & MF_INPUT_IS_ROW)
                a->columns[b].inputs[i->x] = d[k];
            else
                a->inputs[i->x] += d[k];
        }
    }
}

static void run_plan(const mf_plan *p, const mf_kernels *kernels, const sample *samples,
                     const uint8_t *kinds, answers *a) {
    double *uniforms = (double *)calloc((size_t)p->n_uniforms + 1, sizeof *uniforms);
    double *grads = (double *)calloc((size_t)p->n_uniforms + 1, sizeof *grads);
    double *block = (double *)aligned_alloc(64, (mf_workspace_doubles(p) * 8 + 63) / 64 * 64);
    mf_column columns[MAX_INPUTS + 1];
    double seeds[MAX_OUTPUTS] = {1.0, 1.0, 1.0};
    mf_workspace ws = {uniforms, grads, block, block + (size_t)p->n_rows * p->tile, NULL, NULL};
    mf_job job = {.n_samples = N_SAMPLES, .columns = columns, .outputs = a->outputs, .seeds = seeds,
                  .backward = 1};
    memset(a, 0, sizeof *a);
    ws.scratch = ws.row_grads + (size_t)p->n_rows * p->tile;
    for (int32_t k = 0; k < p->n_inputs; k++) {
        const int32_t slot = p->input_slots[k];
        if (slot == MF_NO_SLOT) continue;
        double *grad = kinds[k] & MF_INPUT_WANTS ? &a->columns[0].inputs[k] : NULL;
        if (slot >= 0)
            columns[slot] = (mf_column){&samples[0].inputs[k], sizeof(sample) / sizeof(double), grad};
        else
            uniforms[~slot] = samples[0].inputs[k];
    }
    for (int32_t k = 0; k < p->n_captured; k++)
        if (p->captured_slots[k] != MF_NO_SLOT) uniforms[~p->captured_slots[k]] = samples[0].captured[k];
    for (int32_t k = 0; k < p->n_numbers; k++) uniforms[~p->numbers[k].slot] = p->numbers[k].number;
    CHECK_OF(mf_replay(p, kernels, &ws, &job) == MF_REPLAY_OK, "a bad index");
    for (int32_t k = 0; k < p->n_captured; k++)
        if (p->captured_slots[k] != MF_NO_SLOT) a->captured[k] = grads[~p->captured_slots[k]];
    for (int32_t k = 0; k < p->n_inputs; k++)
        if (p->input_slots[k] != MF_NO_SLOT && p->input_slots[k] < 0 && kinds[k] & MF_INPUT_WANTS)
            a->inputs[k] = grads[~p->input_slots[k]];
    free(uniforms);
    free(grads);
    free(block);
}

static void check_numbers(const char *what, int n, const double *a, const double *b, uint64_t seed) {
    for (int k = 0; k < n; k++)
        CHECK_OF(is_close(a[k], b[k]), "seed %llu: %s %d is %.17g, not %.17g",
                 (unsigned long long)seed, what, k, a[k], b[k]);
}

static void check_answers(const answers *a, const answers *b, uint64_t seed) {
    check_numbers("output", N_SAMPLES * MAX_OUTPUTS, a->outputs, b->outputs, seed);
    check_numbers("captured number", MAX_CAPTURED, a->captured, b->captured, seed);
    check_numbers("input", MAX_INPUTS, a->inputs, b->inputs, seed);
    check_numbers("column", sizeof a->columns / (sizeof(double)), (const double *)a->columns,
                  (const double *)b->columns, seed);
}

/* Samples differ in inputs that are rows alone. */
static void random_samples(uint64_t *r, const uint8_t *kinds, sample *samples) {
    for (int k = 0; k < MAX_CAPTURED; k++) samples[0].captured[k] = random_between(r, -1.0, 1.0);
    for (int k = 0; k < MAX_INPUTS; k++) samples[0].inputs[k] = random_between(r, -1.0, 1.0);
    for (int b = 1; b < N_SAMPLES; b++) {
        samples[b] = samples[0];
        for (int k = 0; k < MAX_INPUTS; k++)
            if (kinds[k] & MF_INPUT_IS_ROW) samples[b].inputs[k] = random_between(r, -1.0, 1.0);
    }
}

/* What inputs are, all alike or each for itself; where captured numbers lie, in order or not. */
static void random_places(uint64_t *r, uint8_t *kinds, int32_t *places) {
    const int alike = random_below(r, 2), in_order = random_below(r, 2);
    for (int k = 0; k < MAX_INPUTS; k++) kinds[k] = k && alike ? kinds[0] : (uint8_t)random_below(r, 4);
    for (int k = 0; k < MAX_CAPTURED; k++) places[k] = in_order ? k : random_below(r, 100);
}

static void check_program(uint64_t seed) {
    uint64_t r = first_bits(seed);
    mf_program p = {0}, after = {0};
    mf_plan plan = {0};
    uint8_t kinds[MAX_INPUTS];
    int32_t places[MAX_CAPTURED], where;
    static sample samples[N_SAMPLES];
    answers expected, found;
    random_program(&r, &p);
    CHECK_OF(mf_program_fault(&p, &where) == MF_PROGRAM_OK, "seed %llu, at %d",
          (unsigned long long)seed, where);
    random_places(&r, kinds, places);
    random_samples(&r, kinds, samples);
    run_naively(&p, samples, kinds, &expected);
    mf_optimize(&p, &after);
    CHECK_OF(!after.failed && mf_program_fault(&after, &where) == MF_PROGRAM_OK, "seed %llu, at %d",
          (unsigned long long)seed, where);
    run_naively(&after, samples, kinds, &found);
    check_answers(&found, &expected, seed);
    const mf_plan_result result = mf_plan_program(&after, kinds, places, &plan);
    CHECK_OF(!result.no_memory && result.fault == NULL, "seed %llu: step %d: %s", (unsigned long long)seed,
          result.step, result.fault);
    for (int32_t k = 0; k < plan.n_steps; k++) n_steps[plan.steps[k].kind]++;
    const char *variants[] = {NULL, "portable"};
    for (int v = 0; v < 2; v++) {
        run_plan(&plan, mf_choose_kernels(variants[v]), samples, kinds, &found);
        check_answers(&found, &expected, seed);
    }
    mf_plan_free(&plan);
    mf_program_free(&after);
    mf_program_free(&p);
}

/* ---- without memory ---- */

/* Passes and plan with the allocation number n failing; whether one did. */
static int fails_at(const mf_program *p, const uint8_t *kinds, const int32_t *places, int64_t n) {
    mf_program after = {0};
    mf_plan plan = {0};
    mf_plan_result result = {0};
    int32_t where;
    mf_n_allocs_left = n;
    mf_optimize(p, &after);
    int failed = after.failed || mf_program_fault(&after, &where) == MF_PROGRAM_NO_MEMORY;
    if (!failed) {
        result = mf_plan_program(&after, kinds, places, &plan);
        failed = result.no_memory;
        CHECK_OF(!failed || (plan.steps == NULL && plan.n_steps == 0), "a plan without memory is empty");
    }
    mf_n_allocs_left = -1;
    CHECK_OF(failed || result.fault == NULL, "%s", result.fault);
    mf_plan_free(&plan);
    mf_program_free(&after);
    return failed;
}

static void check_failures(uint64_t seed) {
    uint64_t r = first_bits(seed);
    mf_program p = {0};
    uint8_t kinds[MAX_INPUTS];
    int32_t places[MAX_CAPTURED];
    random_program(&r, &p);
    random_places(&r, kinds, places);
    int64_t n = 0;
    while (fails_at(&p, kinds, places, n)) n++;
    CHECK_OF(n > 40, "only %lld allocations", (long long)n);
    mf_program_free(&p);
}

/* ---- programs that nobody made ---- */

/* Bytes are no program, or one that passes and plan take. */
static int is_program(uint64_t seed) {
    uint64_t r = first_bits(seed);
    mf_program p = {0}, after = {0};
    mf_plan plan = {0};
    uint8_t kinds[MAX_INPUTS];
    int32_t places[MAX_CAPTURED], where;
    random_program(&r, &p);
    for (int n = 1 + random_below(&r, 3); n > 0; n--) {
        mf_instruction *i = &p.code.items[random_below(&r, p.code.n)];
        int32_t *field[] = {&i->op, &i->x, &i->y, &i->n};
        const int32_t small = random_below(&r, 40) - 4, any = (int32_t)random_bits(&r);
        *field[random_below(&r, 4)] = random_below(&r, 4) ? small : any;
    }
    random_places(&r, kinds, places);
    const int valid = mf_program_fault(&p, &where) == MF_PROGRAM_OK;
    if (valid) {
        mf_optimize(&p, &after);
        CHECK_OF(mf_program_fault(&after, &where) == MF_PROGRAM_OK, "seed %llu, at %d",
              (unsigned long long)seed, where);
        const mf_plan_result result = mf_plan_program(&after, kinds, places, &plan);
        CHECK_OF(!result.no_memory && result.fault == NULL, "seed %llu: %s", (unsigned long long)seed,
              result.fault);
    }
    mf_plan_free(&plan);
    mf_program_free(&after);
    mf_program_free(&p);
    return valid;
}

int main(int n_words, char **words) { /* the first seed, or nothing */
    const uint64_t first = n_words > 1 ? strtoull(words[1], NULL, 10) : 1;
    int n_valid = 0;
    test_passes_of_a_neuron();
    for (uint64_t seed = first; seed < first + 2000; seed++) check_program(seed);
    for (int kind = 0; kind < MF_N_STEP_KINDS; kind++)
        CHECK_OF(n_steps[kind] > 20, "%d steps of kind %d", n_steps[kind], kind);
    for (uint64_t seed = first; seed < first + 40; seed++) check_failures(seed);
    for (uint64_t seed = first; seed < first + 4000; seed++) n_valid += is_program(seed);
    CHECK_OF(n_valid > 400 && n_valid < 3600, "%d of the damaged programs are valid", n_valid);
    return 0;
}
