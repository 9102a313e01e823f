/* exp, log, tanh, sigmoid and pow for the lane loops; what else rows call is in vectrig.h and vecexp.h,
 * which include this. No branches, no tables, no calls, so that a loop over them becomes SIMD code.
 * Included once per instruction set by kernels.h, with MF_FMA(a, b, c) as that set has it. exp is its
 * Taylor series on |r| <= ln(2)/2 (the first term left out is 4e-18), tanh comes of expm1 without a
 * second division; log after S. Moshier's Cephes library (a rational approximation) with selects in the
 * place of its branches; pow multiplies a logarithm of 66 bits. docs/accuracy.md has a table of errors,
 * which test_accuracy.py measures. inf, nan, zeros and overflow come out as C's libm has them. */
#ifndef MF_VECMATH_H
#define MF_VECMATH_H

#include <math.h>
#include <stdint.h>

#include "base/bits.h"
#include "run/kernel_types.h"

/* Adding this to |n| < 2**51 leaves n in the low bits: rounding and conversion in one add. */
#define MF_SHIFTER 6755399441055744.0

/* x * g, to the last bit, of an x that may be below 2**-1022: as a whole number and a scale, for the
 * processor takes 50 times as long over subnormal operands. */
MF_INLINE double mf_subnormal_product(double x, double g) {
    const double whole = 4503599627370496.0, scale = 0x1p-537;
    const uint64_t sign = mf_bits(x) & 0x8000000000000000u, size = mf_bits(x) ^ sign;
    const double n = mf_from_bits(size | mf_bits(whole)) - whole;
    const double scaled = mf_from_bits(mf_bits(n * scale) | sign);
    const uint64_t is_low = (int64_t)size < 0x0010000000000000;
    return MF_SELECT(is_low, scaled, x) * g * MF_SELECT(is_low, scale, 1.0);
}

/* what vpower multiplies the power by */
enum { MF_TIMES_ONE, MF_TIMES_NUMBER, MF_TIMES_LOG };

#endif

#ifndef MF_ISA /* compiled by itself */
#include "run/isa_portable.h"
#endif

/* e**r - 1 for |r| <= ln(2)/2 */
MF_INLINE MF_TARGET double MF_ISA(vexpm1_small)(double r) {
    const double rr = r * r;
    double p = 1.0 / 6227020800.0, q = 1.0 / 479001600.0; /* odd and even terms, interleaved */
    p = MF_FMA(p, rr, 1.0 / 39916800.0), q = MF_FMA(q, rr, 1.0 / 3628800.0);
    p = MF_FMA(p, rr, 1.0 / 362880.0), q = MF_FMA(q, rr, 1.0 / 40320.0);
    p = MF_FMA(p, rr, 1.0 / 5040.0), q = MF_FMA(q, rr, 1.0 / 720.0);
    p = MF_FMA(p, rr, 1.0 / 120.0), q = MF_FMA(q, rr, 1.0 / 24.0);
    p = MF_FMA(p, rr, 1.0 / 6.0), q = MF_FMA(q, rr, 0.5);
    return MF_FMA(MF_FMA(p, r, q), rr, r);
}

/* x = n ln(2) + r with |r| <= ln(2)/2: returns e**r - 1, sets n and its bits. */
MF_INLINE MF_TARGET double MF_ISA(vexpm1_part)(double x, uint64_t *n_bits) {
    const double t = MF_FMA(x, 1.4426950408889634, MF_SHIFTER), n = t - MF_SHIFTER;
    const double r = MF_FMA(n, -1.42860682030941723212e-6, MF_FMA(n, -6.93145751953125e-1, x));
    *n_bits = mf_bits(t) - mf_bits(MF_SHIFTER);
    return MF_ISA(vexpm1_small)(r);
}

