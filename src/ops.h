/* THE op table: one row per op, and the only list of ops there is. No include guard: a file
 * defines OP, includes this and gets one expansion per row (eval.h has the scalar ones).
 *
 *   code      MF_<code> in the enum          kind   MF_UNARY  z from operand x
 *   name      Python method or operator             MF_BINARY z from operands x and y
 *   label     micrograd's _op text                  MF_PARAM  y is a number kept with the node
 *   z, dz/dx, dz/dy  expressions in x, y, z and nothing else; backward adds partial * g
 *   fails     forward:  which error Python's floats would raise for x, y, z (0: none)
 *   bfails    backward: the same, for the partials
 *   partials  MF_FINITE: finite whatever the numbers are, inf and nan included. MF_CHOICE: finite, and
 *             one of 0 says that the operand was not chosen. MF_ANY: neither
 *   libm      beyond which |x| the kernels of vecmath.h leave the op to libm; INFINITY: nowhere
 *   lo, hi    a domain of x and y on which the op is smooth: what the tests draw from
 *   doc       the docstring of Value's method; "" where Python has an operator for the op
 *   rules     for each partial how it is built of ops, so that it can be differentiated again: an
 *             expression of Python's grammar over x, y, z, numbers and the names of ops; "": as the
 *             partial itself says it, where that calls nothing but ops
 *
 * MF_POW_RULE is that of powers by x. At x = y = 0, where backward gives 0, x is taken for 1: there
 * alone, so that the derivatives of the rule are right beside it.
 *
 * PROGRAM_OP rows are what passes.h restores in compiled functions; the eager engine builds
 * them from the other rows. SLOPE adds nothing to a sum but the derivative y by x: what a custom op
 * with a rule is made of there. The order of rows means nothing. docs/add-an-op.md says what an op
 * needs beside its row.
 */
#define MF_POW_RULE                                           \
    "y * (x + (1.0 - compare(x, 0.0) * compare(x, 0.0)) * "   \
    "(1.0 - compare(y, 0.0) * compare(y, 0.0)))**(y - 1.0)"
/* code, name, label, kind, z, dz/dx, dz/dy, fails, bfails, partials, libm, lo, hi, doc, rules */
OP(ADD, "add", "+", MF_BINARY, x + y, 1.0, 1.0,
   0, 0, MF_FINITE, INFINITY, -2.0, 2.0, "", "", "")
OP(MUL, "mul", "*", MF_BINARY, x * y, y, x,
   0, 0, MF_ANY, INFINITY, -2.0, 2.0, "", "", "")
OP(POW, "pow", "**", MF_PARAM, mf_pow(x, y), mf_pow_dx(x, y), 0.0,
   mf_pow_fails(x, y, z), mf_pow_dx_fails(x, y), MF_ANY, INFINITY, 0.3, 2.5, "",
   MF_POW_RULE, "")
OP(VPOW, "vpow", "**", MF_BINARY, pow(x, y), mf_pow_dx(x, y), mf_pow_dy(x, y, z),
   mf_pow_fails(x, y, z), mf_pow_dx_fails(x, y), MF_ANY, INFINITY, 0.3, 2.5, "",
   MF_POW_RULE,
   "z * log(x + (1.0 - compare(x, 0.0) * compare(x, 0.0)))")
OP(EXP, "exp", "exp", MF_UNARY, exp(x), z, 0.0,
   mf_overflows(x, z), 0, MF_ANY, INFINITY, -2.0, 2.0,
   "e**x. Raises OverflowError beyond float64.", "", "")
OP(LOG, "log", "log", MF_UNARY, log(x), 1.0 / x, 0.0,
   x <= 0.0 ? MF_DOMAIN : 0, x == 0.0 ? MF_ZERODIV : 0, MF_ANY, INFINITY, 0.1, 9.0,
   "The natural logarithm. Raises ValueError for x <= 0.", "", "")
OP(LOG1P, "log1p", "log1p", MF_UNARY, log1p(x), 1.0 / (1.0 + x), 0.0,
   x <= -1.0 ? MF_DOMAIN : 0, x == -1.0 ? MF_ZERODIV : 0, MF_ANY, INFINITY, -0.5, 9.0,
   "log(1 + x), exact for small x too. Raises ValueError for x <= -1.", "", "")
