"""The derivative workloads for PyTorch, by torch.func: forward mode where the results are many."""

from types import SimpleNamespace

import numpy as np
import torch
from torch.func import grad, grad_and_value, hessian, jacfwd, jvp, vmap

from ..layers import flatten_layers
from ..scalar_derivatives import oscillation
from ..scalar_mathematics import FUNCTIONS, of_all
from ..workloads.ba import block_numbers
from ._torch_base import TorchCase, perceptron, rosenbrock


class Derivative(TorchCase):
    """function(*inputs), eager or compiled; both are made by make()."""

    name = "jacobian"

    def setup(self):
        self.function, self.inputs = self.make()
        if self.compiled:
            self.function = torch.compile(self.function, fullgraph=True)

    def make(self):
        raise NotImplementedError

    def step(self):
        return self.function(*self.inputs)

    def numbers(self, out):
        return {self.name: out.numpy().ravel()}


class RosenbrockHessian(Derivative):
    name = "hessian"

    def make(self):
        return hessian(rosenbrock), [self.tensor(self.data["x"])]


class Oscillator(Derivative):
    def make(self):
        times, seen = self.tensor(self.data["times"]), self.tensor(self.data["seen"])

        def residuals(p):
            return oscillation(p, times, torch.exp, torch.cos) - seen

        return jacfwd(residuals), [self.tensor(self.data["parameters"])]


class LotkaVolterra(Derivative):
    def make(self):
        start, h = self.tensor(self.data["start"]), self.data["step"]

        def after(p):
            birth, eaten, death, fed = p

            def slope(u):
                x, y = u
                return torch.stack([birth * x - eaten * x * y, fed * x * y - death * y])

            u, found = start, []
            for _ in range(self.data["steps"]):
                k1 = slope(u)
                k2 = slope(u + h / 2 * k1)
                k3 = slope(u + h / 2 * k2)
                k4 = slope(u + h * k3)
                u = u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
                found.append(u)
            return torch.cat(found)

        return jacfwd(after), [self.tensor(self.data["parameters"])]


class MoonsHvp(Derivative):
    """Forward over reverse."""

    def make(self):
        X, y = self.tensor(self.data["X"]), self.tensor(self.data["y"])

        def loss(*parameters):
            return torch.relu(1 - y * perceptron(parameters, X)[:, 0]).mean()

        layers = [self.tensor(a.copy()) for w, b in self.data["layers"] for a in (w.T, b)]
        slopes = grad(loss, argnums=tuple(range(len(layers))))
        v, first, ways = self.data["v"], 0, []
        for w, b in zip(layers[::2], layers[1::2], strict=True):
            block = v[first : first + w.numel() + b.numel()].reshape(len(b), -1)
            first += block.size
            ways += [self.tensor(block[:, :-1].T.copy()), self.tensor(block[:, -1].copy())]

        def product(layers, ways):
            return jvp(slopes, tuple(layers), tuple(ways))[1]

        return product, [layers, ways]

    def numbers(self, out):
        pairs = [(w.numpy().T, b.numpy()) for w, b in zip(out[::2], out[1::2], strict=True)]
        return {"product": flatten_layers(pairs)}


class KMeans(Derivative):
    def make(self):
        points = self.tensor(self.data["points"])

        def cost(centres):
            squares = ((points[:, None, :] - centres[None, :, :]) ** 2).sum(dim=2)
            return squares.min(dim=1).values.sum()

        def both(centres):
            return jvp(grad(cost), (centres,), (torch.ones_like(centres),))

        return both, [self.tensor(self.data["centres"])]

    def numbers(self, out):
        return {"gradient": out[0].numpy().ravel(), "diagonal": out[1].numpy().ravel()}


class Functions(Derivative):
    def make(self):
        names = {"erf": torch.special.erf}
        m = SimpleNamespace(**{n: names.get(n, getattr(torch, n, None)) for n in FUNCTIONS})

        def total(x, y):
            values = of_all(x, y, m)
            return values.sum(), values

        points = [self.tensor(c.copy()) for c in self.data["points"].T]
        return grad_and_value(total, argnums=(0, 1), has_aux=True), points

    def numbers(self, out):
        slopes, (_, values) = out
        columns = [v.numpy() for v in (values, *slopes)]
        return {"value and gradient": np.column_stack(columns).ravel()}


class BundleAdjustment(Derivative):
    """The blocks, which a sparse matrix is made of afterwards, untimed."""

    def make(self):
        def residual(camera, point, weight, seen):
            angle = (camera[:3] @ camera[:3]).sqrt()
            w, x = camera[:3] / angle, point - camera[3:6]
            cos, sin = angle.cos(), angle.sin()
            x = x * cos + torch.linalg.cross(w, x) * sin + w * (w @ x) * (1 - cos)
            x = x[:2] / x[2]
            square = x @ x
            x = x * (1 + camera[9] * square + camera[10] * square**2) * camera[6] + camera[7:9]
            return weight * (x - seen)

        block = vmap(jacfwd(residual, argnums=(0, 1, 2)))
        i, j = (torch.tensor(self.data[name]) for name in ("camera_of", "point_of"))
        seen = self.tensor(self.data["seen"])

        def blocks(cameras, points, weights):
            return block(cameras[i], points[j], weights, seen), -2 * weights

        return blocks, [self.tensor(self.data[n]) for n in ("cameras", "points", "weights")]

    def numbers(self, out):
        blocks, last = [b.numpy() for b in out[0]], out[1].numpy()
        return block_numbers(self.data, *blocks, last)