/* e * 2**k in two factors, so that subnormal results and 2**1024 come out right */
MF_INLINE MF_TARGET double MF_ISA(vscaled)(double e, uint64_t k) {
    const uint64_t h = (uint64_t)((k + 4096u) >> 1) - 2048u;
    return e * mf_from_bits((h + 1023u) << 52) * mf_from_bits((k - h + 1023u) << 52);
}

/* exp where |x| <= 708: 2**k is one factor. */
MF_INLINE MF_TARGET double MF_ISA(vexp_usual)(double x) {
    uint64_t k;
    const double e = 1.0 + MF_ISA(vexpm1_part)(x, &k), z = e * mf_from_bits((k + 1023u) << 52);
    return x != x ? x : z;
}

/* e * 2**k, whose result is below 2**-1022 where is_low: then it is a multiple of 2**-1074, and which one
 * an addition rounds to, as a scaling would, but without the processor's handling of subnormal results,
 * which takes as long as ten exp. */
MF_INLINE MF_TARGET double MF_ISA(vscaled_low)(double e, uint64_t k, uint64_t is_low) {
    const double whole = 4503599627370496.0;
    const double z = MF_ISA(vscaled)(e, k + ((0 - is_low) & 1074u));
    return MF_SELECT(is_low, mf_from_bits(mf_bits(z + whole) - mf_bits(whole)), z);
}

MF_INLINE MF_TARGET double MF_ISA(vexp)(double x) {
    const double lo = -746.0, hi = 710.0;
    uint64_t k;
    const double e = 1.0 + MF_ISA(vexpm1_part)(x < lo ? lo : x > hi ? hi : x, &k);
    const double z = MF_ISA(vscaled_low)(e, k, x < -708.3964185322641);
    return x != x ? x : z;
}

/* x = m * 2**e with m in [sqrt(1/2), sqrt(2)): returns e. Subnormals are scaled up first. */
MF_INLINE MF_TARGET double MF_ISA(vsplit)(double x, double *m) {
    const int tiny = x < 2.2250738585072014e-308;
    const double scaled = tiny ? x * 18014398509481984.0 : x;
    const uint64_t shifted = mf_bits(scaled) - 0x3FE6A09E667F3BCDu;
    const double e_raw = mf_from_bits(((shifted >> 52) | 0x4330000000000000u)) - 4503599627370496.0;
    *m = mf_from_bits((shifted & 0x000FFFFFFFFFFFFFu) + 0x3FE6A09E667F3BCDu);
    return (e_raw > 2047.5 ? e_raw - 4096.0 : e_raw) + (tiny ? -54.0 : 0.0);
}

MF_INLINE MF_TARGET double MF_ISA(vlog)(double x) {
    double m;
    const double e = MF_ISA(vsplit)(x, &m), f = m - 1.0, z = f * f;
    double p = MF_FMA(1.01875663804580931796e-4, f, 4.97494994976747001425e-1);
    double q = f + 1.12873587189167450590e1;
    p = MF_FMA(p, f, 4.70579119878881725854e0), q = MF_FMA(q, f, 4.52279145837532221105e1);
    p = MF_FMA(p, f, 1.44989225341610930846e1), q = MF_FMA(q, f, 8.29875266912776603211e1);
    p = MF_FMA(p, f, 1.79368678507819816313e1), q = MF_FMA(q, f, 7.11544750618563894466e1);
    p = MF_FMA(p, f, 7.70838733755885391666e0), q = MF_FMA(q, f, 2.31251620126765340583e1);
    double y = f * (z * p / q);
    y = y - e * 2.121944400546905827679e-4 - 0.5 * z;
    const double r = f + y + e * 0.693359375;
    return (x != x) | (x < 0.0) ? NAN : x == 0.0 ? -INFINITY : x == INFINITY ? x : r;
}

/* W. Kahan's: the rounding of 1 + x is divided out again. */
MF_INLINE MF_TARGET double MF_ISA(vlog1p)(double x) {
    const double u = 1.0 + x, r = MF_ISA(vlog)(u) * (x / (u - 1.0));
    return (u == 1.0) | (x == INFINITY) ? x : r;
}

