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
