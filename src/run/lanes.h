/* Lane expansions of ops.h: forward and backward of one instruction over n lanes (samples). Included
 * once per instruction set, with MF_ISA(name) and MF_TARGET defined; kernels.h does that.
 *
 * An operand is a row of lanes (stride 1) or uniform (stride 0). z, the adjoint g of z and the
 * adjoints dx, dy are rows of their own: they never overlap with operands, so all may be restrict;
 * dx and dy may be one row (x * x), therefore each has a loop of its own. No include guard. */

#ifndef MF_ISA /* compiled by itself */
#include "run/isa_portable.h"
#include "run/vecmath.h"
#include "run/vectrig.h"
#include "run/vecexp.h"
#include "run/powers.h"
#endif

#define MF_LANES for (ptrdiff_t l = 0; l < n; l++)

/* what the rows of the table call, as it vectorises */
#define exp MF_ISA(vexp)
#define log MF_ISA(vlog)
#define log1p MF_ISA(vlog1p)
#define tanh MF_ISA(vtanh)
#define mf_sigmoid MF_ISA(vsigmoid)
#define mf_tanh_dx MF_ISA(vtanh_dx)
#define mf_sigmoid_dx MF_ISA(vsigmoid_dx)
#include "base/normal.h"
#define sin MF_ISA(vsin)
#define cos MF_ISA(vcos)
#define tan MF_ISA(vtan)
#define asin MF_ISA(vasin)
#define acos MF_ISA(vacos)
#define atan MF_ISA(vatan)
#define atan2 MF_ISA(vatan2)
#define sinh MF_ISA(vsinh)
#define cosh MF_ISA(vcosh)
#define asinh MF_ISA(vasinh)
#define acosh MF_ISA(vacosh)
#define atanh MF_ISA(vatanh)
#define expm1 MF_ISA(vexpm1)
#define exp2 MF_ISA(vexp2)
#define log2 MF_ISA(vlog2)
#define log10 MF_ISA(vlog10)
#define hypot MF_ISA(vhypot)
#define erf MF_ISA(verf)
#define erfc MF_ISA(verfc)
#define mf_cbrt MF_ISA(vcbrt)
#define mf_logaddexp_dx MF_ISA(vlogaddexp_dx)
#define mf_erf_dx MF_ISA(erf_dx)
#define mf_erfcx MF_ISA(erfcx)
#define mf_erfcx_dx MF_ISA(erfcx_dx)
#define mf_ndtr MF_ISA(ndtr)
#define mf_ndtr_dx MF_ISA(ndtr_dx)
#define mf_log_ndtr MF_ISA(log_ndtr)
#define mf_log_ndtr_dx MF_ISA(log_ndtr_dx)
#define pow MF_ISA(vpow)
#define mf_pow MF_ISA(vpow)
#define mf_pow_dx MF_ISA(vpow_dx)
#define mf_pow_dy MF_ISA(vpow_dy)

static MF_TARGET void MF_ISA(op_forward)(int op, int xs, int ys, ptrdiff_t n,
                                         const double *restrict px, const double *restrict py,
                                         double *restrict pz) {
    (void)ys;
    switch (op) {
#define MF_FORWARD_MF_UNARY(z_)                                     \
    MF_LANES { const double x = px[l]; pz[l] = (z_); }
#define MF_FORWARD_MF_BINARY(z_)                                                        \
    if (xs && ys) { MF_LANES { const double x = px[l], y = py[l]; pz[l] = (z_); } }     \
    else if (xs) { const double y = py[0]; MF_LANES { const double x = px[l]; pz[l] = (z_); } } \
    else { const double x = px[0]; MF_LANES { const double y = py[l]; pz[l] = (z_); } }
#define MF_FORWARD_MF_PARAM(z_) MF_FORWARD_MF_BINARY(z_)
#define OP(code, n_, l_, kind, z_, ...) \
    case MF_##code: MF_FORWARD_##kind(z_) return;
#define PROGRAM_OP OP
#include "ops.h"
#undef OP
#undef PROGRAM_OP
    }
}

