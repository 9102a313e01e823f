/* exp, log, tanh, sigmoid, sin, cos and pow for the lane loops: no branches, no tables, no calls, so
 * that a loop over them becomes SIMD code. Included once per instruction set by kernels.h, with
 * MF_FMA(a, b, c) as that set has it. exp is its Taylor series on |r| <= ln(2)/2 (the first term left
 * out is 4e-18), tanh comes of expm1 without a second division; log, sin and cos after S. Moshier's
 * Cephes library (rational approximations) with selects in the place of its branches. Errors against
 * the correctly rounded result, asserted by tests/test_vecmath.py: exp, log, tanh, sigmoid 4 ulp; sin,
 * cos 4 ulp of 1 for |x| < 1e6 (replay.h sends larger ones to libm); pow 5e-13 relative. inf, nan,
 * zeros and overflow come out as C's libm has them. */
#ifndef MF_VECMATH_H
#define MF_VECMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define MF_INLINE static inline __attribute__((always_inline))
#else
#define MF_INLINE static __forceinline
#endif

MF_INLINE uint64_t mf_bits(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }
MF_INLINE double mf_from_bits(uint64_t u) { double x; memcpy(&x, &u, 8); return x; }

/* Adding this to |n| < 2**51 leaves n in the low bits: rounding and conversion in one add. */
#define MF_SHIFTER 6755399441055744.0

#endif

/* x = n ln(2) + r with |r| <= ln(2)/2: returns e**r - 1, sets n and its bits. */
MF_INLINE MF_TARGET double MF_ISA(vexpm1_part)(double x, uint64_t *n_bits) {
    const double t = MF_FMA(x, 1.4426950408889634, MF_SHIFTER), n = t - MF_SHIFTER;
    const double r = MF_FMA(n, -1.42860682030941723212e-6, MF_FMA(n, -6.93145751953125e-1, x));
    const double rr = r * r;
    double p = 1.0 / 6227020800.0, q = 1.0 / 479001600.0; /* odd and even terms, interleaved */
    p = MF_FMA(p, rr, 1.0 / 39916800.0), q = MF_FMA(q, rr, 1.0 / 3628800.0);
    p = MF_FMA(p, rr, 1.0 / 362880.0), q = MF_FMA(q, rr, 1.0 / 40320.0);
    p = MF_FMA(p, rr, 1.0 / 5040.0), q = MF_FMA(q, rr, 1.0 / 720.0);
    p = MF_FMA(p, rr, 1.0 / 120.0), q = MF_FMA(q, rr, 1.0 / 24.0);
    p = MF_FMA(p, rr, 1.0 / 6.0), q = MF_FMA(q, rr, 0.5);
    *n_bits = mf_bits(t) - mf_bits(MF_SHIFTER);
    return MF_FMA(MF_FMA(p, r, q), rr, r);
}

MF_INLINE MF_TARGET double MF_ISA(vexp)(double x) {
    const double lo = -746.0, hi = 710.0;
    uint64_t k;
    const double e = 1.0 + MF_ISA(vexpm1_part)(x < lo ? lo : x > hi ? hi : x, &k);
    /* 2**n in two factors, so that subnormal results and 2**1024 come out right */
    const uint64_t h = (uint64_t)((k + 4096u) >> 1) - 2048u;
    const double s1 = mf_from_bits((h + 1023u) << 52), s2 = mf_from_bits((k - h + 1023u) << 52);
    const double z = e * s1 * s2;
    return x != x ? x : z;
}

MF_INLINE MF_TARGET double MF_ISA(vlog)(double x) {
    /* subnormals are scaled into the normal range first */
    const int tiny = x < 2.2250738585072014e-308;
    const double scaled = tiny ? x * 18014398509481984.0 : x;
    const uint64_t u = mf_bits(scaled);
    /* mantissa in [sqrt(1/2), sqrt(2)) */
    const uint64_t shifted = u - 0x3FE6A09E667F3BCDu;
    const double e_raw = mf_from_bits(((shifted >> 52) | 0x4330000000000000u)) - 4503599627370496.0;
    const double e = (e_raw > 2047.5 ? e_raw - 4096.0 : e_raw) + (tiny ? -54.0 : 0.0);
    const double m = mf_from_bits((shifted & 0x000FFFFFFFFFFFFFu) + 0x3FE6A09E667F3BCDu);
    const double f = m - 1.0, z = f * f;
    double p = MF_FMA(1.01875663804580931796e-4, f, 4.97494994976747001425e-1);
    double q = f + 1.12873587189167450590e1;
    p = MF_FMA(p, f, 4.70579119878881725854e0), q = MF_FMA(q, f, 4.52279145837532221105e1);
    p = MF_FMA(p, f, 1.44989225341610930846e1), q = MF_FMA(q, f, 8.29875266912776603211e1);
    p = MF_FMA(p, f, 1.79368678507819816313e1), q = MF_FMA(q, f, 7.11544750618563894466e1);
    p = MF_FMA(p, f, 7.70838733755885391666e0), q = MF_FMA(q, f, 2.31251620126765340583e1);
    double y = f * (z * p / q);
    y = y - e * 2.121944400546905827679e-4 - 0.5 * z;
    const double r = f + y + e * 0.693359375;
    return x != x || x < 0.0 ? NAN : x == 0.0 ? -INFINITY : x == INFINITY ? x : r;
}