OP(SQRT, "sqrt", "sqrt", MF_UNARY, sqrt(x), 0.5 / z, 0.0,
   x < 0.0 ? MF_DOMAIN : 0, z == 0.0 ? MF_ZERODIV : 0, MF_ANY, INFINITY, 0.1, 9.0,
   "The square root. Raises ValueError for x < 0; its derivative at 0 ZeroDivisionError.", "", "")
OP(TANH, "tanh", "tanh", MF_UNARY, tanh(x), mf_tanh_dx(x, z), 0.0,
   0, 0, MF_ANY, INFINITY, -2.0, 2.0,
   "The hyperbolic tangent.", "4.0 * (sigmoid(2.0 * x) * sigmoid(-2.0 * x))", "")
OP(SIGMOID, "sigmoid", "sigmoid", MF_UNARY, mf_sigmoid(x), mf_sigmoid_dx(x, z), 0.0,
   0, 0, MF_ANY, INFINITY, -4.0, 4.0,
   "1 / (1 + e**-x), without overflow for any x.", "z * sigmoid(-x)", "")
OP(RELU, "relu", "ReLU", MF_UNARY, x < 0.0 ? 0.0 : x, (double)(z > 0.0), 0.0,
   0, 0, MF_CHOICE, INFINITY, 0.1, 2.0,
   "max(0, x); its derivative at 0 is 0.", "compare(z, 0.0)", "")
OP(SIN, "sin", "sin", MF_UNARY, sin(x), cos(x), 0.0,
   isinf(x) ? MF_DOMAIN : 0, 0, MF_ANY, 1e6, -3.0, 3.0,
   "The sine of x radians. Raises ValueError for inf.", "", "")
OP(COS, "cos", "cos", MF_UNARY, cos(x), -sin(x), 0.0,
   isinf(x) ? MF_DOMAIN : 0, 0, MF_ANY, 1e6, -3.0, 3.0,
   "The cosine of x radians. Raises ValueError for inf.", "", "")
OP(TAN, "tan", "tan", MF_UNARY, tan(x), 1.0 + z * z, 0.0,
   isinf(x) ? MF_DOMAIN : 0, 0, MF_ANY, 1e6, -1.2, 1.2,
   "The tangent of x radians. Raises ValueError for inf.", "", "")
OP(ASIN, "asin", "asin", MF_UNARY, asin(x), 1.0 / sqrt((1.0 - x) * (1.0 + x)), 0.0,
   fabs(x) > 1.0 ? MF_DOMAIN : 0, mf_inside_fails(x, -1.0, 1.0), MF_ANY, INFINITY, -0.8, 0.8,
   "The arc sine in radians. Raises ValueError outside [-1, 1].", "", "")
OP(ACOS, "acos", "acos", MF_UNARY, acos(x), -1.0 / sqrt((1.0 - x) * (1.0 + x)), 0.0,
   fabs(x) > 1.0 ? MF_DOMAIN : 0, mf_inside_fails(x, -1.0, 1.0), MF_ANY, INFINITY, -0.8, 0.8,
   "The arc cosine in radians. Raises ValueError outside [-1, 1].", "", "")
OP(ATAN, "atan", "atan", MF_UNARY, atan(x), mf_atan_dx(x), 0.0,
   0, 0, MF_ANY, INFINITY, -3.0, 3.0,
   "The arc tangent in radians.", "1.0 / (1.0 + x * x)", "")
OP(ATAN2, "atan2", "atan2", MF_BINARY, atan2(x, y), mf_atan2_dx(x, y), -mf_atan2_dx(y, x),
   0, x == 0.0 && y == 0.0 ? MF_ZERODIV : 0, MF_ANY, INFINITY, 0.3, 2.5,
   "The angle of the point (other, self), in radians: atan(self / other) in its quadrant.",
   "y / hypot(x, y) / hypot(x, y)", "-x / hypot(x, y) / hypot(x, y)")
OP(SINH, "sinh", "sinh", MF_UNARY, sinh(x), cosh(x), 0.0,
   mf_overflows(x, z), 0, MF_ANY, INFINITY, -2.0, 2.0,
   "The hyperbolic sine. Raises OverflowError beyond float64.", "", "")
OP(COSH, "cosh", "cosh", MF_UNARY, cosh(x), sinh(x), 0.0,
   mf_overflows(x, z), 0, MF_ANY, INFINITY, -2.0, 2.0,
   "The hyperbolic cosine. Raises OverflowError beyond float64.", "", "")