/* Whether any number is farther from 0 than the limit. */
static MF_TARGET int MF_ISA(reaches)(ptrdiff_t n, double limit, const double *restrict x) {
    int found = 0;
    MF_LANES found |= fabs(x[l]) > limit;
    return found;
}

static MF_TARGET void MF_ISA(exp_forward)(ptrdiff_t n, const double *x, double *z) {
    const ptrdiff_t step = MF_FAR_BLOCK;
    for (; n > 0; n -= step, x += step, z += step) {
        const ptrdiff_t m = n < step ? n : step;
        if (MF_ISA(reaches)(m, 708.0, x))
            MF_ISA(op_forward)(MF_EXP, 1, 0, m, x, NULL, z);
        else
            for (ptrdiff_t l = 0; l < m; l++) z[l] = MF_ISA(vexp_usual)(x[l]);
    }
}

/* x**y of one number x, in blocks: the general power only where a result is near the ends of the range. */
static MF_TARGET void MF_ISA(power_of_number)(ptrdiff_t n, double x, const double *y, double *z) {
    const ptrdiff_t step = MF_FAR_BLOCK;
    const int is_usual = x >= DBL_MIN && x < INFINITY && x != 1.0;
    double lo = 0.0;
    const double log_x = is_usual ? MF_ISA(vlog_pair)(x, &lo) : 0.0;
    for (; n > 0; n -= step, y += step, z += step) {
        const ptrdiff_t m = n < step ? n : step;
        if (is_usual && !MF_ISA(reaches)(m, 700.0 / fabs(log_x), y))
            MF_ISA(usual_power_of_number)(m, log_x, lo, y, z);
        else
            MF_ISA(op_forward)(MF_VPOW, 0, 1, m, &x, y, z);
    }
}

static MF_TARGET void MF_ISA(forward)(int op, int xs, int ys, ptrdiff_t n, const double *px,
                                      const double *py, double *pz) {
    if (mf_is_small_power(op, xs, ys, py))
        MF_ISA(small_power)(n, px, *py, pz);
    else if (op == MF_VPOW && !xs && ys)
        MF_ISA(power_of_number)(n, *px, py, pz);
    else if (op == MF_EXP && xs)
        MF_ISA(exp_forward)(n, px, pz);
    else
        MF_ISA(op_forward)(op, xs, ys, n, px, py, pz);
}

/* One partial times g, added to a row or summed into a uniform operand's adjoint: see reach.h. */
#define MF_PARTIAL(code, d_, is_row, load)              \
    if (is_row) {                                       \
        MF_LANES {                                      \
            load;                                       \
            const double z = pz[l];                     \
            (void)x, (void)y, (void)z;                  \
            d[l] += mf_contribution(code, d_, g[l]);    \
        }                                               \
    } else {                                            \
        double s = 0.0;                                 \
        MF_SIMD_SUM(s)                                  \
        MF_LANES {                                      \
            load;                                       \
            const double z = pz[l];                     \
            (void)x, (void)y, (void)z;                  \
            s += mf_contribution(code, d_, g[l]);       \
        }                                               \
        d[0] += s;                                      \
    }

#define MF_ROWS const double x = px[l], y = py[l]
#define MF_ROW_X const double x = px[l], y = py[0]
#define MF_ROW_Y const double x = px[0], y = py[l]
#define MF_UNARY_X const double x = px[l], y = 0.0

static MF_TARGET void MF_ISA(op_backward_x)(int op, int xs, int ys, ptrdiff_t n,
                                            const double *restrict px, const double *restrict py,
                                            const double *restrict pz, const double *restrict g,
                                            double *restrict d) {
    (void)py, (void)ys;
    switch (op) {
#define MF_BACKWARD_MF_UNARY(code, dx_) MF_PARTIAL(code, dx_, xs, MF_UNARY_X)
#define MF_BACKWARD_MF_BINARY(code, dx_)                        \
    if (xs && ys) { MF_PARTIAL(code, dx_, 1, MF_ROWS) }         \
    else if (xs) { MF_PARTIAL(code, dx_, 1, MF_ROW_X) }         \
    else { MF_PARTIAL(code, dx_, 0, MF_ROW_Y) }
#define MF_BACKWARD_MF_PARAM(code, dx_) MF_BACKWARD_MF_BINARY(code, dx_)
#define OP(code, n_, l_, kind, z_, dx_, ...) \
    case MF_##code: MF_BACKWARD_##kind(MF_##code, dx_) return;
#define PROGRAM_OP OP
#include "ops.h"
#undef OP
#undef MF_BACKWARD_MF_UNARY
#undef MF_BACKWARD_MF_BINARY
#undef MF_BACKWARD_MF_PARAM
    }
}

