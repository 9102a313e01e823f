"""PyTorch on the CPU: whole batches in tensors, in-place fused or foreach updates.

Three rows: eager in float64, eager in float32 (checked with a looser tolerance), and the whole
step, optimizer and all, in one torch.compile graph.
"""

import math
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import grad_and_value

from .. import scalar
from ..layers import flatten_layers
from ..scalar import Kit
from ..scalar_mathematics import call_price
from ..scalar_objectives import DELTA, MATURITIES, SWAP_RATES
from ..workloads.moons import learning_rate
from ..workloads.names import ADAM
from ._torch_base import TorchCase, perceptron, rosenbrock
from ._torch_derivatives import (
    BundleAdjustment,
    Functions,
    KMeans,
    LotkaVolterra,
    MoonsHvp,
    Oscillator,
    RosenbrockHessian,
)

REQUIRES = ("torch",)
INSTALL = "pip install torch --index-url https://download.pytorch.org/whl/cpu"
IMPORT = "import torch"
ROWS = {
    "torch": {
        "words": "PyTorch",
        "why": "Its matrix products are MKL's, and a step is a few large operations.",
    },
    "torch float32": {
        "words": "PyTorch, float32",
        "options": {"dtype": "float32"},
        "rtol": 1e-2,
        "only": ("moons", "digits", "mnist_size", "names", "rosenbrock", "black_scholes"),
        "why": "Half the digits: twice as many numbers in a register, half the memory to go over.",
    },
    "torch.compile": {
        "words": "PyTorch, torch.compile",
        "options": {"compiled": True},
        "only": (
            "tiny",
            "small",
            "moons",
            "digits",
            "mnist_size",
            "names",
            "rosenbrock",
            "black_scholes",
            "options",
            "functions",
            "gmm",
            "lennard_jones",
            "rosenbrock_hessian",
            "oscillator",
            "moons_hvp",
            "kmeans",
            "ba",
        ),
        "left_out": {
            "libor": "unrolled, too long to compile",
            "gmm_large": "the program of gmm",
            "ba_large": "the program of ba",
            "lstm": "unrolled, too long to compile",
            "lotka_volterra": "unrolled, too long to compile",
        },
        "not_quick": ("*",),
        "why": "A C++ compiler makes one vectorised loop of the whole formula.",
    },
}


def tiny(a, b):
    c = a + b
    d = a * b + b**3
    e = c - d
    return e**2 / 2.0


def small(a, b):
    c = a + b
    d = a * b + b**3
    c = c + (c + 1)
    c = c + (1 + c + (-a))
    d = d + d * 2 + (b + a).relu()
    d = d + 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    return f / 2.0 + 10.0 / f


class Tiny(TorchCase):
    function = staticmethod(tiny)
    point = (-41.0, 2.0)

    def setup(self):
        self.inputs = [self.tensor(v, requires_grad=not self.compiled) for v in self.point]
        if self.compiled:
            self.step = torch.compile(self.whole_step, fullgraph=True)

    def step(self):
        g = self.function(*self.inputs)
        return g, torch.autograd.grad(g, self.inputs)

    def whole_step(self):
        grads, g = grad_and_value(self.function, argnums=(0, 1))(*self.inputs)
        return g, grads

    def numbers(self, out):
        g, grads = out
        return {"value": [g.item()], "grad": [v.item() for v in grads]}


class Small(Tiny):
    function = staticmethod(small)
    point = (-4.0, 2.0)


def hinge_loss(parameters, X, y):
    return torch.relu(1 - y * perceptron(parameters, X)[:, 0]).mean()


def class_loss(parameters, X, y):
    return F.cross_entropy(perceptron(parameters, X), y)


