/* x**k of small whole numbers and small halves k as products and roots, and the derivatives of other
 * powers by their results. Zeros, infinities and nan come out as IEEE's pow has them. Nothing on the
 * way leaves float64's range where the result does not: a negative power is one of 1/x, not 1 over a
 * power. Included once per instruction set, after vecmath.h. */
#ifndef MF_POWERS_H
#define MF_POWERS_H

#include "run/kernel_types.h"

enum {
    MF_POWER_BLOCK = 128,  /* lanes whose bases lie on the stack */
    MF_LARGEST_WHOLE = 16, /* x**16 */
    MF_LARGEST_HALVES = 5, /* x**2.5 */
    MF_FEW_ROUNDINGS = 6   /* of 2**-53 each: what is left uncorrected */
};

/* Whether x**k is a product; 0 and 1 are no powers worth the name. */
static inline int mf_is_small_exponent(double k) {
    const double a = fabs(k), halves = 2.0 * a;
    if (!(a <= MF_LARGEST_WHOLE) || halves != floor(halves) || k == 0.0 || k == 1.0) return 0;
    return a == floor(a) || halves <= MF_LARGEST_HALVES;
}

/* x**0.5 as pow has it: 0 of -0.0, inf of -inf. */
static inline double mf_root(double x) {
    const double root = sqrt(x);
    return x == -INFINITY ? INFINITY : x == 0.0 ? 0.0 : root;
}

/* The b of x**k = b**exponent with exponent > 0. */
static inline double mf_power_base(double x, double k, int *exponent) {
    const int is_whole = k == floor(k);
    const double b = is_whole ? x : mf_root(x);
    *exponent = (int)fabs(is_whole ? k : 2.0 * k);
    return k < 0.0 ? 1.0 / b : b;
}

/* factor * b**exponent, from the exponent's highest bit down. The factor goes into the last square: the
 * power alone need not be in range. */
static inline double mf_whole_power(double factor, double b, int exponent) {
    int bit = 1;
    double z = b;
    while (2 * bit <= exponent) bit *= 2;
    if (bit == 1) return factor * b;
    for (bit /= 2; bit > 0; bit /= 2) {
        z = (bit == 1 ? factor : 1.0) * z * z;
        if (exponent & bit) z *= b;
    }
    return z;
}

/* x**k of few roundings, and its derivative; z is x**k. For one number; lanes are below. */
static inline double mf_small_power(double x, double k) {
    int exponent;
    const double b = mf_power_base(x, k, &exponent);
    return mf_whole_power(1.0, b, exponent);
}

static inline double mf_small_power_dx(double x, double k, double z) {
    int exponent;
    if (k == 0.5) return k / z;
    if (k < 0.0) return k * z / (k == floor(k) ? x : fabs(x)); /* inf at -0.0 */
    const double b = mf_power_base(x, k - 1.0, &exponent);
    return mf_whole_power(k, b, exponent);
}

/* How many roundings x**k is off by at worst: those of b count as often as b is a factor. */
static inline int mf_power_roundings(double k) {
    const int is_whole = k == floor(k), of_b = !is_whole + (k < 0.0);
    return (int)fabs(is_whole ? k : 2.0 * k) * (of_b + 1) - 1;
}

/* Whether the operand x of this op is raised to one small exponent y. */
static inline int mf_is_small_power(int op, int xs, int ys, const double *y) {
    return (op == MF_POW || op == MF_VPOW) && xs && !ys && mf_is_small_exponent(*y);
}

/* Whether one number's power is a product that needs no correction. */
static inline int mf_is_power_of_few_roundings(int op, const double *y) {
    return mf_is_small_power(op, 1, 0, y) && mf_power_roundings(*y) <= MF_FEW_ROUNDINGS;
}

#endif

#ifndef MF_ISA /* compiled by itself */
#include "run/isa_portable.h"
#include "run/vecmath.h"
#endif

#define MF_LANES for (ptrdiff_t l = 0; l < n; l++)

/* As mf_power_base; in the memory `own` where b is not x. */
static MF_TARGET const double *MF_ISA(power_base)(ptrdiff_t n, const double *restrict x, double k,
                                                  double *restrict own, int *exponent) {
    const int is_whole = k == floor(k);
    *exponent = (int)fabs(is_whole ? k : 2.0 * k);
    if (is_whole && k > 0.0) return x;
    if (is_whole) {
        MF_LANES own[l] = 1.0 / x[l];
        return own;
    }
    MF_LANES own[l] = mf_root(x[l]);
    if (k < 0.0) MF_LANES own[l] = 1.0 / own[l];
    return own;
}