/* tanh and sigmoid: where no lane of a block is far out, z is far enough from 1 for 1 - z (400 ulp
 * at the limits), and the exponential of the exact derivative, a fifth of a moons step, is saved. */
static MF_TARGET void MF_ISA(saturating_backward)(int op, ptrdiff_t n, const double *restrict x,
                                                  const double *restrict z,
                                                  const double *restrict g, double *restrict d) {
    const ptrdiff_t step = MF_FAR_BLOCK;
    for (; n > 0; n -= step, x += step, z += step, g += step, d += step) {
        const ptrdiff_t m = n < step ? n : step;
        if (MF_ISA(reaches)(m, op == MF_TANH ? 3.0 : 6.0, x))
            MF_ISA(op_backward_x)(op, 1, 0, m, x, NULL, z, g, d);
        else if (op == MF_TANH)
            for (ptrdiff_t l = 0; l < m; l++)
                d[l] += mf_contribution(MF_TANH, (1.0 - z[l]) * (1.0 + z[l]), g[l]);
        else
            for (ptrdiff_t l = 0; l < m; l++)
                d[l] += mf_contribution(MF_SIGMOID, z[l] * (1.0 - z[l]), g[l]);
    }
}

static MF_TARGET void MF_ISA(op_backward_y)(int op, int xs, int ys, ptrdiff_t n,
                                            const double *restrict px, const double *restrict py,
                                            const double *restrict pz, const double *restrict g,
                                            double *restrict d) {
    switch (op) {
#define MF_BACKWARD_MF_UNARY(code, dy_) break;
#define MF_BACKWARD_MF_PARAM(code, dy_) break;
#define MF_BACKWARD_MF_BINARY(code, dy_)                        \
    if (xs && ys) { MF_PARTIAL(code, dy_, 1, MF_ROWS) }         \
    else if (ys) { MF_PARTIAL(code, dy_, 1, MF_ROW_Y) }         \
    else { MF_PARTIAL(code, dy_, 0, MF_ROW_X) }
#define OP(code, n_, l_, kind, z_, dx_, dy_, ...) \
    case MF_##code: MF_BACKWARD_##kind(MF_##code, dy_) return;
#include "ops.h"
#undef OP
#undef PROGRAM_OP
#undef MF_BACKWARD_MF_UNARY
#undef MF_BACKWARD_MF_BINARY
#undef MF_BACKWARD_MF_PARAM
    }
}

/* x**y by x, and by y, in blocks: a second power only where one is near the ends of the range. */
static MF_TARGET void MF_ISA(power_backward_x)(int op, int ys, ptrdiff_t n, const double *x,
                                               const double *y, const double *z, const double *g,
                                               double *d) {
    if (mf_is_small_power(op, 1, ys, y)) {
        MF_ISA(small_power_backward)(n, x, *y, z, g, d);
        return;
    }
    const ptrdiff_t step = MF_FAR_BLOCK;
    for (; n > 0; n -= step, x += step, y += ys * step, z += step, g += step, d += step) {
        const ptrdiff_t m = n < step ? n : step;
        if (MF_ISA(are_usual)(m, 1, x, z))
            MF_ISA(usual_power_dx)(m, ys, x, y, z, g, d);
        else
            MF_ISA(op_backward_x)(op, 1, ys, m, x, y, z, g, d);
    }
}

static MF_TARGET void MF_ISA(power_backward_y)(int xs, ptrdiff_t n, const double *x,
                                               const double *y, const double *z, const double *g,
                                               double *d) {
    const ptrdiff_t step = MF_FAR_BLOCK;
    for (; n > 0; n -= step, x += xs * step, y += step, z += step, g += step, d += step) {
        const ptrdiff_t m = n < step ? n : step;
        if (MF_ISA(are_usual)(m, xs, x, z))
            MF_ISA(usual_power_dy)(m, xs, x, z, g, d);
        else
            MF_ISA(op_backward_y)(MF_VPOW, xs, 1, m, x, y, z, g, d);
    }
}