class Training(TorchCase):
    """Eager: autograd, then foreach updates in place. Compiled: all of it in one graph."""

    def build_model(self):
        self.parameters = [
            self.tensor(np.ascontiguousarray(a), requires_grad=not self.compiled)
            for w, b in self.data["layers"]
            for a in (w.T, b)
        ]

    def numbers(self, loss):
        arrays = [p.detach().double().numpy() for p in self.parameters]
        layers = [(arrays[i].T, arrays[i + 1]) for i in range(0, len(arrays), 2)]
        return {"loss": [loss.item()], "parameters": flatten_layers(layers)}


def sgd_step(loss_function, parameters, lr, decay, *batch):
    """One functional step of SGD with weight decay, for torch.compile."""
    grads, loss = grad_and_value(loss_function)(parameters, *batch)
    for p, g in zip(parameters, grads, strict=True):
        p.sub_(lr * (g + decay * p))
    return loss


class Moons(Training):
    """The penalty on the weights is applied as weight decay, as one does in PyTorch."""

    def setup(self):
        self.build_model()
        self.X = self.tensor(self.data["X"])
        self.y = self.tensor(self.data["y"])
        self.decay = 2 * self.data["alpha"]
        self.rates = [self.tensor(learning_rate(k)) for k in range(100)]
        self.k = 0
        if self.compiled:
            self.compiled_step = torch.compile(sgd_step, fullgraph=True)
            self.step = self.whole_step

    def step(self):
        loss = hinge_loss(self.parameters, self.X, self.y)
        grads = torch.autograd.grad(loss, self.parameters)
        lr = learning_rate(self.k)
        with torch.no_grad():
            torch._foreach_mul_(self.parameters, 1 - lr * self.decay)
            torch._foreach_add_(self.parameters, grads, alpha=-lr)
        self.k += 1
        return loss

    def whole_step(self):
        lr = self.rates[self.k % 100]
        self.k += 1
        with torch.no_grad():
            return self.compiled_step(hinge_loss, self.parameters, lr, self.decay, self.X, self.y)


class Batches(Training):
    def setup(self):
        self.build_model()
        self.batches = [(self.tensor(x), torch.tensor(y)) for x, y in self.data["batches"]]
        self.k = 0
        self.make_optimizer()

    def next_batch(self):
        batch = self.batches[self.k % len(self.batches)]
        self.k += 1
        return batch


class MnistSize(Batches):
    def make_optimizer(self):
        if self.compiled:
            self.compiled_step = torch.compile(sgd_step, fullgraph=True)
            self.step = self.whole_step

    def step(self):
        loss = class_loss(self.parameters, *self.next_batch())
        grads = torch.autograd.grad(loss, self.parameters)
        with torch.no_grad():
            torch._foreach_add_(self.parameters, grads, alpha=-self.data["lr"])
        return loss

    def whole_step(self):
        with torch.no_grad():
            return self.compiled_step(
                class_loss, self.parameters, self.data["lr"], 0.0, *self.next_batch()
            )


def adam_step(loss_function, state, settings, scale1, scale2, *batch):
    """One functional step of Adam, for torch.compile; the scales correct the running means."""
    parameters, m, v = state
    lr, (b1, b2), eps = settings
    grads, loss = grad_and_value(loss_function)(parameters, *batch)
    for p, g, mp, vp in zip(parameters, grads, m, v, strict=True):
        mp.mul_(b1).add_(g, alpha=1 - b1)
        vp.mul_(b2).addcmul_(g, g, value=1 - b2)
        p.sub_(lr * (mp / scale1) / ((vp / scale2).sqrt() + eps))
    return loss


