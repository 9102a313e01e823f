/* sin, cos, tan and their inverses for the lane loops, written as vecmath.h is and included after it,
 * once per instruction set. sin, cos and atan are S. Moshier's (Cephes), asin and acos FreeBSD's msun's
 * rational approximations. sin, cos and tan are for |x| < 1e6: replay_lanes.h sends larger ones to
 * libm. */
#ifndef MF_ISA /* compiled by itself */
#include "run/isa_portable.h"
#include "run/vecmath.h"
#endif

/* x = n pi/2 + r, for |x| < 1e6: Cody and Waite's reduction in four parts. The products with the first
 * three (33 bits each) are exact, with or without FMA, and what the sums round off is kept: near a
 * multiple of pi/2 only the last digits of x are left. Sets sin(r) and cos(r), returns n's low bits. */
MF_INLINE MF_TARGET uint64_t MF_ISA(vsin_cos)(double x, double *sine, double *cosine) {
    const double t = x * 0.6366197723675814 + MF_SHIFTER, n = t - MF_SHIFTER;
    const double first = x - n * 1.5707963267341256, w = n * 6.077100506303966e-11;
    const double second = first - w, b = second - first, v = n * 2.0222662487111665e-21;
    const double third = second - v, c3 = third - second;
    const double lost = (first - (second - b)) - (w + b) + ((second - (third - c3)) - (v + c3));
    const double rest = lost - n * 8.4784276603689e-32;
    const double r = third + rest, lo = (third - r) + rest, z = r * r, half = 0.5 * z;
    double s = MF_FMA(1.58962301576546568060e-10, z, -2.50507477628578072866e-8);
    double c = MF_FMA(-1.13585365213876817300e-11, z, 2.08757008419747316778e-9);
    s = MF_FMA(s, z, 2.75573136213857245213e-6), c = MF_FMA(c, z, -2.75573141792967388112e-7);
    s = MF_FMA(s, z, -1.98412698295895385996e-4), c = MF_FMA(c, z, 2.48015872888517045348e-5);
    s = MF_FMA(s, z, 8.33333333332211858878e-3), c = MF_FMA(c, z, -1.38888888888730564116e-3);
    s = MF_FMA(s, z, -1.66666666666666307295e-1), c = MF_FMA(c, z, 4.16666666666665929218e-2);
    *sine = r + MF_FMA(r * z, s, MF_FMA(-half, lo, lo));
    const double whole = 1.0 - half;
    *cosine = whole + (((1.0 - whole) - half) + MF_FMA(z * z, c, -(r * lo)));
    return mf_bits(t);
}

/* sin of x + quarter turns; the sign of zero is lost on the way */
MF_INLINE MF_TARGET double MF_ISA(vsin_turned)(double x, uint64_t quarter) {
    double s, c;
    const uint64_t k = MF_ISA(vsin_cos)(x, &s, &c) + quarter;
    const double turned = k & 1 ? c : s;
    return x - x != 0.0 ? NAN : (quarter == 0) & (x == 0.0) ? x : k & 2 ? -turned : turned;
}
MF_INLINE MF_TARGET double MF_ISA(vsin)(double x) { return MF_ISA(vsin_turned)(x, 0); }
MF_INLINE MF_TARGET double MF_ISA(vcos)(double x) { return MF_ISA(vsin_turned)(x, 1); }

MF_INLINE MF_TARGET double MF_ISA(vtan)(double x) {
    double s, c;
    const uint64_t is_odd = MF_ISA(vsin_cos)(x, &s, &c) & 1;
    const double z = MF_SELECT(is_odd, -c, s) / MF_SELECT(is_odd, s, c);
    return x - x != 0.0 ? NAN : x == 0.0 ? x : z;
}

/* (asin(v) - v) / v of v*v = z, for z <= 1/4 */
MF_INLINE MF_TARGET double MF_ISA(vasin_rest)(double z) {
    double p = MF_FMA(3.47933107596021167570e-5, z, 7.91534994289814532176e-4);
    double q = MF_FMA(7.70381505559019352791e-2, z, -6.88283971605453293030e-1);
    p = MF_FMA(p, z, -4.00555345006794114027e-2), q = MF_FMA(q, z, 2.02094576023350569471);
    p = MF_FMA(p, z, 2.01212532134862925881e-1), q = MF_FMA(q, z, -2.40339491173441421878);
    p = MF_FMA(p, z, -3.25565818622400915405e-1), q = MF_FMA(q, z, 1.0);
    return z * MF_FMA(p, z, 1.66666666666666657415e-1) / q;
}

/* asin(v) of |x| where that is at most 1/2; beyond, pi/2 - asin(|x|) = 2 asin(sqrt((1 - |x|) / 2)), in
 * two parts. */
MF_INLINE MF_TARGET double MF_ISA(vasin_part)(double a, double *rest) {
    const int is_far = a > 0.5;
    const double z = MF_SELECT(is_far, 0.5 - 0.5 * a, a * a), root = sqrt(z), square = root * root;
    const double off = (z - square) - MF_PRODUCT_ERROR(root, root, square); /* z - root*root */
    const double more = MF_SELECT(root > 0.0, off / root, 0.0);            /* of 2 root */
    const double v = MF_SELECT(is_far, 2.0 * root, a);
    *rest = MF_FMA(v, MF_ISA(vasin_rest)(z), MF_SELECT(is_far, more, 0.0));
    return v;
}

