"""nn and optim of test_lives.py's model, and all of it under the package's names."""

import itertools
import math
from types import SimpleNamespace

from lives_model import Node, compile, no_grad, take

__all__ = ["Value", "compile", "nn", "no_grad", "optim", "take"]


class Module:
    def zero_grad(self):
        for p in self.parameters():
            p.grad = 0


class Neuron(Module):
    def __init__(self, n_in, nonlin):
        self.w, self.b = [Node(0.5) for _ in range(n_in)], Node(0)
        self.nonlin, self.activation = nonlin, "relu"

    def __call__(self, x):
        act = self.b
        for w, item in zip(self.w, x, strict=True):
            act = act + w * item
        return getattr(act, self.activation)() if self.nonlin else act

    def parameters(self):
        return [*self.w, self.b]


class Layer(Module):
    def __init__(self, n_in, n_out, nonlin=True):
        self.neurons = [Neuron(n_in, nonlin) for _ in range(n_out)]

    def __call__(self, x):
        out = [n(x) for n in self.neurons]
        return out[0] if len(out) == 1 else out

    def parameters(self):
        return [p for n in self.neurons for p in n.parameters()]


class MLP(Module):
    def __init__(self, n_in, sizes):
        pairs = itertools.pairwise([n_in, *sizes])
        self.layers = [Layer(a, b, k < len(sizes) - 1) for k, (a, b) in enumerate(pairs)]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters()]


class SGD:
    def __init__(self, params, lr, momentum):
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.velocity = None

    def zero_grad(self):
        for p in self.params:
            p.grad = 0

    def step(self):
        grads = [p.grad for p in self.params]
        if self.velocity is not None:
            pairs = zip(self.velocity, grads, strict=True)
            grads = [self.momentum * v + g for v, g in pairs]
        self.velocity = grads
        for p, v in zip(self.params, grads, strict=True):
            p.size = abs(p.data) + self.lr * abs(v)
            p.data -= self.lr * v


class Adam(SGD):
    def __init__(self, params, lr):
        super().__init__(params, lr, None)
        self.steps, self.mean = 0, [0.0] * len(self.params)
        self.square = [0.0] * len(self.params)

    def step(self):
        self.steps += 1
        for k, p in enumerate(self.params):
            self.mean[k] = 0.9 * self.mean[k] + 0.1 * p.grad
            self.square[k] = 0.999 * self.square[k] + 0.001 * p.grad**2
            m, v = self.mean[k] / (1 - 0.9**self.steps), self.square[k] / (1 - 0.999**self.steps)
            p.size = abs(p.data) + self.lr
            p.data -= self.lr * m / (math.sqrt(v) + 1e-8)


Value = Node
nn = SimpleNamespace(Module=Module, Layer=Layer, MLP=MLP)
optim = SimpleNamespace(SGD=SGD, Adam=Adam)
