/* Scalar expansions of ops.h: op codes, the facts that Python sees, an op's value and its partials.
 * No state; nothing here allocates. */
#ifndef MF_EVAL_H
#define MF_EVAL_H

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/bits.h"
#include "base/gamma.h"

enum { MF_OK = 0, MF_DOMAIN, MF_ZERODIV, MF_OVERFLOW };
enum { MF_UNARY = 1, MF_BINARY = 2, MF_PARAM = 3 };
enum { MF_ANY = 0, MF_FINITE, MF_CHOICE }; /* what ops.h says of an op's partials */

/* FREE: a record that is no node. CUSTOM: children given by the user, backward in
 * Python. LINK: a hidden pair (child, next) through which a node names more than two children.
 * INPUT, DETACH and TAKE exist only in the graph of a traced function (trace.pxi). LARGEST and
 * SMALLEST: of many children (extremes.h). CALL: a result of a compiled function (results.pxi). */
enum {
    MF_FREE = 0,
    MF_LEAF,
    MF_CUSTOM,
    MF_LINK,
    MF_INPUT,
    MF_DETACH,
    MF_TAKE,
    MF_LARGEST,
    MF_SMALLEST,
    MF_CALL,
    MF_FIRST_OP,
    MF_BEFORE_OPS = MF_FIRST_OP - 1,
#define OP(code, ...) MF_##code,
#define PROGRAM_OP(...)
#include "ops.h"
#undef OP
#undef PROGRAM_OP
    MF_N_EAGER_OPS,
    MF_BEFORE_PROGRAM_OPS = MF_N_EAGER_OPS - 1,
#define OP(...)
#define PROGRAM_OP(code, ...) MF_##code,
#include "ops.h"
#undef OP
#undef PROGRAM_OP
    MF_N_OPS,
    /* in programs only: a number, a captured node's data, b + w0*x0 + w1*x1 + ... */
    MF_NUMBER = MF_N_OPS,
    MF_CAPTURED,
    MF_DOT
};
static_assert(MF_N_OPS <= 256, "op codes are one byte");
#define PROGRAM_OP OP

typedef struct {
    const char *name;
    const char *label;
    int kind;
    double lo, hi;
    const char *value, *dx, *dy; /* the text of z and of the partials, as the row has it */
    const char *doc;
    const char *rules[2]; /* for the partials, "" where their text is one */
} mf_op_info;

