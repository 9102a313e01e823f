/* What is made of exp and log for the lane loops: other bases, hyperbolic functions and their inverses;
 * roots. Written as vecmath.h is and included after it, once per instruction set. */
#ifndef MF_ISA /* compiled by itself */
#include "run/isa_portable.h"
#include "run/vecmath.h"
#endif

MF_INLINE MF_TARGET double MF_ISA(vexpm1)(double x) {
    uint64_t k;
    const double part = MF_ISA(vexpm1_part)(x < -40.0 ? -40.0 : x > 710.0 ? 710.0 : x, &k);
    const double half_scale = mf_from_bits((k + 1022u) << 52); /* of 2**1024 too */
    const double z = 2.0 * MF_FMA(half_scale, part, half_scale - 0.5);
    return (x != x) | (x == 0.0) ? x : z;
}

MF_INLINE MF_TARGET double MF_ISA(vexp2)(double x) {
    const double lo = -1080.0, hi = 1025.0, y = x < lo ? lo : x > hi ? hi : x;
    const double t = y + MF_SHIFTER, r = (y - (t - MF_SHIFTER)) * 0.6931471805599453;
    const double e = 1.0 + MF_ISA(vexpm1_small)(r);
    const double z = MF_ISA(vscaled_low)(e, mf_bits(t) - mf_bits(MF_SHIFTER), x < -1022.0);
    return x != x ? x : z;
}

/* log(x) times a number of two parts: a power of the base has its exponent, to the last bit. */
MF_INLINE MF_TARGET double MF_ISA(vlog_scaled)(double x, double scale, double scale_lo) {
    double lo;
    const double l = MF_ISA(vlog_pair)(x, &lo), p = l * scale;
    const double z = p + (MF_PRODUCT_ERROR(l, scale, p) + MF_FMA(l, scale_lo, lo * scale));
    return x < 0.0 ? NAN : MF_SELECT((x > 0.0) & (x < INFINITY), z, l);
}
MF_INLINE MF_TARGET double MF_ISA(vlog2)(double x) {
    return MF_ISA(vlog_scaled)(x, 1.4426950408889634, 2.0355273740931033e-17);
}
MF_INLINE MF_TARGET double MF_ISA(vlog10)(double x) {
    return MF_ISA(vlog_scaled)(x, 0.4342944819032518, 1.098319650216765e-17);
}

/* From 22 on e**-x is nothing beside e**x. */
MF_INLINE MF_TARGET double MF_ISA(vsinh)(double x) {
    const double a = fabs(x);
    uint64_t k;
    const double part = MF_ISA(vexpm1_part)(a > 712.0 ? 712.0 : a, &k);
    const double scale = mf_from_bits(((a < 22.0 ? k : 0u) + 1023u) << 52);
    const double e = MF_FMA(scale, part, scale - 1.0);
    const double far = MF_ISA(vscaled)(1.0 + part, k - 1u);
    return x != x ? x : copysign(MF_SELECT(a < 22.0, 0.5 * (e + e / (e + 1.0)), far), x);
}

MF_INLINE MF_TARGET double MF_ISA(vcosh)(double x) {
    const double a = fabs(x);
    uint64_t k;
    const double part = MF_ISA(vexpm1_part)(a > 712.0 ? 712.0 : a, &k);
    const double scale = mf_from_bits(((a < 22.0 ? k : 0u) + 1023u) << 52);
    const double e = MF_FMA(scale, part, scale), far = MF_ISA(vscaled)(1.0 + part, k - 1u);
    return x != x ? x : MF_SELECT(a < 22.0, 0.5 * e + 0.5 / e, far);
}

/* log(1 + u), or log(a) + log(2) where a is large; one logarithm for both. */
MF_INLINE MF_TARGET double MF_ISA(varea)(double u, double a) {
    const int is_large = a > 0x1p28;
    const double w = MF_SELECT(is_large, a, 1.0 + u), l = MF_ISA(vlog)(w);
    const double near = MF_SELECT(w == 1.0, u, l * (u / (w - 1.0)));
    return MF_SELECT(is_large, l + 0.6931471805599453, near);
}

MF_INLINE MF_TARGET double MF_ISA(vasinh)(double x) {
    const double a = fabs(x), square = a * a;
    return copysign(MF_ISA(varea)(a + square / (1.0 + sqrt(1.0 + square)), a), x);
}

MF_INLINE MF_TARGET double MF_ISA(vacosh)(double x) {
    const double t = x - 1.0, z = MF_ISA(varea)(t + sqrt(t * (x + 1.0)), x);
    return MF_SELECT(x < 1.0, NAN, z);
}

MF_INLINE MF_TARGET double MF_ISA(vatanh)(double x) {
    const double a = fabs(x), twice = a + a;
    const double z = 0.5 * MF_ISA(vlog1p)(a < 0.5 ? twice + twice * a / (1.0 - a) : twice / (1.0 - a));
    return MF_SELECT(a > 1.0, NAN, copysign(z, x));
}

/* msun's: a guess by a third of the exponent, a polynomial, a step of Newton's method over what has 23
 * bits. Of subnormals through x * 2**54. */
MF_INLINE MF_TARGET double MF_ISA(vcbrt)(double x) {
    const double a = fabs(x), two_to_52 = 4503599627370496.0;
    const int is_tiny = a < 2.2250738585072014e-308;
    const double y = MF_SELECT(is_tiny, a * 0x1p54, a);
    const double high = mf_from_bits((mf_bits(y) >> 32) | mf_bits(two_to_52)) - two_to_52;
    const double third = high * 0.3333333333333333 + (715094163.0 + two_to_52);
    double t = mf_from_bits(mf_bits(third) << 32);
    const double r = (t * t) * (t / y);
    const double low = MF_FMA(r, MF_FMA(r, 1.621429720105354466140, -1.88497979543377169875),
                              1.87595182427177009643);
    t *= low + (r * r) * r * MF_FMA(r, 0.145996192886612446982, -0.758397934778766047437);
    t = mf_from_bits((mf_bits(t) + 0x80000000u) & 0xFFFFFFFFC0000000u);
    const double q = y / (t * t);
    t += t * ((q - t) / (t + t + q));
    const double z = copysign(MF_SELECT(is_tiny, t * 0x1p-18, t), x);
    return MF_SELECT((x - x != 0.0) | (x == 0.0), x, z);
}

/* By a power of two that takes the larger one near 1, so that no square leaves the range. */
MF_INLINE MF_TARGET double MF_ISA(vhypot)(double x, double y) {
    const double a = fabs(x), b = fabs(y), large = a > b ? a : b;
    const uint64_t bits = mf_bits(large) & 0x7FF0000000000000u, one = 0x0010000000000000u;
    const uint64_t high = bits > 0x7FD * one ? 0x7FD * one : bits, size = high < one ? one : high;
    const double inverse = mf_from_bits(0x7FE * one - size), p = a * inverse, q = b * inverse;
    const double z = sqrt(MF_FMA(p, p, q * q)) * mf_from_bits(size);
    return MF_SELECT((a == INFINITY) | (b == INFINITY), INFINITY, MF_SELECT(x != x, x, z));
}