/* As mf_whole_power, a pass over the lanes for each bit. */
static MF_TARGET void MF_ISA(whole_power)(ptrdiff_t n, double factor, const double *b,
                                          int exponent, double *z) {
    int bit = 1;
    while (2 * bit <= exponent) bit *= 2;
    if (bit == 1) MF_LANES z[l] = factor * b[l];
    for (const double *from = b; bit > 1; from = z) {
        bit /= 2;
        const double f = bit == 1 ? factor : 1.0;
        if (exponent & bit) {
            MF_SIMD
            MF_LANES z[l] = f * from[l] * from[l] * b[l];
        } else {
            MF_SIMD
            MF_LANES z[l] = f * from[l] * from[l];
        }
    }
}

/* What b = 1/x, or 1/sqrt(x), was rounded by; other bases are taken as they are. */
static MF_TARGET void MF_ISA(base_error)(ptrdiff_t n, const double *restrict x, double k,
                                         const double *restrict b, double *restrict lo) {
    if (k > 0.0)
        MF_LANES lo[l] = 0.0;
    else if (k == floor(k))
        MF_LANES {
            const double p = b[l] * x[l];
            lo[l] = b[l] * ((1.0 - p) - MF_PRODUCT_ERROR(b[l], x[l], p));
        }
    else
        MF_LANES {
            const double bb = b[l] * b[l], p = bb * x[l], bb_lo = MF_PRODUCT_ERROR(b[l], b[l], bb);
            const double rest = (1.0 - p) - MF_PRODUCT_ERROR(bb, x[l], p) - bb_lo * x[l];
            lo[l] = 0.5 * b[l] * rest;
        }
}

/* z + lo = factor * (z + lo)**2, and that times b + b_lo; what is of the size of lo**2 is left out. */
static MF_TARGET void MF_ISA(square_pair)(ptrdiff_t n, double factor, double *restrict z,
                                          double *restrict lo) {
    MF_LANES {
        const double y = factor * z[l], p = y * z[l];
        lo[l] = MF_PRODUCT_ERROR(y, z[l], p) + 2.0 * y * lo[l];
        z[l] = p;
    }
}

static MF_TARGET void MF_ISA(multiply_pair)(ptrdiff_t n, const double *restrict b,
                                            const double *restrict b_lo, double *restrict z,
                                            double *restrict lo) {
    MF_LANES {
        const double p = z[l] * b[l];
        lo[l] = MF_PRODUCT_ERROR(z[l], b[l], p) + (z[l] * b_lo[l] + lo[l] * b[l]);
        z[l] = p;
    }
}

/* whole_power of x**k with what it rounds off, where that would add up to many roundings. */
static MF_TARGET void MF_ISA(corrected_power)(ptrdiff_t n, double factor, const double *restrict x,
                                              double k, const double *restrict b, int exponent,
                                              double *restrict z) {
    double b_lo[MF_POWER_BLOCK], lo[MF_POWER_BLOCK];
    int bit = 1;
    MF_ISA(base_error)(n, x, k, b, b_lo);
    MF_LANES { z[l] = b[l]; lo[l] = b_lo[l]; }
    while (2 * bit <= exponent) bit *= 2;
    for (bit /= 2; bit > 0; bit /= 2) {
        MF_ISA(square_pair)(n, bit == 1 ? factor : 1.0, z, lo);
        if (exponent & bit) MF_ISA(multiply_pair)(n, b, b_lo, z, lo);
    }
    MF_LANES { /* at the ends of the range lo may be anything, and z is right without it */
        const double size = fabs(lo[l]), corrected = z[l] + lo[l];
        z[l] = (size < INFINITY) & (size > 0.0) ? corrected : z[l];
    }
}

/* z = factor * x**k for at most a block of lanes */
static MF_TARGET void MF_ISA(block_power)(ptrdiff_t n, double factor, const double *x, double k,
                                          double *z) {
    double own[MF_POWER_BLOCK];
    int exponent;
    const double *b = MF_ISA(power_base)(n, x, k, own, &exponent);
    if (mf_power_roundings(k) <= MF_FEW_ROUNDINGS)
        MF_ISA(whole_power)(n, factor, b, exponent, z);
    else
        MF_ISA(corrected_power)(n, factor, x, k, b, exponent, z);
}