OP(ASINH, "asinh", "asinh", MF_UNARY, asinh(x), 1.0 / hypot(x, 1.0), 0.0,
   0, 0, MF_ANY, INFINITY, -3.0, 3.0,
   "The inverse of sinh.", "", "")
OP(ACOSH, "acosh", "acosh", MF_UNARY, acosh(x), 1.0 / (sqrt(x - 1.0) * sqrt(x + 1.0)), 0.0,
   x < 1.0 ? MF_DOMAIN : 0, mf_inside_fails(x, 1.0, NAN), MF_ANY, INFINITY, 1.5, 9.0,
   "The inverse of cosh, not negative. Raises ValueError for x < 1.", "", "")
OP(ATANH, "atanh", "atanh", MF_UNARY, atanh(x), 1.0 / ((1.0 - x) * (1.0 + x)), 0.0,
   fabs(x) >= 1.0 ? MF_DOMAIN : 0, mf_inside_fails(x, -1.0, 1.0), MF_ANY, INFINITY, -0.8, 0.8,
   "The inverse of tanh. Raises ValueError outside (-1, 1).", "", "")
OP(EXPM1, "expm1", "expm1", MF_UNARY, expm1(x), exp(x), 0.0,
   mf_overflows(x, z), 0, MF_ANY, INFINITY, -2.0, 2.0,
   "e**x - 1, exact for small x too. Raises OverflowError beyond float64.", "", "")
OP(EXP2, "exp2", "exp2", MF_UNARY, exp2(x), 0.6931471805599453 * z, 0.0,
   mf_overflows(x, z), 0, MF_ANY, INFINITY, -2.0, 2.0,
   "2**x. Raises OverflowError beyond float64.", "", "")
OP(LOG2, "log2", "log2", MF_UNARY, log2(x), 1.4426950408889634 / x, 0.0,
   x <= 0.0 ? MF_DOMAIN : 0, x == 0.0 ? MF_ZERODIV : 0, MF_ANY, INFINITY, 0.1, 9.0,
   "The logarithm to the base 2. Raises ValueError for x <= 0.", "", "")
OP(LOG10, "log10", "log10", MF_UNARY, log10(x), 0.4342944819032518 / x, 0.0,
   x <= 0.0 ? MF_DOMAIN : 0, x == 0.0 ? MF_ZERODIV : 0, MF_ANY, INFINITY, 0.1, 9.0,
   "The logarithm to the base 10. Raises ValueError for x <= 0.", "", "")
OP(CBRT, "cbrt", "cbrt", MF_UNARY, mf_cbrt(x), 1.0 / (3.0 * z * z), 0.0,
   0, z == 0.0 ? MF_ZERODIV : 0, MF_ANY, INFINITY, 0.1, 9.0,
   "The cube root; its derivative at 0 raises ZeroDivisionError.", "", "")
OP(HYPOT, "hypot", "hypot", MF_BINARY, hypot(x, y), mf_hypot_dx(x, y), mf_hypot_dx(y, x),
   0, 0, MF_ANY, INFINITY, 0.3, 2.5,
   "sqrt(self**2 + other**2), without overflow on the way; its derivative at (0, 0) is 0.",
   "x * ((1.0 - equal(z, 0.0)) / (z + equal(z, 0.0)))",
   "y * ((1.0 - equal(z, 0.0)) / (z + equal(z, 0.0)))")
OP(ERF, "erf", "erf", MF_UNARY, erf(x), mf_erf_dx(x), 0.0,
   0, 0, MF_ANY, INFINITY, -2.0, 2.0,
   "The error function.", "1.1283791670955126 * exp(-(x * x))", "")
OP(ERFC, "erfc", "erfc", MF_UNARY, erfc(x), -mf_erf_dx(x), 0.0,
   0, 0, MF_ANY, INFINITY, -2.0, 2.0,
   "1 - erf(x), with all its digits where that is small.", "-1.1283791670955126 * exp(-(x * x))", "")
OP(ERFCX, "erfcx", "erfcx", MF_UNARY, mf_erfcx(x), mf_erfcx_dx(x, z), 0.0,
   mf_overflows(x, z), 0, MF_ANY, INFINITY, -2.0, 2.0,
   "e**(x*x) * erfc(x). Raises OverflowError beyond float64.",
   "2.0 * x * z - 1.1283791670955126", "")