/* W. Kahan's: the rounding of 1 + x is divided out again. */
MF_INLINE MF_TARGET double MF_ISA(vlog1p)(double x) {
    const double u = 1.0 + x, r = MF_ISA(vlog)(u) * (x / (u - 1.0));
    return u == 1.0 || x == INFINITY ? x : r;
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

/* sin of x + quarter turns: Cody-Waite reduction by pi/2 in three parts, good for |x| < 1e6. */
MF_INLINE MF_TARGET double MF_ISA(vsin_turned)(double x, uint64_t quarter) {
    const double t = x * 0.6366197723675814 + MF_SHIFTER, n = t - MF_SHIFTER;
    const double r = ((x - n * 1.57079625129699707031) - n * 7.54978941586159635335e-8) -
                     n * 5.39030285815811905290e-15;
    const double z = r * r;
    double s = MF_FMA(1.58962301576546568060e-10, z, -2.50507477628578072866e-8);
    double c = MF_FMA(-1.13585365213876817300e-11, z, 2.08757008419747316778e-9);
    s = MF_FMA(s, z, 2.75573136213857245213e-6), c = MF_FMA(c, z, -2.75573141792967388112e-7);
    s = MF_FMA(s, z, -1.98412698295895385996e-4), c = MF_FMA(c, z, 2.48015872888517045348e-5);
    s = MF_FMA(s, z, 8.33333333332211858878e-3), c = MF_FMA(c, z, -1.38888888888730564116e-3);
    s = MF_FMA(s, z, -1.66666666666666307295e-1), c = MF_FMA(c, z, 4.16666666666665929218e-2);
    s = r * MF_FMA(z, s, 1.0), c = MF_FMA(z * z, c, 1.0 - 0.5 * z);
    const uint64_t k = mf_bits(t) + quarter;
    const double v = k & 1 ? c : s;
    return x - x != 0.0 ? NAN : k & 2 ? -v : v;
}
MF_INLINE MF_TARGET double MF_ISA(vsin)(double x) { return MF_ISA(vsin_turned)(x, 0); }
MF_INLINE MF_TARGET double MF_ISA(vcos)(double x) { return MF_ISA(vsin_turned)(x, 1); }

MF_INLINE MF_TARGET double MF_ISA(vpow)(double x, double y) {
    const double a = fabs(x), h = 0.5 * y;
    /* beyond 2**53 every float is even */
    const int big = fabs(y) >= 9007199254740992.0;
    const double shift = y < 0.0 ? -4503599627370496.0 : 4503599627370496.0;
    const double whole = fabs(y) >= 4503599627370496.0 ? y : (y + shift) - shift;
    const double half = fabs(h) >= 4503599627370496.0 ? h : (h + shift) - shift;
    const int is_whole = whole == y, is_odd = is_whole && half != h && !big;
    const double r = MF_ISA(vexp)(y * MF_ISA(vlog)(a));
    const double below = is_odd ? -r : is_whole || a == INFINITY || a == 0.0 ? r : NAN;
    const double signed_r = mf_bits(x) >> 63 ? below : r;
    return y == 0.0 || x == 1.0 ? 1.0 : a == 1.0 && fabs(y) == INFINITY ? 1.0 : signed_r;
}

/* y * x**(y-1) and z * log(x) without branches; see eval.h for the cases */
MF_INLINE MF_TARGET double MF_ISA(vpow_dx)(double x, double y) {
    return y == 0.0 ? 0.0 : y * MF_ISA(vpow)(x, y - 1.0);
}
MF_INLINE MF_TARGET double MF_ISA(vpow_dy)(double x, double y, double z) {
    return x == 0.0 && y >= 0.0 ? 0.0 : z * MF_ISA(vlog)(x);
}