static MF_TARGET void MF_ISA(small_power)(ptrdiff_t n, const double *x, double k, double *z) {
    const ptrdiff_t step = MF_POWER_BLOCK;
    for (; n > 0; n -= step, x += step, z += step)
        MF_ISA(block_power)(n < step ? n : step, 1.0, x, k, z);
}

/* Where z = x**k spares a root or a product: see mf_small_power_dx. */
static MF_TARGET void MF_ISA(power_dx_of_z)(ptrdiff_t n, const double *restrict x, double k,
                                            const double *restrict z, const double *restrict g,
                                            double *restrict d) {
    if (k == 0.5)
        MF_LANES d[l] += mf_contribution(MF_POW, k / z[l], g[l]);
    else if (k == floor(k))
        MF_LANES d[l] += mf_contribution(MF_POW, k * z[l] / x[l], g[l]);
    else
        MF_LANES d[l] += mf_contribution(MF_POW, k * z[l] / fabs(x[l]), g[l]);
}

static MF_TARGET void MF_ISA(power_dx_of_x)(ptrdiff_t n, const double *restrict x, double k,
                                            const double *restrict g, double *restrict d) {
    double slope[MF_POWER_BLOCK];
    MF_ISA(block_power)(n, k, x, k - 1.0, slope);
    MF_LANES d[l] += mf_contribution(MF_POW, slope[l], g[l]);
}

static MF_TARGET void MF_ISA(small_power_backward)(ptrdiff_t n, const double *x, double k,
                                                   const double *z, const double *g, double *d) {
    const ptrdiff_t step = MF_POWER_BLOCK;
    if (k < 0.0 || k == 0.5) {
        MF_ISA(power_dx_of_z)(n, x, k, z, g, d);
        return;
    }
    for (; n > 0; n -= step, x += step, g += step, d += step)
        MF_ISA(power_dx_of_x)(n < step ? n : step, x, k, g, d);
}

/* x**y of one number x, whose logarithm is taken once: see vpower, of which the cases at the ends of
 * the range are left out. */
static MF_TARGET void MF_ISA(usual_power_of_number)(ptrdiff_t n, double log_x, double log_lo,
                                                    const double *restrict y, double *restrict z) {
    MF_LANES {
        const double p = y[l] * log_x;
        const double p_lo = MF_PRODUCT_ERROR(y[l], log_x, p) + y[l] * log_lo;
        uint64_t k;
        const double part = MF_ISA(vexpm1_part)(p, &k);
        const double e = 1.0 + (part + MF_FMA(p_lo, part, p_lo));
        z[l] = MF_SELECT(y[l] != y[l], y[l], e * mf_from_bits((k + 1023u) << 52));
    }
}

/* Whether y * z / x and z * log(x) are as good as powers of their own: x and z far from the ends of
 * float64's range. */
static MF_TARGET int MF_ISA(are_usual)(ptrdiff_t n, int xs, const double *restrict x,
                                       const double *restrict z) {
    const double lo = 1e-140, hi = 1e140;
    int unusual = 0;
    MF_LANES {
        const double a = fabs(x[xs ? l : 0]), b = fabs(z[l]);
        unusual |= !((a > lo) & (a < hi) & (b > lo) & (b < hi));
    }
    return !unusual;
}

static MF_TARGET void MF_ISA(usual_power_dx)(ptrdiff_t n, int ys, const double *restrict x,
                                             const double *restrict y, const double *restrict z,
                                             const double *restrict g, double *restrict d) {
    const double k = *y;
    if (ys)
        MF_LANES d[l] += mf_contribution(MF_POW, y[l] * (z[l] / x[l]), g[l]);
    else
        MF_LANES d[l] += mf_contribution(MF_POW, k * (z[l] / x[l]), g[l]);
}

static MF_TARGET void MF_ISA(usual_power_dy)(ptrdiff_t n, int xs, const double *restrict x,
                                             const double *restrict z, const double *restrict g,
                                             double *restrict d) {
    const double log_x = MF_ISA(vlog)(*x);
    if (xs)
        MF_LANES d[l] += mf_contribution(MF_VPOW, z[l] * MF_ISA(vlog)(x[l]), g[l]);
    else
        MF_LANES d[l] += mf_contribution(MF_VPOW, z[l] * log_x, g[l]);
}

#undef MF_LANES