/* (e**2a - 1) / (e**2a + 1) of a = |x|; from 19.1 on that is 1 */
MF_INLINE MF_TARGET double MF_ISA(vtanh)(double x) {
    const double a = fabs(x);
    uint64_t k;
    const double part = MF_ISA(vexpm1_part)(a < 20.0 ? 2.0 * a : 40.0, &k);
    const double scale = mf_from_bits((k + 1023u) << 52);
    const double e = MF_FMA(scale, part, scale - 1.0);
    return x != x ? x : copysign(e / (e + 2.0), x);
}

MF_INLINE MF_TARGET double MF_ISA(vsigmoid)(double x) {
    const double e = MF_ISA(vexp)(-fabs(x));
    return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

/* 1 - z*z of z = tanh(x), and z*(1 - z) of z = sigmoid(x), to the last digits where z is nearly 1:
 * there 1 - z comes of e**-|x|. Below 2**-1022 they are 0; a scale * part of its own would be there
 * too early. */
MF_INLINE MF_TARGET double MF_ISA(vtanh_dx)(double x, double z) {
    const double a = 2.0 * fabs(x), s = 0.5 + 0.5 * fabs(z), end = 709.782712893384;
    uint64_t k;
    const double part = MF_ISA(vexpm1_part)(a < end ? -a : -end, &k);
    const double scale = mf_from_bits((k + 1025u) << 52);
    const double d = scale * (1.0 + part) * s * s;
    return x != x ? x : a < end ? d : 0.0;
}
MF_INLINE MF_TARGET double MF_ISA(vsigmoid_dx)(double x, double z) {
    const double end = 708.396418532264;
    uint64_t k;
    const double part = MF_ISA(vexpm1_part)(fabs(x) < end ? -fabs(x) : -end, &k);
    const double scale = mf_from_bits((k + 1023u) << 52);
    const double d = scale * (1.0 + part) * z * z;
    return (x < 0.5) | (x != x) ? z * (1.0 - z) : x < end ? d : 0.0;
}

MF_INLINE MF_TARGET double MF_ISA(vlogaddexp_dx)(double x, double y) {
    const double d = x - y, back = d - x, lost = (x - (d - back)) - (y + back);
    const double z = MF_ISA(vsigmoid)(d), more = z * (1.0 - z) * lost;
    return MF_SELECT(x == y, 0.5, MF_SELECT(lost == lost, z + more, z));
}

/* log(x) of x >= 0 as the sum of two numbers, good to 2**-66 of it: pow multiplies it by up to 2**62.
 * log(m) = 2 artanh(s) of s = (m-1) / (m+1), its first terms with what they round off. */
MF_INLINE MF_TARGET double MF_ISA(vlog_pair)(double x, double *lo) {
    double m;
    const double e = MF_ISA(vsplit)(x, &m), f = m - 1.0, t = m + 1.0, r = 1.0 / t;
    const double s = f * r, st = s * t;
    const double s_lo = ((f - st) - MF_PRODUCT_ERROR(s, t, st) - s * (m - (t - 1.0))) * r;
    const double z = s * s, z_lo = MF_FMA(2.0 * s, s_lo, MF_PRODUCT_ERROR(s, s, z));
    double p = MF_FMA(0.05861589311938259, z, 0.05853118169745603);
    p = MF_FMA(p, z, 0.06667402346923655), p = MF_FMA(p, z, 0.07692297481259215);
    p = MF_FMA(p, z, 0.09090909167696401), p = MF_FMA(p, z, 0.11111111110827943);
    p = MF_FMA(p, z, 0.14285714285714682), p = MF_FMA(p, z, 0.2);
    const double third = 0.3333333333333333, zp = z * p, c = third + zp;
    const double c_lo = (third - c) + zp + 1.850371707708594e-17;
    const double u = z * c, u_lo = MF_PRODUCT_ERROR(z, c, u) + MF_FMA(z, c_lo, z_lo * c);
    const double v = s * u, v_lo = MF_PRODUCT_ERROR(s, u, v) + MF_FMA(s, u_lo, s_lo * u);
    const double h = s + v, h_lo = (s - h) + v + (v_lo + s_lo);
    const double e_part = e * 0.6931471805598903, sum = e_part + 2.0 * h;
    const double sum_lo = (e_part - sum) + 2.0 * h + MF_FMA(e, 5.497923018708371e-14, 2.0 * h_lo);
    const int inside = (x > 0.0) & (x < INFINITY);
    *lo = inside ? sum_lo : 0.0;
    return inside ? sum : x == 0.0 ? -INFINITY : x;
}

/* factor * x**(y + y_lo), factor being 1, `times` or log(x): multiplied in before the power of two,
 * so that the power alone need not be in range. y_lo is what y was rounded by. */
MF_INLINE MF_TARGET double MF_ISA(vpower)(double x, double y, double y_lo, int kind, double times) {
    const double a = fabs(x), h = 0.5 * y;
    /* beyond 2**53 every float is even */
    const double shift = copysign(4503599627370496.0, y);
    const double whole = MF_SELECT(fabs(y) < 4503599627370496.0, (y + shift) - shift, y);
    const double half = MF_SELECT(fabs(h) < 4503599627370496.0, (h + shift) - shift, h);
    const int is_whole = whole == y;
    const int is_odd = is_whole & (half != h) & (fabs(y) < 9007199254740992.0);
    double l_lo;
    const double l = MF_ISA(vlog_pair)(a, &l_lo), p = y * l;
    const double p_lo = MF_PRODUCT_ERROR(y, l, p) + MF_FMA(y, l_lo, y_lo * l);
    const double q = p < -1400.0 ? -1400.0 : p > 1400.0 ? 1400.0 : p, q_lo = q == p ? p_lo : 0.0;
    uint64_t k;
    const double part = MF_ISA(vexpm1_part)(q, &k);
    const double e = 1.0 + (part + MF_FMA(q_lo, part, q_lo));
    const double factor = kind == MF_TIMES_ONE ? 1.0 : kind == MF_TIMES_LOG ? l + l_lo : times;
    const double r = MF_ISA(vscaled)(factor * (p < -1400.0 ? 0.0 : p > 1400.0 ? INFINITY : e), k);
    const double real = MF_SELECT(is_whole | (a == INFINITY) | (a == 0.0), r, NAN);
    const double signed_r = MF_SELECT(mf_bits(x) >> 63, MF_SELECT(is_odd, -r, real), r);
    const int is_one = (y == 0.0) | (x == 1.0) | ((a == 1.0) & (fabs(y) == INFINITY));
    return MF_SELECT(is_one, factor, signed_r);
}

MF_INLINE MF_TARGET double MF_ISA(vpow)(double x, double y) {
    return MF_ISA(vpower)(x, y, 0.0, MF_TIMES_ONE, 1.0);
}

/* y * x**(y-1) and x**y * log(x) without branches; see eval.h for the cases */
MF_INLINE MF_TARGET double MF_ISA(vpow_dx)(double x, double y) {
    const double less = y - 1.0, b = less - y, less_lo = (y - (less - b)) - (1.0 + b);
    return MF_SELECT(y == 0.0, 0.0, MF_ISA(vpower)(x, less, less_lo, MF_TIMES_NUMBER, y));
}
MF_INLINE MF_TARGET double MF_ISA(vpow_dy)(double x, double y, double z) {
    (void)z;
    const double d = MF_ISA(vpower)(x, y, 0.0, MF_TIMES_LOG, 1.0);
    return MF_SELECT((x == 0.0) & (y >= 0.0), 0.0, x < 0.0 ? NAN : d);
}