#define MF_NO_OP(name, label) {name, label, 0, 0.0, 0.0, "", "", "", "", {"", ""}}
static const mf_op_info mf_ops[MF_N_OPS] = {
    MF_NO_OP("free", ""),       MF_NO_OP("leaf", ""),
    MF_NO_OP("custom", ""),     MF_NO_OP("link", ""),
    MF_NO_OP("input", ""),      MF_NO_OP("detach", "detach"),
    MF_NO_OP("take", "take"),   MF_NO_OP("largest", "max"),
    MF_NO_OP("smallest", "min"), MF_NO_OP("call", "call"),
#define OP(code, name, label, kind, z_, dx_, dy_, f_, bf_, p_, libm, lo, hi, doc, rule_x, rule_y) \
    {name, label, kind, lo, hi, #z_, #dx_, #dy_, doc, {rule_x, rule_y}},
#include "ops.h"
#undef OP
};
#undef MF_NO_OP

/* The columns partials and libm. Functions, not numbers of mf_ops: with a constant op the switch
 * folds away. */
static inline int mf_kind_of_partials(int op) {
    switch (op) {
#define OP(code, n_, l_, k_, z_, dx_, dy_, f_, bf_, partials, ...) \
    case MF_##code: return partials;
#include "ops.h"
#undef OP
    }
    return MF_ANY;
}

static inline double mf_libm_beyond(int op) {
    switch (op) {
#define OP(code, n_, l_, k_, z_, dx_, dy_, f_, bf_, partials, libm, ...) \
    case MF_##code: return libm;
#include "ops.h"
#undef OP
    }
    return INFINITY;
}

/* ---- what the rows call ---- */

static inline int mf_overflows(double x, double z) {
    return isinf(z) && isfinite(x) ? MF_OVERFLOW : MF_OK;
}

/* Python's float_pow: inf and nan pass, finite operands with an infinite or complex result raise,
 * one that is both overflows. */
static inline int mf_pow_fails(double x, double y, double z) {
    if (!isfinite(x) || !isfinite(y)) return MF_OK;
    if (x == 0.0) return y < 0.0 ? MF_ZERODIV : MF_OK;
    if (x < 0.0 && y != floor(y)) return isinf(pow(-x, y)) ? MF_OVERFLOW : MF_DOMAIN;
    return isinf(z) ? MF_OVERFLOW : MF_OK;
}

/* x * y - p for p = x * y as it was rounded, exact: Dekker's product where there is no FMA. */
static inline double mf_product_error(double x, double y, double p) {
#ifdef __FP_FAST_FMA
    return fma(x, y, -p);
#else
    const double split = 134217729.0, cx = split * x, cy = split * y; /* 2**27 + 1 */
    const double xh = cx - (cx - x), yh = cy - (cy - y), xl = x - xh, yl = y - yh;
    return ((xh * yh - p) + xh * yl + xl * yh) + xl * yl;
#endif
}

/* Whether z, which is off by `error`, lies so far from the middle between two doubles that a pow
 * good to 0.54 units in the last place (glibc since 2.28, musl) returns it too. */
static inline int mf_is_powers_result(double z, double error) {
    uint64_t bits;
    memcpy(&bits, &z, sizeof z);
    bits = (bits - 1) & 0x7FF0000000000000u; /* of a power of two: the smaller unit, below it */
    double unit;
    memcpy(&unit, &bits, sizeof unit);
    return fabs(error) < 0.45 * 0x1p-52 * unit;
}

/* pow(x, y) to the last bit; squares and reciprocals, nine powers in ten, in a third of its time. */
static inline double mf_pow(double x, double y) {
#if defined(__linux__) && FLT_EVAL_METHOD == 0 /* not in wider registers */
    if (fabs(x) > 1e-100 && fabs(x) < 1e100) {
        if (y == 2.0) {
            const double z = x * x;
            if (mf_is_powers_result(z, mf_product_error(x, x, z))) return z;
        } else if (y == -1.0) {
            const double z = 1.0 / x, p = z * x;
            if (mf_is_powers_result(z, ((1.0 - p) - mf_product_error(z, x, p)) * z)) return z;
        }
    }
#endif
    return pow(x, y);
}

/* factor * p for p = x**y. Where p alone leaves the range of normal numbers, one half of the power
 * after the other: the product may be in range, or lose digits that p has not got. */
static inline double mf_scaled_power(double factor, double x, double y, double p) {
    const double size = fabs(p);
    const int usual = size >= DBL_MIN && size <= DBL_MAX;
    if (usual || p != p || x == 0.0 || !isfinite(x) || !isfinite(y)) return factor * p;
    const double half = pow(fabs(x), 0.5 * y);
    return copysign(1.0, p) * (factor * half * half);
}

/* y * x**(y-1); the usual powers without a call to pow. x * x would over- and underflow where the
 * derivative of 1/x does not. */
static inline double mf_pow_dx(double x, double y) {
    if (y == 2.0) return 2.0 * x;
    if (y == 3.0) return 3.0 * (x * x);
    if (y == -1.0) return -(1.0 / x) / x;
    if (y == 0.0) return 0.0;
    /* What y - 1 is rounded by, times log(x), is a relative error of the power, of up to 1e-13. */
    const double less = y - 1.0, b = less - y, lost = (y - (less - b)) - (1.0 + b);
    const double change = lost != 0.0 && x > 0.0 ? lost * log(x) : 0.0;
    const double factor = change != 0.0 && fabs(change) < 1e-6 ? y + y * change : y;
    return mf_scaled_power(factor, x, less, pow(x, less));
}

static inline int mf_pow_dx_fails(double x, double y) {
    if (y == 2.0 || y == 0.0) return MF_OK;
    if (y == 3.0) return mf_pow_fails(x, 2.0, x * x);
    if (y == -1.0 && x != 0.0) return isinf(1.0 / x / x) ? MF_OVERFLOW : MF_OK;
    return mf_pow_fails(x, y - 1.0, pow(x, y - 1.0));
}

/* z * log(x), with the limit 0 at x = 0 that PyTorch also takes; nan where x < 0. */
static inline double mf_pow_dy(double x, double y, double z) {
    return x == 0.0 && y >= 0.0 ? 0.0 : mf_scaled_power(log(x), x, y, z);
}

/* exp of a number that is never positive, so that it cannot overflow. */
static inline double mf_sigmoid(double x) {
    double e = exp(-fabs(x));
    return x < 0.0 ? e / (1.0 + e) : 1.0 / (1.0 + e);
}

/* 1 - z*z and z*(1 - z): the lectures' formulas, of which no digit is left where z rounds to 1. There
 * 1 - z comes of e = exp(-2|x|), or exp(-x), unless x was rewritten and z is not its result. */
static inline double mf_tanh_dx(double x, double z) {
    const double s = 1.0 + fabs(z);
    if (s < 1.75) return 1.0 - z * z;
    const double e = exp(-2.0 * fabs(x));
    return fabs(2.0 / (1.0 + e) - s) < 1e-14 ? e * s * s : 1.0 - z * z;
}
static inline double mf_sigmoid_dx(double x, double z) {
    if (!(z > 0.625)) return z * (1.0 - z);
    const double e = exp(-x);
    return fabs(1.0 / (1.0 + e) - z) < 1e-14 ? e * z * z : z * (1.0 - z);
}

/* sigmoid(x - y), with what the difference is rounded by. */
static inline double mf_logaddexp_dx(double x, double y) {
    const double d = x - y, back = d - x, lost = (x - (d - back)) - (y + back);
    const double z = mf_sigmoid(d);
    return x == y ? 0.5 : lost == lost ? z + z * (1.0 - z) * lost : z;
}

/* C's, which is off by up to 4 units in the last place, and a step of Newton's method. */
static inline double mf_cbrt(double x) {
    const double z = cbrt(x);
    return x - x != 0.0 || x == 0.0 ? z : z + (x / (z * z) - z) / 3.0;
}

/* What leaves every number as it is in a sum, -0.0 too. */
static inline double mf_nothing(double x, double y) {
    (void)x, (void)y;
    return -0.0;
}

/* Where nothing is reached an infinite factor does not count either. */
static inline double mf_reached_dy(double x, double y) {
    return y == 0.0 && !(fabs(x) <= DBL_MAX) ? 0.0 : x;
}

/* 1 / (1 + x*x) and the partials of atan2 and hypot, written so that no square leaves the range. Where
 * hypot is 0 its partials are 0. */
static inline double mf_atan_dx(double x) {
    const double r = 1.0 / x, near = 1.0 / (1.0 + x * x);
    return MF_SELECT(fabs(x) > 1e9, r * r, near);
}
static inline double mf_atan2_dx(double x, double y) {
    const double a = fabs(x), b = fabs(y), large = a > b ? a : b;
    const double up = MF_SELECT(large < 1.0, 0x1p500, 1.0);
    const double rest = MF_SELECT(large < 1e-150, 0x1p500, MF_SELECT(large > 1e150, 0x1p-520, 1.0));
    const double p = up * x * rest, q = up * y * rest;
    return up * q / (p * p + q * q) * rest;
}
static inline double mf_hypot_dx(double x, double y) {
    const double a = fabs(x), b = fabs(y), large = a > b ? a : b, r = (a > b ? b : a) / large;
    const double z = x / large / sqrt(1.0 + r * r);
    return MF_SELECT(large == 0.0, 0.0, z);
}

/* What has the domain from lo to hi, and an infinite derivative at both ends. */
static inline int mf_inside_fails(double x, double lo, double hi) {
    return x < lo || x > hi ? MF_DOMAIN : x == lo || x == hi ? MF_ZERODIV : MF_OK;
}

/* lgamma and its derivatives */
static inline int mf_gamma_fails(double x, double z) {
    return mf_is_gamma_pole(x) ? MF_DOMAIN : mf_overflows(x, z);
}

static inline int mf_polygamma_fails(double x, double n, double z) {
    if (!(n >= 0.0 && n <= MF_LARGEST_ORDER && n == floor(n)) || mf_is_gamma_pole(x)) return MF_DOMAIN;
    return mf_overflows(x, z);
}

/* the functions of normal.h for single numbers */
#define MF_ISA(name) mf_inline_##name
#define MF_TARGET
#define MF_FMA(a, b, c) ((a) * (b) + (c))
#define MF_PRODUCT_ERROR(a, b, p) mf_product_error(a, b, p)
#include "base/normal.h"
#undef MF_ISA
#undef MF_TARGET
#undef MF_FMA
#undef MF_PRODUCT_ERROR

/* Not a part of what calls them, a switch over all ops above all: it would save registers for them at
 * every op, a fifth of a neuron's time. */
static MF_APART double mf_erf_dx(double x) { return mf_inline_erf_dx(x); }
static MF_APART double mf_erfcx(double x) { return mf_inline_erfcx(x); }
static MF_APART double mf_erfcx_dx(double x, double z) { return mf_inline_erfcx_dx(x, z); }
static MF_APART double mf_ndtr(double x) { return mf_inline_ndtr(x); }
static MF_APART double mf_ndtr_dx(double x) { return mf_inline_ndtr_dx(x); }
static MF_APART double mf_log_ndtr(double x) { return mf_inline_log_ndtr(x); }
static MF_APART double mf_log_ndtr_dx(double x) { return mf_inline_log_ndtr_dx(x); }

/* NumPy's maximum and minimum: a nan on either side is the result. */
static inline double mf_maximum(double x, double y) { return x >= y || x != x ? x : y; }
static inline double mf_minimum(double x, double y) { return x <= y || x != x ? x : y; }

/* ---- forward ---- */

/* *z = op(x, y); returns MF_OK or the error that Python would raise. With a constant op the
 * switch folds away. */
static inline int mf_forward(int op, double x, double y, double *out) {
    (void)y;
    switch (op) {
#define OP(code, n_, l_, k_, z_, dx_, dy_, fails, ...) \
    case MF_##code: {                                  \
        const double z = (z_);                         \
        *out = z;                                      \
        return (fails);                                \
    }
#include "ops.h"
#undef OP
    }
    return MF_OK;
}

