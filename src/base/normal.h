/* The normal distribution and the error function, of exp and log: no branches, so that loops over them
 * become SIMD code. Expanded for single numbers by eval.h, where exp and log are libm's, and once per
 * instruction set by kernels.h, where they are vecmath.h's. No include guard.
 *
 * For a >= 0, erfcx(a) = e**(a*a) erfc(a) is p(t) / (1 + 2a/sqrt(pi)), and -erfcx'(a) is
 * q(t) / (1 + sqrt(pi)a/2)**2, with t = (a - 3.5) / (a + 3.5), after M. Shepherd and J. Laframboise
 * (Chebyshev Approximation of (1 + 2x) exp(x**2) erfc x in 0 <= x < inf, 1981). With these factors p
 * and q have no slope at a = 0, where t has fewer digits than a. Fitted here, to 1e-17; as they are
 * added up p is 1 at a = 0. */
#ifdef MF_ISA /* compiled by itself it has nothing to expand */

MF_INLINE MF_TARGET double MF_ISA(erfcx_t)(double a) {
    const double b = a < 1e17 ? a : 1e17;
    return (b - 3.5) / (b + 3.5);
}

/* p of a */
MF_INLINE MF_TARGET double MF_ISA(erfcx_part)(double a) {
    const double t = MF_ISA(erfcx_t)(a);
    double p = MF_FMA(-6.185710402583433e-10, t, -1.1228971907148793e-10);
    p = MF_FMA(p, t, 7.170190130238957e-09), p = MF_FMA(p, t, 2.0352428051147768e-09),
    p = MF_FMA(p, t, -5.0268919857761787e-08), p = MF_FMA(p, t, -1.6802075146254318e-08),
    p = MF_FMA(p, t, 3.120431231649532e-07), p = MF_FMA(p, t, 5.902221655156781e-08),
    p = MF_FMA(p, t, -1.99007296095889e-06), p = MF_FMA(p, t, 6.512127703858963e-07),
    p = MF_FMA(p, t, 1.2977417597037092e-05), p = MF_FMA(p, t, -1.832069784192068e-05),
    p = MF_FMA(p, t, -7.059264727080669e-05), p = MF_FMA(p, t, 0.0002713152706719763),
    p = MF_FMA(p, t, -4.4781071788667286e-05), p = MF_FMA(p, t, -0.00226154110962186),
    p = MF_FMA(p, t, 0.008926831804171437), p = MF_FMA(p, t, -0.020146962615590534),
    p = MF_FMA(p, t, 0.02983736510149473), p = MF_FMA(p, t, -0.023779730602865534),
    p = MF_FMA(p, t, -0.015293751984922728), p = MF_FMA(p, t, 0.09564533477514404),
    p = MF_FMA(p, t, -0.20505644068835177), p = MF_FMA(p, t, 0.7685990958080297);
    return p;
}

MF_INLINE MF_TARGET double MF_ISA(erfcx_positive)(double a) {
    return 0.5 * MF_ISA(erfcx_part)(a) / (0.5 + 0.5641895835477563 * a);
}

/* -erfcx'(a) */
MF_INLINE MF_TARGET double MF_ISA(erfcx_fall)(double a) {
    const double t = MF_ISA(erfcx_t)(a), r = 0.5 / (0.5 + 0.443113462726379 * a);
    double p = MF_FMA(8.234397431452286e-10, t, 4.937019620883628e-10);
    p = MF_FMA(p, t, -9.303252820740396e-09), p = MF_FMA(p, t, -7.313051555503046e-09),
    p = MF_FMA(p, t, 5.865308432075636e-08), p = MF_FMA(p, t, 6.037513474967933e-08),
    p = MF_FMA(p, t, -3.003283499555965e-07), p = MF_FMA(p, t, -3.773345167808478e-07),
    p = MF_FMA(p, t, 1.5276121533918748e-06), p = MF_FMA(p, t, 1.959583217388615e-06),
    p = MF_FMA(p, t, -8.545745945560824e-06), p = MF_FMA(p, t, -7.715741841700387e-06),
    p = MF_FMA(p, t, 5.2383253727966666e-05), p = MF_FMA(p, t, 2.2361487893126326e-06),
    p = MF_FMA(p, t, -0.00031114566345142816), p = MF_FMA(p, t, 0.00042378506719435596),
    p = MF_FMA(p, t, 0.0011469808419684272), p = MF_FMA(p, t, -0.005148940317235708),
    p = MF_FMA(p, t, 0.0072293534770873245), p = MF_FMA(p, t, 0.003722552662776679),
    p = MF_FMA(p, t, -0.03615590017723113), p = MF_FMA(p, t, 0.07640456300404616),
    p = MF_FMA(p, t, -0.07887608675867447), p = MF_FMA(p, t, -0.00987002427258956),
    p = MF_FMA(p, t, 0.1974105379132516), p = MF_FMA(p, t, -0.4081609445401921),
    p = MF_FMA(p, t, 0.6952574603131384);
    return p * r * r;
}