#define MF_HALF_PI 1.5707963267948966
#define MF_HALF_PI_REST 6.123233995736766e-17

/* pi/2 - (v + rest), where v <= pi/2 is not tiny beside it */
MF_INLINE MF_TARGET double MF_ISA(vfrom_half_pi)(double v, double rest) {
    const double z = MF_HALF_PI - v;
    return z + (((MF_HALF_PI - z) - v) + (MF_HALF_PI_REST - rest));
}

MF_INLINE MF_TARGET double MF_ISA(vasin)(double x) {
    double rest;
    const double a = fabs(x), v = MF_ISA(vasin_part)(a, &rest);
    return copysign(MF_SELECT(a > 0.5, MF_ISA(vfrom_half_pi)(v, rest), v + rest), x);
}

MF_INLINE MF_TARGET double MF_ISA(vacos)(double x) {
    double rest;
    const double a = fabs(x), v = MF_ISA(vasin_part)(a, &rest), z = v + rest;
    const double near = MF_ISA(vfrom_half_pi)(copysign(v, x), copysign(1.0, x) * rest);
    const double far = MF_SELECT(x < 0.0, 2.0 * MF_HALF_PI - (z - 2.0 * MF_HALF_PI_REST), z);
    return MF_SELECT(a > 0.5, far, near);
}

/* atan(u) - u of |u| <= 0.66 */
MF_INLINE MF_TARGET double MF_ISA(vatan_rest)(double u) {
    const double z = u * u;
    double p = MF_FMA(-8.750608600031904122785e-1, z, -1.615753718733365076637e1);
    double q = z + 2.485846490142306297962e1;
    p = MF_FMA(p, z, -7.500855792314704667340e1), q = MF_FMA(q, z, 1.650270098316988542046e2);
    p = MF_FMA(p, z, -1.228866684490136173410e2), q = MF_FMA(q, z, 4.328810604912902668951e2);
    p = MF_FMA(p, z, -6.485021904942025371773e1), q = MF_FMA(q, z, 4.853903996359136964868e2);
    return u * (z * p / MF_FMA(q, z, 1.945506571482613964425e2));
}

MF_INLINE MF_TARGET double MF_ISA(vatan)(double x) {
    const double a = fabs(x), tan_3_pi_8 = 2.414213562373095;
    const int is_far = a > tan_3_pi_8, is_middle = (a > 0.66) & !is_far;
    const double up = MF_SELECT(is_far, -1.0, MF_SELECT(is_middle, a - 1.0, a));
    const double down = MF_SELECT(is_far, a, MF_SELECT(is_middle, a + 1.0, 1.0));
    const double u = up / down, base = is_far ? MF_HALF_PI : is_middle ? 0.5 * MF_HALF_PI : 0.0;
    const double base_rest = is_far ? MF_HALF_PI_REST : is_middle ? 0.5 * MF_HALF_PI_REST : 0.0;
    return copysign(base + (u + (MF_ISA(vatan_rest)(u) + base_rest)), x);
}

/* By the smaller one over the larger one; scaled where a sum of them could overflow or 0.66 of one has
 * no digits. */
MF_INLINE MF_TARGET double MF_ISA(vatan2)(double y, double x) {
    const double a = fabs(y), b = fabs(x);
    const double raised = MF_SELECT((a < 1e-290) & (b < 1e-290), 0x1p200, 1.0);
    const double scale = MF_SELECT((a > 1e300) | (b > 1e300), 0x1p-8, raised);
    const int is_steep = a > b, are_infinite = (a == INFINITY) & (b == INFINITY);
    const double large = MF_SELECT(are_infinite, 1.0, scale * MF_SELECT(is_steep, a, b));
    const double small = MF_SELECT(are_infinite, 1.0, scale * MF_SELECT(is_steep, b, a));
    const int is_middle = small > 0.66 * large;
    const double up = MF_SELECT(is_middle, small - large, small);
    const double down = MF_SELECT(is_middle, small + large, large);
    const double u = MF_SELECT(large == 0.0, 0.0, up / down);
    const double base = is_middle ? 0.5 * MF_HALF_PI : 0.0;
    const double base_rest = is_middle ? 0.5 * MF_HALF_PI_REST : 0.0;
    const double rest = MF_ISA(vatan_rest)(u) + base_rest;
    const double low = base + (u + rest); /* of the angle to the nearer axis */
    const double steep = (MF_HALF_PI - base) - (u + (rest - MF_HALF_PI_REST));
    const double angle = MF_SELECT(is_steep, steep, low);
    const int is_left = (int)(mf_bits(x) >> 63);
    const double left = MF_SELECT(is_steep, (MF_HALF_PI + base) + (u + (rest + MF_HALF_PI_REST)),
                                  (2.0 * MF_HALF_PI - base) - (u + (rest - 2.0 * MF_HALF_PI_REST)));
    const double z = copysign(MF_SELECT(is_left, left, angle), y);
    return MF_SELECT((x != x) | (y != y), NAN, z);
}
