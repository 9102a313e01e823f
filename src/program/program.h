/* A program: what a traced function computes, as plain data. No Python, no nodes.
 *
 * A list of instructions in static single assignment: instruction k computes value k from values with
 * smaller numbers. MF_INPUT x: the x-th input; MF_CAPTURED x: the x-th captured number; MF_NUMBER x:
 * numbers[x]; ops of the table: operands x and y; MF_TAKE x, y, n: args[x : x+n] chosen by value y;
 * MF_LARGEST and MF_SMALLEST x, n: of args[x : x+n]; MF_DOT x, y, n: value y (or none) and the n
 * products args[x]*args[x+1] + ... */
#ifndef MF_PROGRAM_H
#define MF_PROGRAM_H

#include "base/arena.h"
#include "base/array.h"
#include "base/eval.h"

#define MF_NO_VALUE (-1)

typedef struct {
    int32_t op, x, y, n;
} mf_instruction;

MF_ARRAY(mf_code, mf_instruction)

typedef struct {
    mf_code code;
    mf_ints args;
    mf_doubles numbers;
    mf_ints outputs; /* values */
    int32_t n_inputs, n_params;
    int failed;      /* memory has run out: the rest means nothing */
} mf_program;

static inline void mf_program_free(mf_program *p) {
    free(p->code.items);
    free(p->args.items);
    free(p->numbers.items);
    free(p->outputs.items);
    *p = (mf_program){0};
}

/* ---- instructions ---- */

static inline int mf_is_table_op(int32_t op) { return op >= MF_FIRST_OP && op < MF_N_OPS; }

/* Whether values of this op are given, not computed. */
static inline int mf_is_given_op(int32_t op) {
    return op == MF_INPUT || op == MF_CAPTURED || op == MF_NUMBER;
}

static inline int mf_has_y(int32_t op) {
    return mf_is_table_op(op) && mf_ops[op].kind != MF_UNARY;
}

/* Whether the operands are args of the program, from x on. */
static inline int mf_has_args(int32_t op) {
    return op == MF_DOT || op == MF_TAKE || op == MF_LARGEST || op == MF_SMALLEST;
}

/* How many of the program's args belong to an instruction. */
static inline int32_t mf_n_args(const mf_instruction *i) {
    return mf_has_args(i->op) ? (i->op == MF_DOT ? 2 : 1) * i->n : 0;
}

static inline int32_t mf_n_operands(const mf_instruction *i) {
    if (mf_has_args(i->op)) return mf_n_args(i) + (i->y >= 0);
    return mf_is_given_op(i->op) ? 0 : 1 + mf_has_y(i->op);
}

/* Operand j of an instruction; a bias or an index comes first. */
static inline int32_t mf_operand(const mf_program *p, const mf_instruction *i, int32_t j) {
    if (!mf_has_args(i->op)) return j == 0 ? i->x : i->y;
    if (i->y < 0) return p->args.items[i->x + j];
    return j == 0 ? i->y : p->args.items[i->x + j - 1];
}

/* ---- making one ---- */

/* Appends an instruction; the number of its value, or -1. */
static inline int32_t mf_emit(mf_program *p, int32_t op, int32_t x, int32_t y, int32_t n) {
    return mf_code_add(&p->code, (mf_instruction){op, x, y, n}, &p->failed);
}

static inline int32_t mf_emit_number(mf_program *p, double number) {
    const int32_t place = mf_doubles_add(&p->numbers, number, &p->failed);
    return place < 0 ? -1 : mf_emit(p, MF_NUMBER, place, MF_NO_VALUE, 0);
}

/* Appends to args; where it stands, or -1. */
static inline int32_t mf_add_arg(mf_program *p, int32_t value) {
    return mf_ints_add(&p->args, value, &p->failed);
}

/* How often each value is used, by instructions and by outputs: what is dead uses nothing. */
static const int32_t *mf_use_counts(const mf_program *p, mf_arena *memory) {
    int32_t *uses = (int32_t *)mf_taken(memory, (uint64_t)p->code.n, sizeof *uses);
    if (uses == NULL) return NULL;
    for (int32_t k = 0; k < p->outputs.n; k++) uses[p->outputs.items[k]]++;
    for (int32_t k = p->code.n - 1; k >= 0; k--) {
        const mf_instruction *i = &p->code.items[k];
        for (int32_t j = 0; uses[k] > 0 && j < mf_n_operands(i); j++) uses[mf_operand(p, i, j)]++;
    }
    return uses;
}

/* ---- the verifier ---- */

static int mf_is_value(int32_t value, int32_t end) { return value >= 0 && value < end; }

static int mf_args_are_valid(const mf_program *p, int32_t k) {
    const mf_instruction *i = &p->code.items[k];
    if (i->n <= 0 || i->n > p->args.n) return 0;
    const int64_t n = (i->op == MF_DOT ? 2 : 1) * (int64_t)i->n;
    if (i->x < 0 || i->x > p->args.n - n) return 0;
    if (i->y != MF_NO_VALUE && (i->op == MF_LARGEST || i->op == MF_SMALLEST)) return 0;
    if (!mf_is_value(i->y, k) && (i->op == MF_TAKE || i->y != MF_NO_VALUE)) return 0;
    for (int32_t j = 0; j < n; j++)
        if (!mf_is_value(p->args.items[i->x + j], k)) return 0;
    return 1;
}

/* given: a byte for each input and captured number, which are read once. */
static int mf_instruction_is_valid(const mf_program *p, int32_t k, uint8_t *given) {
    const mf_instruction *i = &p->code.items[k];
    const int is_captured = i->op == MF_CAPTURED;
    if (i->op == MF_INPUT || is_captured) {
        if (!mf_is_value(i->x, is_captured ? p->n_params : p->n_inputs)) return 0;
        uint8_t *flag = given + i->x + (is_captured ? (size_t)p->n_inputs : 0);
        if (*flag) return 0;
        *flag = 1;
        return 1;
    }
    if (i->op == MF_NUMBER) return mf_is_value(i->x, p->numbers.n);
    if (mf_has_args(i->op)) return mf_args_are_valid(p, k);
    if (i->op != MF_DETACH && !mf_is_table_op(i->op)) return 0;
    return mf_is_value(i->x, k) && (!mf_has_y(i->op) || mf_is_value(i->y, k));
}

enum { MF_PROGRAM_OK = 0, MF_PROGRAM_INSTRUCTION, MF_PROGRAM_OUTPUT, MF_PROGRAM_NO_MEMORY };

/* What is wrong with a program, and at *where: an executor may not run it. */
static int mf_program_fault(const mf_program *p, int32_t *where) {
    mf_arena memory = {0};
    int fault = MF_PROGRAM_OK;
    if (p->failed) return MF_PROGRAM_NO_MEMORY;
    uint8_t *given = (uint8_t *)mf_taken(&memory, (uint64_t)p->n_inputs + (uint64_t)p->n_params, 1);
    if (given == NULL) return MF_PROGRAM_NO_MEMORY;
    for (*where = 0; *where < p->code.n; ++*where) {
        if (mf_instruction_is_valid(p, *where, given)) continue;
        fault = MF_PROGRAM_INSTRUCTION;
        break;
    }
    mf_arena_free(&memory);
    if (fault) return fault;
    for (*where = 0; *where < p->outputs.n; ++*where)
        if (!mf_is_value(p->outputs.items[*where], p->code.n)) return MF_PROGRAM_OUTPUT;
    return MF_PROGRAM_OK;
}

#endif