/* e**(factor * x*x), factor a power of two: what the square is rounded by counts hundreds of times. */
MF_INLINE MF_TARGET double MF_ISA(exp_square)(double x, double factor) {
    const double a = fabs(x) > 60.0 ? 60.0 : fabs(x), square = a * a;
    return exp(factor * square) * MF_FMA(factor, MF_PRODUCT_ERROR(a, a, square), 1.0);
}

MF_INLINE MF_TARGET double MF_ISA(erfcx)(double x) {
    const double z = MF_ISA(erfcx_positive)(fabs(x));
    return MF_SELECT(x < 0.0, 2.0 * MF_ISA(exp_square)(x, 1.0) - z, z);
}

/* 2xz - 2/sqrt(pi) cancels where x is positive. */
MF_INLINE MF_TARGET double MF_ISA(erfcx_dx)(double x, double z) {
    const double fall = MF_ISA(erfcx_fall)(fabs(x));
    return MF_SELECT(x < 0.0, 2.0 * x * z - 1.1283791670955126, -fall);
}

MF_INLINE MF_TARGET double MF_ISA(erfc_positive)(double a) {
    return MF_ISA(erfcx_positive)(a) * MF_ISA(exp_square)(a, -1.0);
}

MF_INLINE MF_TARGET double MF_ISA(verfc)(double x) {
    const double z = MF_ISA(erfc_positive)(fabs(x));
    return MF_SELECT(x < 0.0, 2.0 - z, z);
}

/* 1 - erfc(x); up to 1 an odd polynomial */
MF_INLINE MF_TARGET double MF_ISA(verf)(double x) {
    const double a = fabs(x), t = a < 1.0 ? a * a : 1.0;
    double p = MF_FMA(5.958930743134941e-11, t, -1.1373902296430911e-09);
    p = MF_FMA(p, t, 1.4660051998394848e-08), p = MF_FMA(p, t, -1.6350354461959655e-07),
    p = MF_FMA(p, t, 1.6461004480962034e-06), p = MF_FMA(p, t, -1.4925595519506043e-05),
    p = MF_FMA(p, t, 0.00012055331122299266), p = MF_FMA(p, t, -0.0008548326981129666),
    p = MF_FMA(p, t, 0.005223977624823223), p = MF_FMA(p, t, -0.026866170645077334),
    p = MF_FMA(p, t, 0.11283791670954882), p = MF_FMA(p, t, -0.3761263890318375),
    p = MF_FMA(p, t, 1.1283791670955126);
    const double far = 1.0 - MF_ISA(erfc_positive)(a);
    return MF_SELECT(a < 1.0, x * p, copysign(far, x));
}

MF_INLINE MF_TARGET double MF_ISA(erf_dx)(double x) {
    return 1.1283791670955126 * MF_ISA(exp_square)(x, -1.0);
}

/* The distribution at -a, for a >= 0. */
MF_INLINE MF_TARGET double MF_ISA(lower_tail)(double a) {
    const double z = MF_ISA(erfcx_positive)(0.7071067811865476 * a);
    return 0.5 * z * MF_ISA(exp_square)(a, -0.5);
}

MF_INLINE MF_TARGET double MF_ISA(ndtr)(double x) {
    const double z = MF_ISA(lower_tail)(fabs(x));
    return MF_SELECT(x > 0.0, 1.0 - z, z);
}

/* The density: e**-(x*x/2) / sqrt(2 pi) */
MF_INLINE MF_TARGET double MF_ISA(ndtr_dx)(double x) {
    return 0.3989422804014327 * MF_ISA(exp_square)(x, -0.5);
}

/* Where x is negative -x*x/2 is taken out, so that nothing is 0 that has a logarithm; else
 * log(1 - tail) by W. Kahan's way, see vecmath.h. One logarithm for both. */
MF_INLINE MF_TARGET double MF_ISA(log_ndtr)(double x) {
    const double half = 0.5 * MF_ISA(erfcx_positive)(0.7071067811865476 * fabs(x));
    const double tail = half * MF_ISA(exp_square)(x, -0.5), u = x < 0.0 ? half : 1.0 - tail;
    const double l = log(u), upper = MF_SELECT(u == 1.0, -tail, l * (-tail / (u - 1.0)));
    return MF_SELECT(x < 0.0, l - 0.5 * x * x, upper);
}

/* density / distribution, e**-(x*x/2) out of both where x is negative: (1 + ..a) / p then */
MF_INLINE MF_TARGET double MF_ISA(log_ndtr_dx)(double x) {
    const double a = fabs(x), p = MF_ISA(erfcx_part)(0.7071067811865476 * a);
    const double lower = (0.7978845608028654 + 0.6366197723675814 * a) / p;
    const double e = 0.3989422804014327 * MF_ISA(exp_square)(x, -0.5);
    return MF_SELECT(x < 0.0, lower, e / (1.0 - e / lower));
}

#endif