OP(NDTR, "ndtr", "ndtr", MF_UNARY, mf_ndtr(x), mf_ndtr_dx(x), 0.0,
   0, 0, MF_ANY, INFINITY, -2.0, 2.0,
   "The normal distribution: how likely a standard normal number is at most x.",
   "0.3989422804014327 * exp(-0.5 * (x * x))", "")
OP(LOG_NDTR, "log_ndtr", "log_ndtr", MF_UNARY, mf_log_ndtr(x), mf_log_ndtr_dx(x), 0.0,
   mf_overflows(x, z), 0, MF_ANY, INFINITY, -2.0, 2.0,
   "log(ndtr(x)), where ndtr(x) is nearly 0 or 1 too. Raises OverflowError beyond float64.",
   "reached(0.7978845608028654 / erfcx(-0.7071067811865476 * x), less(x, 0.0)) + "
   "reached(0.3989422804014327 * exp(-0.5 * (x * x) - z), 1.0 - less(x, 0.0))", "")
OP(LGAMMA, "lgamma", "lgamma", MF_UNARY, lgamma(x), mf_digamma(x), 0.0,
   mf_gamma_fails(x, z), mf_gamma_fails(x, mf_digamma(x)), MF_ANY, INFINITY, 2.2, 9.0,
   "log(abs(gamma(x))). Raises ValueError for 0, -1, -2 ..., OverflowError beyond float64.",
   "", "")
OP(DIGAMMA, "digamma", "digamma", MF_UNARY, mf_digamma(x), mf_polygamma(x, 1.0), 0.0,
   mf_gamma_fails(x, z), mf_polygamma_fails(x, 1.0, mf_polygamma(x, 1.0)), MF_ANY, INFINITY, 2.2, 9.0,
   "The derivative of lgamma. Raises ValueError for 0, -1, -2 ...", "", "")
OP(POLYGAMMA, "polygamma", "polygamma", MF_BINARY, mf_polygamma(x, y), mf_polygamma(x, y + 1.0), 0.0,
   mf_polygamma_fails(x, y, z), mf_polygamma_fails(x, y + 1.0, mf_polygamma(x, y + 1.0)),
   MF_ANY, INFINITY, 2.2, 9.0,
   "digamma's derivative of order other, a whole number to 170, by which it has none: 0.",
   "", "")
OP(SOFTPLUS, "softplus", "softplus", MF_UNARY,
   (x > 0.0 ? x : 0.0) + log1p(exp(-fabs(x))), mf_sigmoid(x), 0.0,
   0, 0, MF_ANY, INFINITY, -4.0, 4.0,
   "log(1 + e**x), without overflow for any x.", "", "")
OP(LOGADDEXP, "logaddexp", "logaddexp", MF_BINARY,
   mf_maximum(x, y) + (x == y ? 0.6931471805599453 : log1p(exp(-fabs(x - y)))),
   mf_logaddexp_dx(x, y), mf_logaddexp_dx(y, x),
   0, 0, MF_ANY, INFINITY, -2.0, 2.0,
   "log(e**self + e**other), without overflow.", "sigmoid(x - y)", "sigmoid(y - x)")
OP(XLOGY, "xlogy", "xlogy", MF_BINARY, x == 0.0 ? (y == y ? 0.0 : y) : x * log(y),
   x == 0.0 && y <= 0.0 ? 0.0 : log(y), x == 0.0 ? (y == y ? 0.0 : y) : x / y,
   x != 0.0 && y <= 0.0 ? MF_DOMAIN : 0,
   x == 0.0 || y > 0.0 || y != y ? 0 : y == 0.0 ? MF_ZERODIV : MF_DOMAIN, MF_ANY, INFINITY, 0.3, 2.5,
   "self * log(other), 0 where self is 0. Raises ValueError for other <= 0 elsewhere.",
   "log(y + equal(x, 0.0) * less_equal(y, 0.0) * (1.0 - y))", "reached(1.0 / y, x)")
OP(ABS, "abs", "abs", MF_UNARY, fabs(x), (double)((x > 0.0) - (x < 0.0)), 0.0,
   0, 0, MF_FINITE, INFINITY, 0.1, 2.0,
   "The absolute value; its derivative at 0 is 0.", "compare(x, 0.0)", "")