static MF_TARGET void MF_ISA(backward_x)(int op, int xs, int ys, ptrdiff_t n, const double *px,
                                         const double *py, const double *pz, const double *g,
                                         double *d) {
    if (xs && (op == MF_TANH || op == MF_SIGMOID))
        MF_ISA(saturating_backward)(op, n, px, pz, g, d);
    else if (xs && (op == MF_POW || op == MF_VPOW))
        MF_ISA(power_backward_x)(op, ys, n, px, py, pz, g, d);
    else
        MF_ISA(op_backward_x)(op, xs, ys, n, px, py, pz, g, d);
}

static MF_TARGET void MF_ISA(backward_y)(int op, int xs, int ys, ptrdiff_t n, const double *px,
                                         const double *py, const double *pz, const double *g,
                                         double *d) {
    if (ys && op == MF_VPOW)
        MF_ISA(power_backward_y)(xs, n, px, py, pz, g, d);
    else
        MF_ISA(op_backward_y)(op, xs, ys, n, px, py, pz, g, d);
}

/* z += w0*x0 + w1*x1 + w2*x2 + w3*x3, uniform weights: one pass over z for four products. */
static MF_TARGET void MF_ISA(axpy4)(ptrdiff_t n, const double *w, const double *const *x,
                                    double *restrict z) {
    const double a = w[0], b = w[1], c = w[2], e = w[3];
    const double *restrict p = x[0], *restrict q = x[1], *restrict r = x[2], *restrict s = x[3];
    if (a == 1.0 && b == 1.0 && c == 1.0 && e == 1.0) { /* a sum: see axpy */
        MF_LANES z[l] = p[l] + (q[l] + (r[l] + (s[l] + z[l])));
        return;
    }
    MF_LANES z[l] = MF_FMA(a, p[l], MF_FMA(b, q[l], MF_FMA(c, r[l], MF_FMA(e, s[l], z[l]))));
}

/* The way back from there, for n lanes, whole blocks: g is read once for eight adjoints. Rows dx may be
 * one row, so no product is worked on before the one in front of it has been stored. */
static MF_TARGET void MF_ISA(dot_backward4)(ptrdiff_t n, const double *const *w,
                                            const double *const *x, const double *g,
                                            double *const *dw, double *const *dx) {
    MF_VEC sums[4], weights[4];
    for (int j = 0; j < 4; j++) {
        sums[j] = MF_SPREAD(0.0);
        weights[j] = MF_SPREAD(*w[j]);
    }
    for (ptrdiff_t l = 0; l < n; l += MF_WIDTH) {
        const MF_VEC gl = MF_LOAD(g + l);
        for (int j = 0; j < 4; j++) {
            sums[j] = MF_VFMA(MF_LOAD(x[j] + l), gl, sums[j]);
            MF_STORE(dx[j] + l, MF_VFMA(weights[j], gl, MF_LOAD(dx[j] + l)));
        }
    }
    for (int j = 0; j < 4; j++) *dw[j] += MF_VSUM(sums[j]);
}

/* The sum of a row is no product with 1: additions take no longer over subnormal numbers. */
static MF_TARGET void MF_ISA(axpy)(ptrdiff_t n, double w, const double *restrict x,
                                   double *restrict z) {
    if (w == 1.0) {
        MF_LANES z[l] += x[l];
        return;
    }
    MF_LANES z[l] = MF_FMA(w, x[l], z[l]);
}

static MF_TARGET void MF_ISA(multiply_add)(ptrdiff_t n, const double *restrict x,
                                           const double *restrict y, double *restrict z) {
    MF_LANES z[l] = MF_FMA(x[l], y[l], z[l]);
}

