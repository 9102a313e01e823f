"""The texts of src/ops.h as Python: what a row's value and partials are, computed from the text."""

import re

import numpy as np
from references import REFERENCES


def _with_any_operands(slope):
    """The rows give a slope those operands alone that it needs."""
    n = slope.__code__.co_argcount
    return lambda *operands: slope(*operands[:n], *[None] * (n - len(operands)))


# What the rows call: C's functions, and those of base/eval.h by what they stand for.
FUNCTIONS = {name: op.numpy for name, op in REFERENCES.items()}
FUNCTIONS |= {"fabs": np.abs, "pow": np.power, "nearbyint": np.rint}
for _name, _op in REFERENCES.items():
    FUNCTIONS[f"mf_{_name}"] = _op.numpy
    FUNCTIONS[f"mf_{_name}_dx"] = _with_any_operands(_op.slopes[0])
POWER = REFERENCES["vpow"].slopes
FUNCTIONS |= {"mf_pow_dx": lambda x, y: POWER[0](x, y, None), "mf_pow_dy": POWER[1]}
FUNCTIONS["mf_reached_dy"] = lambda x, y: REFERENCES["reached"].slopes[1](x, y, None)


def evaluated(text, x, y, z):
    """The number that the C expression is, by Python's floats."""
    names = {name: _of_floats(function) for name, function in FUNCTIONS.items()}
    names |= {"x": x, "y": y, "z": z, "double": float}
    return eval(translated(text), {"__builtins__": {}}, names)


def _of_floats(function):
    return lambda *numbers: float(function(*map(np.float64, numbers)))


def translated(text):
    """The C expression in Python's words. Of what C has and Python has not, rows use conditional
    expressions, casts to double, && || and !."""
    parts, rest = "", text.replace("(double)", "double")
    while "(" in rest:
        before, _, rest = rest.partition("(")
        inside, rest = _until_closed(rest)
        arguments = ", ".join(translated(a) for a in _split(inside, ","))
        parts += f"{before}({arguments})"
    return _conditional(parts + rest)


def _conditional(text):
    condition, *arms = _split(text, "?", 1)
    if not arms:
        words = re.sub(r"!(?!=)", " not ", condition)
        return words.replace("&&", " and ").replace("||", " or ").strip()
    then, otherwise = _split(arms[0], ":", 1)
    return f"({_conditional(then)} if {_conditional(condition)} else {_conditional(otherwise)})"


def _until_closed(text):
    """What stands before the parenthesis that closes, and what after it."""
    depth = 1
    for k, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[:k], text[k + 1 :]
    raise ValueError(f"a parenthesis is not closed in {text!r}")


def _split(text, separator, times=-1):
    """text.split(separator, times), but not within parentheses."""
    parts, depth, start = [], 0, 0
    for k, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == separator and depth == 0 and len(parts) != times:
            parts.append(text[start:k])
            start = k + 1
    return [*parts, text[start:]]