/* The same for an op that is not known where it is written: the switch is no part of the caller. */
static MF_APART int mf_forward_of(int op, double x, double y, double *out) {
    return mf_forward(op, x, y, out);
}

/* The two ops that most nodes are stand by themselves: in a switch over all compilers do not always see
 * that the op is a constant, and call it. */
static inline int mf_forward_quick(int op, double x, double y, double *out) {
    if (op != MF_ADD && op != MF_MUL) return mf_forward_of(op, x, y, out);
    *out = op == MF_ADD ? x + y : x * y;
    return MF_OK;
}

/* Both partials at once, for the scalar steps of a program. */
static inline void mf_partials(int op, double x, double y, double z, double *dx, double *dy) {
    (void)x, (void)y, (void)z;
    switch (op) {
#define OP(code, n_, l_, k_, z_, dx_, dy_, ...) \
    case MF_##code:                             \
        *dx = (dx_);                            \
        *dy = (dy_);                            \
        return;
#include "ops.h"
#undef OP
    }
}

/* NumPy's, of many: see extremes.h and replay_extremes.h. */
static inline double mf_extreme_of(int op, double x, double y) {
    return op == MF_LARGEST ? mf_maximum(x, y) : mf_minimum(x, y);
}

#undef PROGRAM_OP
#endif