class AdamCase(TorchCase):
    """Adam for digits and names: PyTorch's own fused one, or all in one compiled graph."""

    compile_options = None

    def make_adam(self, loss_function, lr, betas=(0.9, 0.999), eps=1e-8):
        self.loss_function = loss_function
        if not self.compiled:
            self.optimizer = torch.optim.Adam(
                self.parameters, lr=lr, betas=betas, eps=eps, fused=True
            )
            return
        zeros = [torch.zeros_like(p) for p in self.parameters]
        self.state = (self.parameters, zeros, [z.clone() for z in zeros])
        self.settings = (lr, betas, eps)
        self.count = 0
        self.compiled_step = torch.compile(adam_step, fullgraph=True, options=self.compile_options)

    def adam(self, *batch):
        if self.compiled:
            self.count += 1
            scales = [self.tensor(1 - beta**self.count) for beta in self.settings[1]]
            with torch.no_grad():
                return self.compiled_step(
                    self.loss_function, self.state, self.settings, *scales, *batch
                )
        loss = self.loss_function(self.parameters, *batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


class Digits(Batches, AdamCase):
    def make_optimizer(self):
        self.make_adam(class_loss, self.data["lr"])

    def step(self):
        return self.adam(*self.next_batch())


def gpt_loss(parameters, tokens, targets, heads):
    """Attention over a whole name at once; queries, keys and values come from one matrix."""
    wte, wpe, qkv, wo, fc1, fc2, head = parameters
    n, width = len(tokens), wte.shape[1]
    x = wte[tokens] + wpe[:n]
    x = F.rms_norm(x, (width,), eps=1e-5)
    h = F.linear(F.rms_norm(x, (width,), eps=1e-5), qkv)
    q, k, v = h.view(n, 3, heads, width // heads).permute(1, 2, 0, 3)
    h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + F.linear(h.transpose(0, 1).reshape(n, width), wo)
    h = torch.relu(F.linear(F.rms_norm(x, (width,), eps=1e-5), fc1))
    x = x + F.linear(h, fc2)
    return F.cross_entropy(F.linear(x, head), targets)


class Names(AdamCase):
    # Without this PyTorch 2.13 stops with "InductorError: KeyError: 'buf65'" on this program.
    compile_options = {"cpp.max_horizontal_fusion_size": 1}  # noqa: RUF012 - never changed

    def setup(self):
        w = self.data["weights"]
        qkv = np.concatenate([w["wq"], w["wk"], w["wv"]])
        arrays = [w["wte"], w["wpe"], qkv, w["wo"], w["fc1"], w["fc2"], w["head"]]
        self.parameters = [self.tensor(a, requires_grad=not self.compiled) for a in arrays]
        self.documents = [self.encode(d) for d in self.data["documents"]]
        self.period = len(self.documents)
        self.k = 0
        self.make_adam(gpt_loss, **ADAM)

    def encode(self, document):
        """Input and target tokens; padded when compiled, so that one graph serves all lengths."""
        inputs, targets = document[:-1], document[1:]
        if self.compiled:
            missing = self.data["block"] - len(inputs)
            inputs, targets = inputs + [0] * missing, targets + [-100] * missing
        return torch.tensor(inputs), torch.tensor(targets)

    def step(self):
        tokens, targets = self.documents[self.k % self.period]
        self.k += 1
        return self.adam(tokens, targets, self.data["heads"])

    def numbers(self, loss):
        arrays = [p.detach().double().numpy().ravel() for p in self.parameters]
        return {"loss": [loss.item()], "parameters": np.concatenate(arrays)}


class Rosenbrock(TorchCase):
    def setup(self):
        self.x = self.tensor(self.data["x"], requires_grad=not self.compiled)
        if self.compiled:
            self.step = torch.compile(self.whole_step, fullgraph=True)

    def step(self):
        f = rosenbrock(self.x)
        return f, torch.autograd.grad(f, self.x)[0]

    def whole_step(self):
        grad, f = grad_and_value(rosenbrock)(self.x)
        return f, grad

    def numbers(self, out):
        f, grad = out
        return {"value": [f.item()], "grad": grad.double().numpy()}


def normal_cdf(x):
    return 0.5 + 0.5 * torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def option_prices(spot, strike, years, rate, sigma):
    width = sigma * torch.sqrt(years)
    d1 = (torch.log(spot / strike) + (rate + 0.5 * sigma**2) * years) / width
    discounted = strike * torch.exp(-rate * years)
    return spot * normal_cdf(d1) - discounted * normal_cdf(d1 - width)


def total_and_prices(*inputs):
    prices = option_prices(*inputs)
    return prices.sum(), prices


class BlackScholes(TorchCase):
    def setup(self):
        columns = self.data["options"].T
        self.inputs = [self.tensor(c.copy(), requires_grad=not self.compiled) for c in columns]
        if self.compiled:
            self.step = torch.compile(self.whole_step, fullgraph=True)

    def step(self):
        prices = option_prices(*self.inputs)
        return prices, torch.autograd.grad(prices.sum(), self.inputs)

    def whole_step(self):
        derive = grad_and_value(total_and_prices, argnums=(0, 1, 2, 3, 4), has_aux=True)
        grads, (_, prices) = derive(*self.inputs)
        return prices, grads

    def numbers(self, out):
        prices, grads = out
        columns = [v.detach().double().numpy() for v in (prices, *grads)]
        return {"price and sensitivities": np.column_stack(columns).ravel()}


class Options(BlackScholes):
    def step(self):
        prices = call_price(self.inputs, MATHEMATICS)
        return prices, torch.autograd.grad(prices.sum(), self.inputs)

    def whole_step(self):
        def total(*option):
            prices = call_price(option, MATHEMATICS)
            return prices.sum(), prices

        derive = grad_and_value(total, argnums=(0, 1, 2, 3, 4), has_aux=True)
        grads, (_, prices) = derive(*self.inputs)
        return prices, grads


MATHEMATICS = SimpleNamespace(
    sqrt=torch.sqrt, log=torch.log, exp=torch.exp, ndtr=torch.special.ndtr
)


def lstm_loss(parameters, state, sequence):
    *layers, in_weight, out_weight, out_bias = parameters
    gates = torch.stack(layers).view(-1, 2, 4, len(in_weight))  # layer, weights and biases
    states = [tuple(s) for s in state.view(-1, 2, len(in_weight))]
    scaled = sequence[:-1] * in_weight
    last = []
    for x in scaled:
        for k, (weight, bias) in enumerate(gates):
            hidden, cell = states[k]
            z = torch.addcmul(bias, torch.stack((x, hidden, x, hidden)), weight)
            forget, come, out = torch.sigmoid(z[:3])
            cell = cell * forget + come * torch.tanh(z[3])
            x = out * torch.tanh(cell)
            states[k] = x, cell
        last.append(x)
    predicted = torch.stack(last) * out_weight + out_bias
    log_sums = torch.log(torch.exp(predicted).sum(1, keepdim=True) + 2)
    return -(sequence[1:] * (predicted - log_sums)).mean()


class Lstm(TorchCase):
    objective = staticmethod(lstm_loss)
    wanted, constant = ("parameters",), ("state", "sequence")

    def setup(self):
        traced = not self.compiled
        self.leaves = [self.tensor(self.data[n], requires_grad=traced) for n in self.wanted]
        self.others = [self.tensor(self.data[n]) for n in self.constant]
        if self.compiled:
            argnums = tuple(range(len(self.leaves)))
            self.derive = grad_and_value(self.objective, argnums=argnums)
            self.step = torch.compile(self.whole_step, fullgraph=True)

    def step(self):
        value = self.objective(*self.leaves, *self.others)
        return value, torch.autograd.grad(value, self.leaves)

    def whole_step(self):
        grads, value = self.derive(*self.leaves, *self.others)
        return value, grads

    def numbers(self, out):
        value, grads = out
        return {"value": [value.item()], "grad": np.concatenate([g.numpy().ravel() for g in grads])}


def below_diagonal(components, dimension):
    """The places in a stack of matrices, column by column."""
    rows, columns = np.tril_indices(dimension, -1)
    order = np.lexsort((rows, columns))
    return [torch.arange(components)[:, None], *map(torch.tensor, (rows[order], columns[order]))]


def mixture_objective(logits, means, log_diagonals, below, points, at):
    factors = torch.diag_embed(log_diagonals.exp())
    factors = factors.index_put(at, below)
    centered = points[:, None, :] - means
    scaled = torch.einsum("kij,nkj->nki", factors, centered)
    terms = logits + log_diagonals.sum(1) - 0.5 * (scaled**2).sum(2)
    likelihood = torch.logsumexp(terms, 1) - torch.logsumexp(logits, 0)
    prior = 0.5 * ((log_diagonals.exp() ** 2).sum() + (below**2).sum())
    return likelihood.sum() - prior


class Gmm(Lstm):
    wanted, constant = ("logits", "means", "log_diagonals", "below"), ("points",)

    def setup(self):
        at = below_diagonal(*self.data["means"].shape)
        self.objective = lambda *inputs: mixture_objective(*inputs, at)
        super().setup()


def portfolio_value(rates, volatilities, z):
    """A column of rates a path."""
    rates = rates[:, None].expand(-1, len(z))
    done = []
    for normal in z.T:
        done.append(rates[0])
        rates = rates[1:]
        volatility = volatilities[: len(rates), None]
        scaled = DELTA * volatility
        drift = (scaled * rates / (1 + DELTA * rates)).cumsum(0)
        rates = rates * (scaled * drift + volatility * (DELTA**0.5 * normal - 0.5 * scaled)).exp()
    bonds = (1 / (1 + DELTA * rates)).cumprod(0)
    annuities = DELTA * bonds.cumsum(0)
    chosen = [(m - 1, s) for m, s in zip(MATURITIES, SWAP_RATES, strict=True) if m <= len(bonds)]
    at, swap_rates = zip(*chosen, strict=True)
    at, swap_rates = torch.tensor(at), torch.tensor(swap_rates, dtype=rates.dtype)[:, None]
    swaps = bonds[at] + swap_rates * annuities[at] - 1
    discounts = (1 + DELTA * torch.stack(done)).prod(0)
    return (100 * torch.relu(-swaps).sum(0) / discounts).sum()


class Libor(Lstm):
    objective = staticmethod(portfolio_value)
    wanted, constant = ("rates", "volatilities"), ("z",)


def lennard_jones_energy(positions):
    first, second = torch.tril_indices(len(positions), len(positions), -1)
    inverse = 1 / ((positions[first] - positions[second]) ** 2).sum(1) ** 3
    return 4 * (inverse * inverse - inverse).sum()


class LennardJones(Lstm):
    objective = staticmethod(lennard_jones_energy)
    wanted, constant = ("positions",), ()


class GraphOfTensors:
    """chain and fan with a tensor of one number at every node."""

    no_grad = None

    def __init__(self, data, dtype="float64"):
        kind = getattr(torch, dtype)
        super().__init__(data, Kit(lambda v: torch.tensor(v, dtype=kind, requires_grad=True)))


class Chain(GraphOfTensors, scalar.Chain):
    pass


class Fan(GraphOfTensors, scalar.Fan):
    pass


CASES = {
    "tiny": Tiny,
    "small": Small,
    "moons": Moons,
    "digits": Digits,
    "mnist_size": MnistSize,
    "names": Names,
    "rosenbrock": Rosenbrock,
    "black_scholes": BlackScholes,
    "options": Options,
    "chain": Chain,
    "fan": Fan,
    "lstm": Lstm,
    "lstm_large": Lstm,
    "gmm": Gmm,
    "gmm_large": Gmm,
    "libor": Libor,
    "lennard_jones": LennardJones,
    "rosenbrock_hessian": RosenbrockHessian,
    "oscillator": Oscillator,
    "lotka_volterra": LotkaVolterra,
    "moons_hvp": MoonsHvp,
    "functions": Functions,
    "kmeans": KMeans,
    "ba": BundleAdjustment,
    "ba_large": BundleAdjustment,
}
