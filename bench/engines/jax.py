"""JAX on the CPU: the whole step, optimizer and all, in one jit with donated buffers, float64."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from ..scalar_mathematics import FUNCTIONS, call_price, of_all
from ..scalar_objectives import DELTA, MATURITIES, SWAP_RATES
from ..workloads.moons import learning_rate
from ..workloads.names import ADAM
from ._jax_base import JaxCase, Training, perceptron, rosenbrock
from ._jax_derivatives import (
    BundleAdjustment,
    Hand,
    HandComplicated,
    KMeans,
    LotkaVolterra,
    MoonsHvp,
    Oscillator,
    RosenbrockHessian,
)
from ._jax_loops import batches, documents, looped, scheduled

REQUIRES = ("jax",)
INSTALL = "pip install jax"
IMPORT = "import jax, jax.numpy"
ROWS = {
    "jax": {
        "words": "JAX",
        "why": "XLA fuses whole arrays into loops of machine code.",
    },
    "jax fori_loop": {
        "words": "JAX, the whole training in `fori_loop`",
        "options": {"loop": True},
        "only": ("moons", "digits", "mnist_size", "names"),
        "why": "Python is not asked between the steps: no loss to look at, no batch to hand over.",
    },
}


def tiny(inputs):
    a, b = inputs
    c = a + b
    d = a * b + b**3
    e = c - d
    return e**2 / 2.0


def small(inputs):
    a, b = inputs
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + jax.nn.relu(b + a)
    d += 3 * d + jax.nn.relu(b - a)
    f = (c - d) ** 2
    return f / 2.0 + 10.0 / f


class Tiny(JaxCase):
    function = staticmethod(tiny)
    point = (-41.0, 2.0)

    def setup(self):
        self.inputs = jnp.array(self.point)
        self.run = jax.jit(jax.value_and_grad(self.function))

    def step(self):
        return self.run(self.inputs)

    def numbers(self, out):
        value, grad = out
        return {"value": [float(value)], "grad": np.asarray(grad)}


class Small(Tiny):
    function = staticmethod(small)
    point = (-4.0, 2.0)


def cross_entropy(logits, targets):
    chosen = jnp.take_along_axis(logits, targets[:, None], axis=1)[:, 0]
    return jax.nn.logsumexp(logits, axis=1) - chosen


class Moons(Training):
    def setup(self):
        X, y = jnp.array(self.data["X"]), jnp.array(self.data["y"])
        alpha = self.data["alpha"]

        def loss_function(layers):
            data_loss = jax.nn.relu(1 - y * perceptron(layers, X)[:, 0]).mean()
            penalty = alpha * sum((a * a).sum() for a in jax.tree.leaves(layers))
            return data_loss + penalty, data_loss

        def step(layers, lr):
            (_, loss), grads = jax.value_and_grad(loss_function, has_aux=True)(layers)
            return jax.tree.map(lambda p, g: p - lr * g, layers, grads), loss

        self.run = jax.jit(step, donate_argnums=0)
        self.state = self.model()
        self.k = 0

    def step(self):
        self.state, loss = self.run(self.state, learning_rate(self.k))
        self.k += 1
        return loss


class Batches(Training):
    def setup(self):
        self.batches = [(jnp.array(x), jnp.array(y)) for x, y in self.data["batches"]]
        self.k = 0
        self.start()

    def step(self):
        X, y = self.batches[self.k % len(self.batches)]
        self.k += 1
        self.state, loss = self.run(self.state, X, y)
        return loss


def class_loss(layers, X, y):
    return cross_entropy(perceptron(layers, X), y).mean()


class MnistSize(Batches):
    def start(self):
        lr = self.data["lr"]

        def step(layers, X, y):
            loss, grads = jax.value_and_grad(class_loss)(layers, X, y)
            return jax.tree.map(lambda p, g: p - lr * g, layers, grads), loss

        self.run = jax.jit(step, donate_argnums=0)
        self.state = self.model()


def adam_start(parameters):
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return parameters, zeros, jax.tree.map(jnp.copy, zeros), jnp.array(0.0)


def adam_step(loss_function, lr, betas=(0.9, 0.999), eps=1e-8):
    """A whole step as one function of the state, donated, and the batch."""
    b1, b2 = betas

    def step(state, *batch):
        parameters, m, v, count = state
        loss, grads = jax.value_and_grad(loss_function)(parameters, *batch)
        count = count + 1
        m = jax.tree.map(lambda old, g: b1 * old + (1 - b1) * g, m, grads)
        v = jax.tree.map(lambda old, g: b2 * old + (1 - b2) * g * g, v, grads)
        scale1, scale2 = 1 - b1**count, 1 - b2**count

        def update(p, mean, square):
            return p - lr * (mean / scale1) / (jnp.sqrt(square / scale2) + eps)

        return (jax.tree.map(update, parameters, m, v), m, v, count), loss

    return jax.jit(step, donate_argnums=0)


class Digits(Batches):
    def start(self):
        self.run = adam_step(class_loss, self.data["lr"])
        self.state = adam_start(self.model())

    def parameters(self):
        return self.state[0]


def rms_norm(x):
    return x * jax.lax.rsqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5)


def gpt_losses(w, tokens, targets, heads):
    """Attention over a whole name at once; queries, keys and values come from one matrix."""
    n, width = len(tokens), w["wte"].shape[1]
    x = rms_norm(w["wte"][tokens] + w["wpe"][:n])
    qkv = rms_norm(x) @ w["qkv"].T
    q, k, v = qkv.reshape(n, 3, heads, width // heads).transpose(1, 2, 0, 3)
    scores = q @ k.transpose(0, 2, 1) / (width // heads) ** 0.5
    scores = jnp.where(jnp.tril(jnp.ones((n, n), bool)), scores, -jnp.inf)
    h = (jax.nn.softmax(scores) @ v).transpose(1, 0, 2).reshape(n, width)
    x = x + h @ w["wo"].T
    x = x + jax.nn.relu(rms_norm(x) @ w["fc1"].T) @ w["fc2"].T
    return cross_entropy(x @ w["head"].T, targets)


class Names(JaxCase):
    """Names are padded to the block size, so that one compiled program serves all lengths."""

    def setup(self):
        heads, block = self.data["heads"], self.data["block"]

        def loss_function(w, tokens, targets, length):
            losses = gpt_losses(w, tokens, targets, heads)
            return jnp.where(jnp.arange(block) < length, losses, 0.0).sum() / length

        self.documents = [self.encode(d, block) for d in self.data["documents"]]
        self.period = len(self.documents)
        self.k = 0
        self.run = adam_step(loss_function, **ADAM)
        w = dict(self.data["weights"])
        w["qkv"] = np.concatenate([w.pop("wq"), w.pop("wk"), w.pop("wv")])
        self.state = adam_start({name: jnp.array(a) for name, a in w.items()})

    @staticmethod
    def encode(document, block):
        padding = [0] * (block + 1 - len(document))
        inputs, targets = document[:-1] + padding, document[1:] + padding
        return jnp.array(inputs), jnp.array(targets), jnp.array(float(len(document) - 1))

    def step(self):
        document = self.documents[self.k % self.period]
        self.k += 1
        self.state, loss = self.run(self.state, *document)
        return loss

    def numbers(self, loss):
        w = self.state[0]
        order = ("wte", "wpe", "qkv", "wo", "fc1", "fc2", "head")
        arrays = [np.asarray(w[name]).ravel() for name in order]
        return {"loss": [float(loss)], "parameters": np.concatenate(arrays)}


class Rosenbrock(Tiny):
    function = staticmethod(rosenbrock)

    def setup(self):
        self.point = self.data["x"]
        super().setup()


def normal_cdf(x):
    return 0.5 + 0.5 * jnp.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))


def option_price(option):
    spot, strike, years, rate, sigma = option
    width = sigma * jnp.sqrt(years)
    d1 = (jnp.log(spot / strike) + (rate + 0.5 * sigma**2) * years) / width
    discounted = strike * jnp.exp(-rate * years)
    return spot * normal_cdf(d1) - discounted * normal_cdf(d1 - width)


class BlackScholes(JaxCase):
    """Scalar code, mapped; the options lie in columns, so that every operation is contiguous."""

    def setup(self):
        self.columns = tuple(jnp.array(c) for c in self.data["options"].T)
        self.run = jax.jit(jax.vmap(jax.value_and_grad(option_price)))

    def step(self):
        return self.run(self.columns)

    def numbers(self, out):
        prices, grads = out
        columns = [np.asarray(v) for v in (prices, *grads)]
        return {"price and sensitivities": np.column_stack(columns).ravel()}


def mathematics():
    """NumPy's functions under math's names, and SciPy's."""
    names = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2"}
    names |= {"asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}
    found = {name: getattr(jnp, names.get(name, name), None) for name in FUNCTIONS}
    return SimpleNamespace(**found | {"erf": special.erf, "ndtr": special.ndtr})


class Options(BlackScholes):
    def setup(self):
        m = mathematics()
        self.columns = tuple(jnp.array(c) for c in self.data["options"].T)
        self.run = jax.jit(jax.vmap(jax.value_and_grad(lambda option: call_price(option, m))))


class Functions(BlackScholes):
    def setup(self):
        m = mathematics()
        self.columns = tuple(jnp.array(c) for c in self.data["points"].T)
        self.run = jax.jit(jax.vmap(jax.value_and_grad(lambda point: of_all(*point, m))))

    def numbers(self, out):
        values, grads = out
        columns = [np.asarray(v) for v in (values, *grads)]
        return {"value and gradient": np.column_stack(columns).ravel()}


def lstm_loss(parameters, state, sequence):
    *layers, in_weight, out_weight, out_bias = parameters
    gates = jnp.stack(layers).reshape(-1, 2, 4, len(in_weight))  # layer, weights and biases

    def one(states, pair):
        x, target = pair
        x = x * in_weight
        new = []
        for (weight, bias), (hidden, cell) in zip(gates, states, strict=True):
            forget, come, out, change = jnp.stack([x, hidden, x, hidden]) * weight + bias
            cell = cell * jax.nn.sigmoid(forget) + jax.nn.sigmoid(come) * jnp.tanh(change)
            x = jax.nn.sigmoid(out) * jnp.tanh(cell)
            new.append(jnp.stack([x, cell]))
        predicted = x * out_weight + out_bias
        predicted -= jnp.log(jnp.exp(predicted).sum() + 2)
        return jnp.stack(new), (target * predicted).sum()

    states = state.reshape(-1, 2, len(in_weight))
    _, losses = jax.lax.scan(one, states, (sequence[:-1], sequence[1:]))
    return -losses.sum() / sequence[1:].size


class Lstm(JaxCase):
    def setup(self):
        names = ("parameters", "state", "sequence")
        self.inputs = [jnp.array(self.data[name]) for name in names]
        self.run = jax.jit(jax.value_and_grad(lstm_loss))

    def step(self):
        return self.run(*self.inputs)

    def numbers(self, out):
        value, grads = out
        parts = [np.ravel(g) for g in jax.tree.leaves(grads)]
        return {"value": [float(value)], "grad": np.concatenate(parts)}


def mixture_objective(parameters, points):
    logits, means, log_diagonals, below = parameters
    rows, columns = np.tril_indices(means.shape[1], -1)
    order = np.lexsort((rows, columns))  # column by column
    factors = jax.vmap(jnp.diag)(jnp.exp(log_diagonals))
    factors = factors.at[:, rows[order], columns[order]].set(below)
    centered = points[:, None, :] - means
    scaled = jnp.einsum("kij,nkj->nki", factors, centered)
    terms = logits + log_diagonals.sum(1) - 0.5 * (scaled**2).sum(2)
    likelihood = jax.nn.logsumexp(terms, axis=1) - jax.nn.logsumexp(logits)
    prior = 0.5 * ((jnp.exp(log_diagonals) ** 2).sum() + (below**2).sum())
    return likelihood.sum() - prior


class Gmm(Lstm):
    def setup(self):
        names = ("logits", "means", "log_diagonals", "below")
        self.inputs = [
            tuple(jnp.array(self.data[n]) for n in names),
            jnp.array(self.data["points"]),
        ]
        self.run = jax.jit(jax.value_and_grad(mixture_objective))


def portfolio_value(rates, volatilities, z):
    """A column of rates a path. Unrolled, the steps take half a minute to compile; in a scan each
    computes all rates, and those that are fixed have no volatility."""
    n_steps, places = z.shape[1], np.arange(len(rates))

    def one(rates, step):
        n, normal = step
        volatility = jnp.where(places > n, volatilities[places - n - 1], 0.0)[:, None]
        scaled = DELTA * volatility
        drift = jnp.cumsum(scaled * rates / (1 + DELTA * rates), axis=0)
        growth = scaled * drift + volatility * (DELTA**0.5 * normal - 0.5 * scaled)
        return rates * jnp.exp(growth), None

    start = jnp.broadcast_to(rates[:, None], (len(rates), len(z)))
    rates, _ = jax.lax.scan(one, start, (np.arange(n_steps), z.T))
    discounts = (1 + DELTA * rates[:n_steps]).prod(axis=0)
    rates = rates[n_steps:]
    bonds = jnp.cumprod(1 / (1 + DELTA * rates), axis=0)
    annuities = DELTA * jnp.cumsum(bonds, axis=0)
    chosen = [(m - 1, s) for m, s in zip(MATURITIES, SWAP_RATES, strict=True) if m <= len(bonds)]
    at, swap_rates = (np.array(column) for column in zip(*chosen, strict=True))
    swaps = bonds[at] + swap_rates[:, None] * annuities[at] - 1
    return (100 * jax.nn.relu(-swaps).sum(axis=0) / discounts).sum()


class Libor(Lstm):
    def setup(self):
        names = ("rates", "volatilities", "z")
        self.inputs = [jnp.array(self.data[name]) for name in names]
        self.run = jax.jit(jax.value_and_grad(portfolio_value, argnums=(0, 1)))


def lennard_jones_energy(positions):
    first, second = np.tril_indices(len(positions), -1)
    inverse = 1 / ((positions[first] - positions[second]) ** 2).sum(1) ** 3
    return 4 * (inverse * inverse - inverse).sum()


class LennardJones(Lstm):
    def setup(self):
        self.inputs = [jnp.array(self.data["positions"])]
        self.run = jax.jit(jax.value_and_grad(lennard_jones_energy))


CASES = {
    "tiny": Tiny,
    "small": Small,
    "moons": looped(Moons, scheduled),
    "digits": looped(Digits, batches),
    "mnist_size": looped(MnistSize, batches),
    "names": looped(Names, documents),
    "rosenbrock": Rosenbrock,
    "black_scholes": BlackScholes,
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
    "options": Options,
    "functions": Functions,
    "kmeans": KMeans,
    "hand": Hand,
    "hand_large": Hand,
    "hand_complicated": HandComplicated,
    "ba": BundleAdjustment,
    "ba_large": BundleAdjustment,
}