OP(MAXIMUM, "maximum", "max", MF_BINARY,
   mf_maximum(x, y), x < y ? 0.0 : x == y ? 0.5 : 1.0, y < x ? 0.0 : x == y ? 0.5 : 1.0,
   0, 0, MF_CHOICE, INFINITY, -2.0, 2.0,
   "The larger of two, nan if either is nan; equal operands share the gradient evenly.",
   "0.5 + 0.5 * compare(x, y)", "0.5 - 0.5 * compare(x, y)")
OP(MINIMUM, "minimum", "min", MF_BINARY,
   mf_minimum(x, y), x > y ? 0.0 : x == y ? 0.5 : 1.0, y > x ? 0.0 : x == y ? 0.5 : 1.0,
   0, 0, MF_CHOICE, INFINITY, -2.0, 2.0,
   "The smaller of two, nan if either is nan; equal operands share the gradient evenly.",
   "0.5 - 0.5 * compare(x, y)", "0.5 + 0.5 * compare(x, y)")
OP(COMPARE, "compare", "compare", MF_BINARY, x == y ? 0.0 : x > y ? 1.0 : x < y ? -1.0 : x - y, 0.0, 0.0,
   0, 0, MF_CHOICE, INFINITY, -2.0, 2.0,
   "1 if self is larger, -1 if smaller, 0 where equal, nan with nan; its derivative is 0.",
   "", "")
OP(LESS, "less", "<", MF_BINARY, (double)(x < y), 0.0, 0.0,
   0, 0, MF_CHOICE, INFINITY, -2.0, 2.0,
   "1 where self < other, else 0, with nan too; its derivative is 0.", "", "")
OP(LESS_EQUAL, "less_equal", "<=", MF_BINARY, (double)(x <= y), 0.0, 0.0,
   0, 0, MF_CHOICE, INFINITY, -2.0, 2.0,
   "1 where self <= other, else 0, with nan too; its derivative is 0.", "", "")
OP(EQUAL, "equal", "==", MF_BINARY, (double)(x == y), 0.0, 0.0,
   0, 0, MF_CHOICE, INFINITY, -2.0, 2.0,
   "1 where self == other as numbers, else 0; its derivative is 0.", "", "")
OP(FLOOR, "floor", "floor", MF_UNARY, floor(x), 0.0, 0.0,
   0, 0, MF_FINITE, INFINITY, 0.1, 0.9,
   "The largest whole number that is not above x; its derivative is 0.", "", "")
OP(CEIL, "ceil", "ceil", MF_UNARY, ceil(x), 0.0, 0.0,
   0, 0, MF_FINITE, INFINITY, 0.1, 0.9,
   "The smallest whole number that is not below x; its derivative is 0.", "", "")
OP(RINT, "rint", "rint", MF_UNARY, nearbyint(x), 0.0, 0.0,
   0, 0, MF_FINITE, INFINITY, -0.4, 0.4,
   "The nearest whole number, of two the even one; its derivative is 0.", "", "")
OP(REACHED, "reached", "reached", MF_BINARY, y == 0.0 ? 0.0 : x * y, y, mf_reached_dy(x, y),
   0, 0, MF_ANY, INFINITY, -2.0, 2.0,
   "x * y, and 0 where y is 0, whatever x is: what backward() adds for a partial x.",
   "", "reached(x, 1.0 - equal(y, 0.0) * (1.0 - equal(x - x, 0.0)))")
PROGRAM_OP(SUB, "sub", "-", MF_BINARY, x - y, 1.0, -1.0,
   0, 0, MF_FINITE, INFINITY, -2.0, 2.0, "", "", "")
PROGRAM_OP(DIV, "div", "/", MF_BINARY, x / y, 1.0 / y, -z / y,
   0, 0, MF_ANY, INFINITY, 0.3, 2.5, "", "", "")
PROGRAM_OP(NEG, "neg", "neg", MF_UNARY, -x, -1.0, 0.0,
   0, 0, MF_FINITE, INFINITY, -2.0, 2.0, "", "", "")
PROGRAM_OP(SQUARE, "square", "square", MF_UNARY, x * x, 2.0 * x, 0.0,
   0, 0, MF_ANY, INFINITY, -2.0, 2.0, "", "", "")
PROGRAM_OP(SLOPE, "slope", "slope", MF_BINARY, mf_nothing(x, y), y, 0.0,
   0, 0, MF_ANY, INFINITY, -2.0, 2.0, "", "", "")
#undef MF_POW_RULE