/* The same, of an x with subnormal numbers; an adjoint y of 0 adds nothing. */
static MF_TARGET void MF_ISA(multiply_add_subnormal)(ptrdiff_t n, const double *restrict x,
                                                     const double *restrict y,
                                                     double *restrict z) {
    MF_LANES { const double p = mf_subnormal_product(x[l], y[l]); z[l] += y[l] == 0.0 ? 0.0 : p; }
}

static MF_TARGET double MF_ISA(inner)(ptrdiff_t n, const double *restrict x,
                                      const double *restrict y) {
    double s = 0.0;
    MF_SIMD_SUM(s)
    MF_LANES s += x[l] * y[l];
    return s;
}

static MF_TARGET double MF_ISA(row_sum)(ptrdiff_t n, const double *restrict x) {
    double s = 0.0;
    MF_SIMD_SUM(s)
    MF_LANES s += x[l];
    return s;
}

/* axpy, multiply_add and inner where numbers may be infinite: an adjoint (x of axpy, y of the others)
 * that is 0 adds nothing. */
static MF_TARGET void MF_ISA(axpy_reached)(ptrdiff_t n, double w, const double *restrict x,
                                           double *restrict z) {
    MF_LANES { const double p = MF_FMA(w, x[l], z[l]); z[l] = x[l] == 0.0 ? z[l] : p; }
}

static MF_TARGET void MF_ISA(multiply_add_reached)(ptrdiff_t n, const double *restrict x,
                                                   const double *restrict y, double *restrict z) {
    MF_LANES { const double p = MF_FMA(x[l], y[l], z[l]); z[l] = y[l] == 0.0 ? z[l] : p; }
}

static MF_TARGET double MF_ISA(inner_reached)(ptrdiff_t n, const double *restrict x,
                                              const double *restrict y) {
    double s = 0.0;
    MF_SIMD_SUM(s)
    MF_LANES { const double p = x[l] * y[l]; s += y[l] == 0.0 ? 0.0 : p; }
    return s;
}

/* Whether all are whole numbers from 0 to below the limit. */
static MF_TARGET int MF_ISA(all_below)(ptrdiff_t n, double limit, const double *restrict index) {
    int wrong = 0;
    MF_LANES wrong |= !(index[l] >= 0.0) | !(index[l] < limit) | (floor(index[l]) != index[l]);
    return !wrong;
}

static MF_TARGET void MF_ISA(blend)(ptrdiff_t n, const double *restrict index, double k, int xs,
                                    const double *restrict x, double *restrict z) {
    if (xs) {
        MF_LANES z[l] = index[l] == k ? x[l] : z[l];
    } else {
        const double number = x[0];
        MF_LANES z[l] = index[l] == k ? number : z[l];
    }
}

static MF_TARGET void MF_ISA(blend_add)(ptrdiff_t n, const double *restrict index, double k,
                                        const double *restrict g, double *restrict d) {
    MF_LANES d[l] = index[l] == k ? d[l] + g[l] : d[l];
}

static MF_TARGET double MF_ISA(blend_sum)(ptrdiff_t n, const double *restrict index, double k,
                                          const double *restrict g) {
    double s = 0.0;
    MF_SIMD_SUM(s)
    for (ptrdiff_t l = 0; l < n; l++) s += index[l] == k ? g[l] : 0.0;
    return s;
}

static MF_TARGET void MF_ISA(fill)(ptrdiff_t n, double x, double *restrict z) { MF_LANES z[l] = x; }

/* One step of Adam for n parameters p with gradients g; mf_adam says what the numbers are. */
static MF_TARGET void MF_ISA(adam)(ptrdiff_t n, const mf_adam *a, const double *restrict g,
                                   double *restrict p, double *restrict mean,
                                   double *restrict square, double *restrict largest) {
    const double beta1 = a->beta1, beta2 = a->beta2, sign = a->sign, decay = a->decay;
    MF_LANES {
        const double gl = decay == 0.0 ? sign * g[l] : sign * g[l] + decay * p[l];
        mean[l] = mf_flushed(beta1 * mean[l] + (1.0 - beta1) * gl);
        square[l] = mf_flushed(beta2 * square[l] + (1.0 - beta2) * gl * gl);
    }
    if (largest != NULL) MF_LANES largest[l] = mf_maximum(largest[l], square[l]); /* nan stays */
    const double *restrict s = largest != NULL ? largest : square;
    const double shrink = a->shrink, step = a->step, scale = a->scale, eps = a->eps;
    MF_LANES p[l] = shrink * p[l] - step * mean[l] / (sqrt(s[l]) * scale + eps);
}

