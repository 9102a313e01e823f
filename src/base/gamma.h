/* The logarithm of the gamma function is libm's; its derivatives are these. One number at a time:
 * compiled functions call them lane by lane. */
#ifndef MF_GAMMA_H
#define MF_GAMMA_H

#include <math.h>

#include "base/hints.h"

enum { MF_LARGEST_ORDER = 170 }; /* of a polygamma function: 171! is no double */

/* factor * a**-s, by halves: the power alone may be too small for a number. */
static inline double mf_scaled_term(double factor, double a, double s) {
    const double half = s == 2.0 ? 1.0 / a : pow(a, -0.5 * s);
    return factor * half * half;
}

/* factor times Hurwitz's zeta(s, q), the sum of (q + k)**-s over k >= 0, for s >= 2 and q > 0: terms,
 * and the rest by Euler and Maclaurin's formula, whose terms fall as long as a is not small beside s. */
static inline double mf_hurwitz_zeta(double factor, double s, double q) {
    /* B(2j) / (2j)! */
    static const double bernoulli[] = {
        8.333333333333333e-2, -1.388888888888889e-3, 3.306878306878307e-5, -8.267195767195767e-7,
        2.08767569878681e-8,  -5.284190138687493e-10, 1.3382536530684679e-11,
        -3.3896802963225827e-13, 8.586062056277845e-15, -2.174868698558062e-16};
    double a = q, sum = 0.0;
    for (; a < 10.0 + s; a += 1.0) {
        const double term = mf_scaled_term(factor, a, s);
        sum += term;
        if (fabs(term) < 1e-17 * fabs(sum)) return sum;
    }
    const double p = mf_scaled_term(factor, a, s);
    const double pa = s == 2.0 ? factor / a : p * a; /* a number where p is too small */
    double rest = pa / (s - 1.0) + 0.5 * p, share = s * p / a;
    for (int j = 0; j < 10; j++) {
        rest += bernoulli[j] * share;
        share *= (s + 2 * j + 1) * (s + 2 * j + 2) / (a * a);
    }
    return sum + rest;
}

/* n! of a whole number up to 170. */
static inline double mf_factorial(double n) {
    double product = 1.0;
    for (double k = 2.0; k <= n; k += 1.0) product *= k;
    return product;
}

/* Whether gamma has a pole at x. */
static inline int mf_is_gamma_pole(double x) {
    return x <= 0.0 && x == floor(x) && !isinf(x);
}

/* digamma on [1, 2] about its zero, which three numbers add up to: John Maddock's rational
 * approximation (Boost). */
static inline double mf_digamma_near_root(double x) {
    const double g = x - 1569415565.0 / 1073741824.0 - (381566830.0 / 1073741824.0) / 1073741824.0 -
                     0.9016312093258695918615325266959189453125e-19;
    const double t = x - 1.0;
    const double p =
        0.25479851061131551 +
        t * (-0.32555031186804491 +
             t * (-0.65031853770896507 +
                  t * (-0.28919126444774784 +
                       t * (-0.045251321448739056 + t * -0.0020713321167745952))));
    const double q =
        1.0 + t * (2.0767117023730469 +
                   t * (1.4606242909763515 +
                        t * (0.43593529692665969 +
                             t * (0.054151797245674225 +
                                  t * (0.0021284987017821144 + t * -0.55789841321675513e-6)))));
    return g * 0.99558162689208984375 + g * (p / q);
}

/* The derivative of lgamma: Bernardo's asymptotic series from 10 on, the recurrence below, the
 * reflection formula where x is negative. */
static MF_APART double mf_digamma(double x) {
    const double pi = 3.141592653589793;
    double sum = 0.0;
    if (x == 0.0) return -1.0 / x;
    if (mf_is_gamma_pole(x) || x != x || x == -INFINITY) return NAN;
    if (x < 0.0) {
        const double below = x - floor(x), above = ceil(x) - x; /* pi/tan has the period 1 */
        sum = -pi / tan(pi * (below < above ? below : -above));
        x = 1.0 - x;
    }
    for (; x > 2.0 && x < 10.0; x -= 1.0) sum += 1.0 / (x - 1.0);
    for (; x < 1.0; x += 1.0) sum -= 1.0 / x;
    if (x <= 2.0) return sum + mf_digamma_near_root(x);
    const double w = 1.0 / (x * x);
    const double series =
        w * (8.333333333333333e-2 -
             w * (8.333333333333333e-3 -
                  w * (3.968253968253968e-3 -
                       w * (4.1666666666666667e-3 -
                            w * (7.575757575757576e-3 -
                                 w * (2.1092796092796094e-2 - w * 8.333333333333333e-2))))));
    return isinf(x) ? x : sum + (log(x) - 0.5 / x - series);
}

/* Its derivative of order n: (-1)**(n+1) n! zeta(n + 1, x), where x is negative by the sum over all of
 * ... x-1, x, x+1 ... less those below x. nan where n is no order. */
static MF_APART double mf_polygamma(double x, double n) {
    const double s = n + 1.0;
    if (n == 0.0) return mf_digamma(x);
    if (!(n >= 0.0 && n <= MF_LARGEST_ORDER && n == floor(n)) || x != x || x == -INFINITY) return NAN;
    const double sign = fmod(n, 2.0) == 1.0 ? 1.0 : -1.0; /* (-1)**s too */
    if (mf_is_gamma_pole(x)) return sign > 0.0 ? INFINITY : NAN;
    const double factor = sign * mf_factorial(n);
    if (x > 0.0) return isinf(x) ? 0.0 * factor : mf_hurwitz_zeta(factor, s, x);
    return mf_hurwitz_zeta(factor, s, x - floor(x)) +
           sign * (mf_hurwitz_zeta(factor, s, ceil(x) - x) - mf_hurwitz_zeta(factor, s, 1.0 - x));
}

#endif
