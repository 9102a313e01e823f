"""Formulas of many functions in scalar code; `m` has the functions, by the names of math."""

FUNCTIONS = (
    *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh"),
    *("acosh", "atanh", "exp", "expm1", "log", "log1p", "sqrt", "erf", "hypot"),
)


def call_price(option, m):
    """Black and Scholes' price of a European call, by the true normal distribution."""
    spot, strike, years, rate, volatility = option
    width = volatility * m.sqrt(years)
    d = (m.log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / width
    return spot * m.ndtr(d) - strike * m.exp(-rate * years) * m.ndtr(d - width)


def of_all(x, y, m):
    """All FUNCTIONS once, of x and y between 0.1 and 0.9."""
    angles = m.sin(x) * m.cos(y) + m.tan(0.5 * x) * m.atan2(x, y)
    back = m.asin(x) * m.acos(y) - m.atan(x + y)
    hyperbolic = m.sinh(x) * m.cosh(y) - m.tanh(x * y)
    areas = m.asinh(x) + m.acosh(y + 1.5) * m.atanh(0.5 * x)
    powers = m.exp(-x) * m.expm1(y) + m.log(x + y) - m.log1p(x) * m.sqrt(y)
    return angles * back + hyperbolic * areas + powers * m.erf(x - y) + m.hypot(x, y)