/* The gradient that a step takes: 0 times an infinite parameter would be nan. */
MF_INLINE double MF_ISA(decayed)(double sign, double decay, double g, double p) {
    return decay == 0.0 ? sign * g : sign * g + decay * p;
}

/* Whether any of the gradients is not there (base/absent.h). */
static MF_TARGET int MF_ISA(any_absent)(ptrdiff_t n, const double *restrict g) {
    const int64_t absent = INT64_MIN; /* the bits of -0.0 */
    int64_t found = 0, bits;
    MF_LANES {
        memcpy(&bits, &g[l], sizeof bits);
        found |= bits == absent;
    }
    return found != 0;
}

/* One step of RMSprop; mean and velocity may be NULL. */
static MF_TARGET void MF_ISA(rmsprop)(ptrdiff_t n, const mf_rmsprop *a, const double *restrict g,
                                      double *restrict p, double *restrict square,
                                      double *restrict mean, double *restrict velocity) {
    const double alpha = a->alpha, sign = a->sign, decay = a->decay, lr = a->lr, eps = a->eps;
    const double momentum = a->momentum;
    MF_LANES {
        const double gl = MF_ISA(decayed)(sign, decay, g[l], p[l]);
        square[l] = mf_flushed(alpha * square[l] + (1.0 - alpha) * gl * gl);
    }
    if (mean != NULL) MF_LANES {
        const double gl = MF_ISA(decayed)(sign, decay, g[l], p[l]);
        mean[l] = mf_flushed(alpha * mean[l] + (1.0 - alpha) * gl);
    }
    MF_LANES {
        const double gl = MF_ISA(decayed)(sign, decay, g[l], p[l]);
        const double variance = mean != NULL ? square[l] - mean[l] * mean[l] : square[l];
        /* below 0 by rounding alone; nan stays */
        const double change = gl / (sqrt(variance < 0.0 ? 0.0 : variance) + eps);
        if (velocity != NULL) velocity[l] = mf_flushed(momentum * velocity[l] + change);
        p[l] -= lr * (velocity != NULL ? velocity[l] : change);
    }
}

/* One step of Adagrad. */
static MF_TARGET void MF_ISA(adagrad)(ptrdiff_t n, const mf_adagrad *a, const double *restrict g,
                                      double *restrict p, double *restrict sum) {
    const double sign = a->sign, decay = a->decay, step = a->step, eps = a->eps;
    MF_LANES {
        const double gl = MF_ISA(decayed)(sign, decay, g[l], p[l]);
        sum[l] += gl * gl;
        p[l] -= step * gl / (sqrt(sum[l]) + eps);
    }
}

#undef MF_FORWARD_MF_UNARY
#undef MF_FORWARD_MF_BINARY
#undef MF_FORWARD_MF_PARAM
#undef MF_PARTIAL
#undef MF_ROWS
#undef MF_ROW_X
#undef MF_ROW_Y
#undef MF_UNARY_X
#undef MF_LANES
#undef exp
#undef log
#undef log1p
#undef tanh
#undef mf_sigmoid
#undef mf_tanh_dx
#undef mf_sigmoid_dx
#undef sin
#undef cos
#undef tan
#undef asin
#undef acos
#undef atan
#undef atan2
#undef sinh
#undef cosh
#undef asinh
#undef acosh
#undef atanh
#undef expm1
#undef exp2
#undef log2
#undef log10
#undef hypot
#undef erf
#undef erfc
#undef mf_cbrt
#undef mf_logaddexp_dx
#undef mf_erf_dx
#undef mf_erfcx
#undef mf_erfcx_dx
#undef mf_ndtr
#undef mf_ndtr_dx
#undef mf_log_ndtr
#undef mf_log_ndtr_dx
#undef pow
#undef mf_pow
#undef mf_pow_dx
#undef mf_pow_dy
