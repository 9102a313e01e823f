/* exp, log, tanh, sigmoid, sin, cos and pow for the lane loops: no branches, no tables, no calls, so
 * that a loop over them becomes SIMD code. After S. Moshier's Cephes library (rational
 * approximations), with selects in the place of its branches. Errors against the correctly rounded
 * result, asserted by tests/test_vecmath.py: exp, log, tanh, sigmoid 4 ulp; sin, cos 4 ulp of 1 for
 * |x| < 1e6 (replay.h sends larger ones to libm); pow 5e-13 relative. inf, nan, zeros and overflow come out as C's libm has them. */
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

/* e**r * 2**n for |x| < 745, split so that neither factor leaves the normal range. */
MF_INLINE double mf_vexp(double x) {
    const double lo = -746.0, hi = 710.0;
    const double c = x < lo ? lo : x > hi ? hi : x;
    const double t = c * 1.4426950408889634 + MF_SHIFTER, n = t - MF_SHIFTER;
    const double r = (c - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6, rr = r * r;
    const double p = r * ((1.26177193074810590878e-4 * rr + 3.02994407707441961300e-2) * rr +
                          9.99999999999999999910e-1);
    const double q = ((3.00198505138664455042e-6 * rr + 2.52448340349684104192e-3) * rr +
                      2.27265548208155028766e-1) * rr + 2.00000000000000000009e0;
    const double e = 1.0 + 2.0 * (p / (q - p));
    /* n is even-split: 2**(n/2) twice, so that subnormal results and 2**1024 come out right */
    const uint64_t k = mf_bits(t) - mf_bits(MF_SHIFTER);
    const uint64_t h = (uint64_t)((k + 4096u) >> 1) - 2048u;
    const double s1 = mf_from_bits((h + 1023u) << 52), s2 = mf_from_bits((k - h + 1023u) << 52);
    const double z = e * s1 * s2;
    return x != x ? x : z;
}

MF_INLINE double mf_vlog(double x) {
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
    const double p = ((((1.01875663804580931796e-4 * f + 4.97494994976747001425e-1) * f +
                        4.70579119878881725854e0) * f + 1.44989225341610930846e1) * f +
                      1.79368678507819816313e1) * f + 7.70838733755885391666e0;
    const double q = ((((f + 1.12873587189167450590e1) * f + 4.52279145837532221105e1) * f +
                       8.29875266912776603211e1) * f + 7.11544750618563894466e1) * f +
                     2.31251620126765340583e1;
    double y = f * (z * p / q);
    y = y - e * 2.121944400546905827679e-4 - 0.5 * z;
    const double r = f + y + e * 0.693359375;
    return x != x || x < 0.0 ? NAN : x == 0.0 ? -INFINITY : x == INFINITY ? x : r;
}

/* W. Kahan's: the rounding of 1 + x is divided out again. */
MF_INLINE double mf_vlog1p(double x) {
    const double u = 1.0 + x, r = mf_vlog(u) * (x / (u - 1.0));
    return u == 1.0 || x == INFINITY ? x : r;
}

MF_INLINE double mf_vtanh(double x) {
    const double a = fabs(x), s = x * x;
    const double p = (-9.64399179425052238628e-1 * s - 9.92877231001918586564e1) * s -
                     1.61468768441708447952e3;
    const double q = ((s + 1.12811678491632931402e2) * s + 2.23548839060100448583e3) * s +
                     4.84406305325125486048e3;
    const double small = x * (1.0 + s * (p / q));
    const double large = 1.0 - 2.0 / (mf_vexp(2.0 * a) + 1.0);
    return a < 0.625 ? small : x < 0.0 ? -large : x != x ? x : large;
}

MF_INLINE double mf_vsigmoid(double x) {
    const double e = mf_vexp(-fabs(x));
    return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

/* sin of x + quarter turns: Cody-Waite reduction by pi/2 in three parts, good for |x| < 1e6. */
MF_INLINE double mf_vsin_turned(double x, uint64_t quarter) {
    const double t = x * 0.6366197723675814 + MF_SHIFTER, n = t - MF_SHIFTER;
    const double r = ((x - n * 1.57079625129699707031) - n * 7.54978941586159635335e-8) -
                     n * 5.39030285815811905290e-15;
    const double z = r * r;
    const double s = r * (1.0 + z * (((((1.58962301576546568060e-10 * z - 2.50507477628578072866e-8) * z +
                                     2.75573136213857245213e-6) * z - 1.98412698295895385996e-4) * z +
                                   8.33333333332211858878e-3) * z - 1.66666666666666307295e-1));
    const double c = 1.0 - 0.5 * z +
                     z * z * (((((-1.13585365213876817300e-11 * z + 2.08757008419747316778e-9) * z -
                                 2.75573141792967388112e-7) * z + 2.48015872888517045348e-5) * z -
                               1.38888888888730564116e-3) * z + 4.16666666666665929218e-2);
    const uint64_t k = mf_bits(t) + quarter;
    const double v = k & 1 ? c : s;
    return x - x != 0.0 ? NAN : k & 2 ? -v : v;
}
MF_INLINE double mf_vsin(double x) { return mf_vsin_turned(x, 0); }
MF_INLINE double mf_vcos(double x) { return mf_vsin_turned(x, 1); }

MF_INLINE double mf_vpow(double x, double y) {
    const double a = fabs(x), h = 0.5 * y;
    /* beyond 2**53 every float is even */
    const int big = fabs(y) >= 9007199254740992.0;
    const double shift = y < 0.0 ? -4503599627370496.0 : 4503599627370496.0;
    const double whole = fabs(y) >= 4503599627370496.0 ? y : (y + shift) - shift;
    const double half = fabs(h) >= 4503599627370496.0 ? h : (h + shift) - shift;
    const int is_whole = whole == y, is_odd = is_whole && half != h && !big;
    const double r = mf_vexp(y * mf_vlog(a));
    const double below = is_odd ? -r : is_whole || a == INFINITY || a == 0.0 ? r : NAN;
    const double signed_r = mf_bits(x) >> 63 ? below : r;
    return y == 0.0 || x == 1.0 ? 1.0 : a == 1.0 && fabs(y) == INFINITY ? 1.0 : signed_r;
}

#endif
