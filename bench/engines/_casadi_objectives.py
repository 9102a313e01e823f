"""Formulas, objectives and bundle adjustment for CasADi: scalar text, mapped over its samples."""

from types import SimpleNamespace

import casadi as ca
import numpy as np

from ..scalar_derivatives import observation
from ..scalar_mathematics import FUNCTIONS, call_price, of_all
from ..scalar_objectives import Mixture, lennard_jones_energy, lstm_loss, path_value
from ..workloads.ba import block_numbers
from ._casadi_base import Call, CasadiCase, mapped_gradient, mapped_sum, relu

ca.SX.relu = relu  # the formulas ask for it as a method, as micrograd has it
MATHEMATICS = SimpleNamespace(
    **{name: getattr(ca, name, None) for name in FUNCTIONS},
    ndtr=lambda x: 0.5 + 0.5 * ca.erf(x * 0.5**0.5),
)


def rows(x):
    """The rows of a matrix as lists."""
    return [ca.horzsplit(row) for row in ca.vertsplit(x)]


def log_sum_exp(values):
    return ca.logsumexp(ca.vertcat(*values))


class Options(CasadiCase):
    """Value and gradient of every sample."""

    samples, name = "options", "price and sensitivities"

    def formula(self, x):
        return call_price(ca.vertsplit(x), MATHEMATICS)

    def setup(self):
        data = self.data[self.samples]
        x = ca.SX.sym("x", data.shape[1])
        value = self.formula(x)
        out = ca.vertcat(value, ca.gradient(value, x))
        one = ca.Function("one", [x], [out], self.options)
        self.call = Call(one.map(len(data)), [data.T])

    def step(self):
        self.call.run()

    def numbers(self, out):
        return {self.name: self.call.results[0].ravel(order="F")}


class Functions(Options):
    samples, name = "points", "value and gradient"

    def formula(self, x):
        return of_all(*ca.vertsplit(x), MATHEMATICS)


class Objective(CasadiCase):
    """The gradient by the arrays of `wanted`, in one vector."""

    wanted = ()

    def symbols(self):
        """The vector of all, and for each of wanted its rows."""
        shapes = [np.atleast_2d(self.data[name]).shape for name in self.wanted]
        p = ca.SX.sym("p", sum(a * b for a, b in shapes))
        found, first = [], 0
        for a, b in shapes:
            found.append(rows(ca.reshape(p[first : first + a * b], b, a).T))
            first += a * b
        return p, found

    def point(self):
        return np.concatenate([self.data[name].ravel() for name in self.wanted])

    def step(self):
        self.call.run()

    def numbers(self, out):
        value, grad = self.call.results
        return {"value": value.ravel(), "grad": grad.ravel()}


class Lstm(Objective):
    wanted = ("parameters",)

    def value(self, arrays):
        data = self.data
        return lstm_loss(arrays[0], data["state"].tolist(), data["sequence"].tolist())

    def setup(self):
        p, arrays = self.symbols()
        value = self.value(arrays)
        f = ca.Function("f", [p], [value, ca.gradient(value, p)], self.options)
        self.call = Call(f, [self.point()])


class LennardJones(Lstm):
    wanted = ("positions",)

    def value(self, arrays):
        return lennard_jones_energy(arrays[0])


class Libor(Objective):
    """Paths are mapped."""

    wanted = ("rates", "volatilities")

    def setup(self):
        p, (rates, volatilities) = self.symbols()
        paths = self.data["z"].T
        z = ca.SX.sym("z", len(paths))
        value = path_value(rates[0], volatilities[0], ca.vertsplit(z))
        batch = mapped_gradient(value, p, z, paths.shape[1], self.options)
        self.call = Call(batch, [self.point(), paths])


class Gmm(Objective):
    """Points are mapped; the prior is a function of its own."""

    wanted = ("logits", "means", "log_diagonals", "below")

    def setup(self):
        p, (logits, *others) = self.symbols()
        model = Mixture(logits[0], *others, log_sum_exp)
        points = self.data["points"].T
        x = ca.SX.sym("x", len(points))
        likelihood = model.log_likelihood(ca.vertsplit(x))
        batch = mapped_gradient(likelihood, p, x, points.shape[1], self.options)
        prior = model.log_prior()
        alone = ca.Function("prior", [p], [prior, ca.gradient(prior, p)], self.options)
        self.likelihood = Call(batch, [self.point(), points])
        self.prior = Call(alone, [self.point()])

    def step(self):
        self.likelihood.run()
        self.prior.run()
        pairs = zip(self.likelihood.results, self.prior.results, strict=True)
        return [a + b for a, b in pairs]

    def numbers(self, out):
        return {"value": out[0].ravel(), "grad": out[1].ravel()}


class KMeans(Objective):
    wanted = ("centres",)

    def setup(self):
        p, (centres,) = self.symbols()
        points = self.data["points"].T
        x = ca.SX.sym("x", len(points))
        squares = [
            sum((c - v) ** 2 for c, v in zip(row, ca.vertsplit(x), strict=True)) for row in centres
        ]
        gradient = ca.gradient(ca.mmin(ca.vertcat(*squares)), p)
        diagonal = ca.jtimes(gradient, p, ca.SX.ones(p.numel()))
        batch = mapped_sum([gradient, diagonal], p, x, points.shape[1], self.options)
        self.call = Call(batch, [self.point(), points])

    def numbers(self, out):
        gradient, diagonal = self.call.results
        return {"gradient": gradient.ravel(), "diagonal": diagonal.ravel()}


class BundleAdjustment(CasadiCase):
    """The blocks, which a sparse matrix is made of afterwards, untimed."""

    def setup(self):
        data = self.data
        x, seen = ca.SX.sym("x", 15), ca.SX.sym("seen", 2)
        parts = ca.vertsplit(x)
        residuals = observation(parts[:11], parts[11:14], parts[14], ca.vertsplit(seen))
        block = ca.densify(ca.jacobian(ca.vertcat(*residuals), x))
        one = ca.Function("one", [x, seen], [block], self.options)
        i, j = data["camera_of"], data["point_of"]
        self.gather = lambda out: np.concatenate(
            [data["cameras"][i], data["points"][j], data["weights"][:, None]], axis=1, out=out
        )
        inputs = np.zeros((len(i), 15))
        self.call = Call(one.map(len(i)), [inputs.T, data["seen"].T])
        self.inputs = self.call.args[0].T

    def step(self):
        self.gather(self.inputs)
        self.call.run()

    def numbers(self, out):
        blocks = self.call.results[0].T.reshape(-1, 15, 3).transpose(0, 2, 1)
        residuals, last = blocks[:, :2], blocks[:, 2, 14]
        by_camera, by_point, by_weight = np.split(residuals, (11, 14), axis=2)
        return block_numbers(self.data, by_camera, by_point, by_weight[:, :, 0], last)
