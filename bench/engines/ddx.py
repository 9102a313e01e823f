"""ddx (on PyPI as ddx-ad): expressions of C++ compiled through LLVM, in calls bound to buffers."""

from types import SimpleNamespace

import ddx
import numpy as np

from ..case import Case
from ..scalar import rosenbrock
from ..scalar_derivatives import lotka_volterra, oscillation
from ..scalar_mathematics import call_price

REQUIRES = ("ddx",)
INSTALL = "pip install ddx-ad"
IMPORT = "import ddx"
ROWS = {"ddx": {"not_quick": ("lotka_volterra",)}}  # a quarter of a minute of set-up


class DdxCase(Case):
    want = ddx.Want.JACOBIAN
    point = "parameters"

    def __init__(self, data):
        self.data = data

    def setup(self):
        self.equation = ddx.equation(self.model)
        self.call = self.equation.buffer(self.data[self.point], want=self.want)
        self.equation.wait_for_kernel(want=self.want)
        self.step()

    def model(self):
        """The expression, or a tuple of them."""
        raise NotImplementedError

    def symbols(self):
        return [ddx.var(f"x{k}") for k in range(len(self.data[self.point]))]

    def step(self):
        self.call()
        return self.call

    def numbers(self, out):
        return {"jacobian": np.asarray(out.jacobian).ravel()}


class Rosenbrock(DdxCase):
    point = "x"

    def model(self):
        return rosenbrock(self.symbols())

    def numbers(self, out):
        return {"value": np.ravel(out.value), "grad": np.asarray(out.jacobian).ravel()}


class RosenbrockHessian(Rosenbrock):
    """With value and gradient, which it always gives; the Hessian by colours."""

    want = ddx.Want.HESSIAN

    def numbers(self, out):
        return {"hessian": np.asarray(out.hessian).ravel()}


class Oscillator(DdxCase):
    def model(self):
        p = self.symbols()
        pairs = zip(self.data["times"].tolist(), self.data["seen"].tolist(), strict=True)
        return tuple(oscillation(p, t, ddx.exp, ddx.cos) - y for t, y in pairs)


class LotkaVolterra(DdxCase):
    def model(self):
        start, h, steps = self.data["start"].tolist(), self.data["step"], self.data["steps"]
        return tuple(lotka_volterra(self.symbols(), start, h, steps))


def normal(x):
    return 0.5 + 0.5 * ddx.erf(x * 0.7071067811865476)


class Options(DdxCase):
    """The options are the columns of one buffer."""

    def __init__(self, data):
        self.data = {"parameters": np.ascontiguousarray(data["options"].T)}

    def model(self):
        m = SimpleNamespace(sqrt=ddx.sqrt, log=ddx.log, exp=ddx.exp, ndtr=normal)
        return call_price(self.symbols(), m)

    def numbers(self, out):
        columns = [np.ravel(out.value), *np.asarray(out.jacobian)]
        return {"price and sensitivities": np.column_stack(columns).ravel()}


CASES = {
    "options": Options,
    "rosenbrock": Rosenbrock,
    "rosenbrock_hessian": RosenbrockHessian,
    "oscillator": Oscillator,
    "lotka_volterra": LotkaVolterra,
}
