"""Random programs over the ops that micrograd has, as plain data, and their interpreter.

A program is leaves (floats), steps and roots. `run` builds it with either engine's Value class;
`graph_of` describes the graph that came out such that two engines' descriptions can be compared
with `==`; `backward_bounds` says how far apart two right gradients may lie.
"""

import math
import operator
import struct
from typing import NamedTuple

from hypothesis import strategies as st


class Ref(NamedTuple):
    """The value made `back` values ago, counted round and round; 0 is the latest."""

    back: int

    def of(self, values):
        return values[-1 - self.back % len(values)]


class Step(NamedTuple):
    """One value more: `op` over Refs and plain numbers, fed back into itself `times` times."""

    op: str
    args: tuple
    times: int = 1


class Program(NamedTuple):
    leaves: tuple
    steps: tuple
    roots: tuple = (Ref(0),)


class Run(NamedTuple):
    """The leaves and one value a step, up to the step that failed: (its number, error type)."""

    values: list
    failure: tuple | None


OPERATIONS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "neg": operator.neg,
    "relu": lambda v: v.relu(),
    "sum": lambda *values: sum(values),
}


def run(program, Value):
    """Build the program's graph. Intermediate values within a step are dropped at once."""
    values = [Value(x) for x in program.leaves]
    for number, step in enumerate(program.steps):
        try:
            values.append(_apply(step, values))
        except (ArithmeticError, ValueError) as error:
            return Run(values, (number, type(error)))
    return Run(values, None)


def _apply(step, values):
    args = [arg.of(values) if isinstance(arg, Ref) else arg for arg in step.args]
    fed_back = next(i for i, arg in enumerate(step.args) if isinstance(arg, Ref))
    for _ in range(step.times):
        args[fed_back] = _as_float64(OPERATIONS[step.op](*args))
    return args[fed_back]


def _as_float64(value):
    """The two named differences: micrograd's data may turn complex, and int after ReLU."""
    if isinstance(value.data, complex):
        raise ValueError("a power with a complex result")
    if type(value.data) is int:
        value.data = float(value.data)
    return value


def bits(x):
    """The 64 bits of a number, all NaNs alike: their sign and payload mean nothing."""
    return b"nan" if x != x else struct.pack("<d", x)


def reachable(values):
    """Every node below the values, children first, by an iterative walk."""
    order, seen, stack = [], set(), [(v, False) for v in reversed(values)]
    while stack:
        v, done = stack.pop()
        if done:
            order.append(v)
        elif v not in seen:
            seen.add(v)
            stack.append((v, True))
            stack.extend((child, False) for child in v._prev)
    return order


def graph_of(values):
    """The graph as comparable data: the number of nodes, then op, data and children of each value.

    A child that is one of the values appears as its number, so sharing must be the same; any other
    child was made inside one step, is used there only, and appears as its own description.
    """
    numbers = {v: i for i, v in enumerate(values)}
    nodes = reachable(values)
    assert len(numbers) == len(values), "two steps gave one object"
    described = {}
    for v in nodes:
        children = sorted(("#", numbers[c]) if c in numbers else described[c] for c in v._prev)
        described[v] = (v._op, bits(v.data), tuple(children))
    return len(nodes), [described[v] for v in values]


def _partials(v):
    """(child, partial derivative) of a node that micrograd built, with micrograd's formulas."""
    children = list(v._prev)
    if v._op == "+":
        return [(c, 2.0 / len(children)) for c in children]
    if v._op == "*":
        return [(c, _other(c, children).data * (2.0 / len(children))) for c in children]
    if v._op == "ReLU":
        return [(children[0], float(v.data > 0))]
    if v._op.startswith("**"):
        x, k = children[0], float(v._op[2:])
        return [(x, k * float(x.data) ** (k - 1))]
    return []


def _other(child, children):
    return children[children.index(child) - 1]


def backward_bounds(roots):
    """(bounds, errors): what backward from each root in turn may differ by, and may raise.

    A bound is the sum of the absolute contributions that reach a node: rounding and another order
    of summation move its gradient by some 1e-16 of that. Where one is infinite or NaN, any
    gradient may be right. The floor keeps underflow inside the bound.
    """
    bound, errors = {}, set()
    for root in roots:
        nodes = reachable([root])
        bound[root] = 1.0
        for v in reversed(nodes):
            try:
                partials = _partials(v)
            except ArithmeticError as error:
                errors.add(type(error))
                partials = []
            reach = bound.setdefault(v, 0.0)
            for child, partial in partials:
                contribution = abs(partial) * reach + (1e-308 if partial else 0.0)
                bound[child] = bound.get(child, 0.0) + contribution
    return bound, errors


def gradients_agree(reference, ours, bound, tolerance=1e-12):
    """Whether two gradients are equal up to the order of summation."""
    return not math.isfinite(bound) or abs(float(reference) - ours) <= tolerance * bound


CALM = st.floats(-2.0, 2.0).map(lambda x: round(x, 3))
WILD = st.one_of(
    CALM,
    st.floats(),
    st.sampled_from([0.0, -0.0, 1e-310, -1e308, 1e308, math.inf, -math.inf, math.nan]),
)
INTEGERS = st.one_of(
    st.integers(-4, 4), st.booleans(), st.sampled_from([10**6, 2**53 + 1, 10**400])
)
# 0 is left out: its derivative at 0 is a named difference.
CALM_EXPONENTS = st.sampled_from([-2, -1, 1, 2, 3, 2.0, -1.0])
WILD_EXPONENTS = st.sampled_from([-1, 2, 0.5, -0.5, 1.5, 7, -3.0, 1001, 1e-3, math.inf, math.nan])
ONCE = st.just(1)
REFS = st.builds(Ref, st.one_of(st.integers(0, 3), st.integers(0, 30)))


def _steps(constants, exponents):
    constant_pairs = st.one_of(st.tuples(REFS, constants), st.tuples(constants, REFS))
    pairs = st.one_of(st.tuples(REFS, REFS), REFS.map(lambda r: (r, r)), constant_pairs)
    arithmetic = st.sampled_from("+-*/")
    return st.one_of(
        st.builds(Step, arithmetic, pairs, ONCE),
        st.builds(Step, st.just("**"), st.tuples(REFS, exponents), ONCE),
        st.builds(Step, st.sampled_from(["neg", "relu"]), st.tuples(REFS), ONCE),
        st.builds(Step, st.just("sum"), st.lists(REFS, min_size=1, max_size=40).map(tuple), ONCE),
        st.builds(Step, arithmetic, pairs, st.integers(2, 30)),
    )


def _programs(numbers, constants, exponents):
    return st.builds(
        Program,
        leaves=st.lists(numbers, min_size=1, max_size=5).map(tuple),
        steps=st.lists(_steps(constants, exponents), min_size=1, max_size=20).map(tuple),
        roots=st.lists(REFS, min_size=1, max_size=3).map(tuple),
    )


def calm_programs():
    """Programs that mostly stay finite: what gradients are compared on."""
    return _programs(CALM, st.one_of(CALM, st.integers(-4, 4)), CALM_EXPONENTS)


def wild_programs():
    """Programs that overflow, divide by zero, and carry infinities and NaNs about."""
    return _programs(WILD, st.one_of(WILD, INTEGERS), st.one_of(CALM_EXPONENTS, WILD_EXPONENTS))
