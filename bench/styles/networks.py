"""One network, 16-32-32-1 with tanh, in many ways of writing its sums.

A style is a function (layers) -> network, where layers is a list of (W, b), a row of W and a number
of b for each neuron, and network(x) gives one result from a list of inputs.
"""

import random
from functools import reduce
from itertools import pairwise

import numpy as np

import micrograd_fast as mg
from micrograd_fast import Value, functional, nn

SIZES = (16, 32, 32, 1)
STYLES = {}
PLAIN = "sum_with_start"  # what the others are compared with, in turns


def style(f):
    STYLES[f.__name__] = f
    return f


def network_of(neuron):
    """A style that is told by its neuron: (w, x, b) -> sum."""

    def make(layers):
        def network(x):
            for W, b in layers:
                x = [neuron(w, x, b_j).tanh() for w, b_j in zip(W, b)]
            return x[0]

        return network

    return make


def neuron_style(neuron):
    STYLES[neuron.__name__] = network_of(neuron)
    return neuron


# ---- where the bias stands, and which way the sum goes ----


@neuron_style
def sum_with_start(w, x, b):
    return sum((wi * xi for wi, xi in zip(w, x)), b)


@neuron_style
def sum_plus_bias(w, x, b):
    return sum(wi * xi for wi, xi in zip(w, x)) + b


@neuron_style
def bias_plus_sum(w, x, b):
    return b + sum(wi * xi for wi, xi in zip(w, x))


@neuron_style
def loop(w, x, b):
    s = b
    for wi, xi in zip(w, x):
        s = s + wi * xi
    return s


@neuron_style
def loop_in_place(w, x, b):
    s = 0
    for i in range(len(w)):
        s += w[i] * x[i]
    s += b
    return s


@neuron_style
def term_first(w, x, b):
    s = b
    for wi, xi in zip(w, x):
        s = wi * xi + s
    return s


@neuron_style
def inputs_first(w, x, b):
    return sum((xi * wi for wi, xi in zip(w, x)), b)


@neuron_style
def bias_in_the_middle(w, x, b):
    s = 0
    for i in range(len(w)):
        s = s + w[i] * x[i]
        if i == len(w) // 2:
            s = s + b
    return s


@neuron_style
def terms_in_a_list(w, x, b):
    terms = [b]
    terms += [wi * xi for wi, xi in zip(w, x)]
    return sum(terms)


@neuron_style
def reduced(w, x, b):
    return reduce(lambda s, t: s + t, [wi * xi for wi, xi in zip(w, x)]) + b


# ---- shapes of the sum ----


@neuron_style
def added_in_pairs(w, x, b):
    terms = [wi * xi for wi, xi in zip(w, x)] + [b]
    while len(terms) > 1:
        odd = terms[len(terms) // 2 * 2 :]
        terms = [s + t for s, t in zip(terms[::2], terms[1::2])] + odd
    return terms[0]


@neuron_style
def in_halves(w, x, b):
    def total(w, x):
        if len(w) == 1:
            return w[0] * x[0]
        half = len(w) // 2
        return total(w[:half], x[:half]) + total(w[half:], x[half:])

    return total(w, x) + b


@neuron_style
def four_partial_sums(w, x, b):
    parts = [sum(wi * xi for wi, xi in zip(w[k::4], x[k::4])) for k in range(4)]
    return (parts[0] + parts[1]) + (parts[2] + parts[3]) + b


@neuron_style
def two_blocks(w, x, b):
    half = len(w) // 2
    low = sum(wi * xi for wi, xi in zip(w[:half], x[:half]))
    high = sum(wi * xi for wi, xi in zip(w[half:], x[half:]))
    return low + high + b


@style
def in_random_shape(layers):
    draw = random.Random(1)
    shapes = {
        len(w): [(draw.randrange(n), draw.randrange(n - 1)) for n in range(len(w) + 1, 1, -1)]
        for W, _ in layers
        for w in W
    }

    def neuron(w, x, b):
        terms = [wi * xi for wi, xi in zip(w, x)] + [b]
        for i, j in shapes[len(w)]:
            s = terms.pop(i)
            terms.append(s + terms.pop(j))
        return terms[0]

    return network_of(neuron)(layers)


# ---- orders ----


@neuron_style
def backwards(w, x, b):
    return sum((wi * xi for wi, xi in zip(w[::-1], x[::-1])), b)


@neuron_style
def inputs_reversed(w, x, b):
    return sum((wi * xi for wi, xi in zip(w, x[::-1])), b)


@neuron_style
def shuffled_terms(w, x, b):
    n = len(w)  # a power of two
    return sum((w[(5 * i + 3) % n] * x[(5 * i + 3) % n] for i in range(n)), b)


@style
def random_terms_of_each(layers):
    """Each neuron adds its terms in an order of its own."""
    draw = random.Random(2)
    orders = [[draw.sample(range(len(w)), len(w)) for w in W] for W, _ in layers]

    def network(x):
        for (W, b), of_layer in zip(layers, orders):
            x = [
                sum((w[i] * x[i] for i in order), b_j).tanh()
                for w, b_j, order in zip(W, b, of_layer)
            ]
        return x[0]

    return network


@neuron_style
def sides_in_turn(w, x, b):
    return sum((w[i] * x[i] if i % 3 else x[i] * w[i] for i in range(len(w))), b)


# ---- signs ----


@neuron_style
def subtracted(w, x, b):
    s = b
    for wi, xi in zip(w, x):
        s -= wi * xi
    return s


@neuron_style
def minus_products(w, x, b):
    return sum((-(wi * xi) for wi, xi in zip(w, x)), b)


@neuron_style
def minus_weights(w, x, b):
    s = b
    for wi, xi in zip(w, x):
        s = s + (-wi) * xi
    return s


@neuron_style
def minus_inputs(w, x, b):
    return sum((wi * (-xi) for wi, xi in zip(w, x)), b)


@neuron_style
def bias_minus_sum(w, x, b):
    return b - sum(wi * xi for wi, xi in zip(w, x))


@neuron_style
def sum_minus_bias(w, x, b):
    return sum(wi * xi for wi, xi in zip(w, x)) - b


@neuron_style
def minus_all(w, x, b):
    return -(sum(wi * xi for wi, xi in zip(w, x)) + b)


@neuron_style
def signs_in_turn(w, x, b):
    s = b
    for i in range(len(w)):
        s = s + w[i] * x[i] if i % 2 else s - w[i] * x[i]
    return s


# ---- scales ----


@neuron_style
def terms_over_eight(w, x, b):
    return sum((wi * xi / 8 for wi, xi in zip(w, x)), b)


@neuron_style
def scaled_from_the_left(w, x, b):
    return sum((0.125 * wi * xi for wi, xi in zip(w, x)), b)


@neuron_style
def sum_over_eight(w, x, b):
    return sum(wi * xi for wi, xi in zip(w, x)) / 8 + b


@neuron_style
def mean_of_terms(w, x, b):
    return sum(wi * xi for wi, xi in zip(w, x)) / len(w) + b


@style
def masked_terms(layers):
    """A mask of numbers (dropout's) in each term."""
    masks = [[float(i % 3 != 1) for i in range(len(W[0]))] for W, _ in layers]

    def network(x):
        for (W, b), mask in zip(layers, masks):
            x = [
                sum((wi * xi * m for wi, xi, m in zip(w, x, mask)), b_j).tanh()
                for w, b_j in zip(W, b)
            ]
        return x[0]

    return network


@style
def times_a_parameter(layers):
    """Each term is scaled by one learned number."""
    scale = Value(0.5)

    def neuron(w, x, b):
        return sum((wi * xi * scale for wi, xi in zip(w, x)), b)

    return network_of(neuron)(layers)


@style
def residual(layers):
    """A layer's input is added to its sum, where it is as wide."""

    def network(x):
        for W, b in layers:
            s = [sum((wi * xi for wi, xi in zip(w, x)), b_j) for w, b_j in zip(W, b)]
            x = (
                [(s_j + x_j).tanh() for s_j, x_j in zip(s, x)]
                if len(s) == len(x)
                else [s_j.tanh() for s_j in s]
            )
        return x[0]

    return network


# ---- where the weights stand ----


@style
def by_column(layers):
    """W[i][j] of input i and neuron j: the columns were made one after the other."""
    columns = [([[Value(w[i].data) for w in W] for i in range(len(W[0]))], b) for W, b in layers]

    def network(x):
        for W, b in columns:
            x = [sum((W[i][j] * x[i] for i in range(len(x))), b[j]).tanh() for j in range(len(b))]
        return x[0]

    return network


@style
def weights_in_random_order(layers):
    """The parameters were made in random order."""
    places = [
        (k, j, i) for k, (W, _) in enumerate(layers) for j, w in enumerate(W) for i in range(len(w))
    ]
    random.Random(4).shuffle(places)
    made = {(k, j, i): Value(layers[k][0][j][i].data) for k, j, i in places}
    shuffled = [
        ([[made[k, j, i] for i in range(len(w))] for j, w in enumerate(W)], b)
        for k, (W, b) in enumerate(layers)
    ]
    return network_of(sum_with_start)(shuffled)


@style
def weights_with_gaps(layers):
    """Between one weight and the next another Value was made."""
    gaps = []

    def made(w):
        gaps.append(Value(0.0))
        return Value(w.data)

    spread = [([[made(w_i) for w_i in w] for w in W], b) for W, b in layers]

    def network(x, gaps=gaps):
        return network_of(sum_with_start)(spread)(x)

    return network


@style
def weights_every_other(layers):
    """Of each pair of parameters one layer uses the first: the weights stand two apart."""
    pairs = [([[(Value(w_i.data), Value(0.5)) for w_i in w] for w in W], b) for W, b in layers]

    def network(x):
        decay = 0
        for W, b in pairs:
            x = [
                sum((w_i * x_i for (w_i, _), x_i in zip(w, x)), b_j).tanh() for w, b_j in zip(W, b)
            ]
            decay = decay + sum(v for w in W for _, v in w)
        return x[0] + 0.0 * decay

    return network


# ---- helpers and arrays ----


@neuron_style
def helper_dot(w, x, b):
    return functional.dot(w, x) + b


@neuron_style
def helper_sum(w, x, b):
    return functional.sum([wi * xi for wi, xi in zip(w, x)]) + b


@style
def object_arrays(layers):
    """W @ x + b on object arrays."""
    arrays = [(np.array(W, dtype=object), np.array(b, dtype=object)) for W, b in layers]

    def network(x):
        h = np.array(x, dtype=object)
        for W, b in arrays:
            h = np.tanh(W @ h + b)
        return h[0]

    return network


@style
def object_rows(layers):
    """np.dot of rows and np.sum of products of object arrays."""
    arrays = [(np.array(W, dtype=object), b) for W, b in layers]

    def network(x):
        for W, b in arrays:
            h = np.array(x, dtype=object)
            x = [(np.sum(w * h) + b_j).tanh() for w, b_j in zip(W, b)]
        return x[0]

    return network


@style
def modules(layers):
    """nn.MLP with the same numbers."""
    model = nn.MLP(SIZES[0], list(SIZES[1:]), activation="tanh")
    for layer, (W, b) in zip(model.layers, layers):
        for neuron, w, b_j in zip(layer.neurons, W, b):
            neuron.b.data = b_j.data
            for v, w_i in zip(neuron.w, w):
                v.data = w_i.data
    return lambda x: model(x).tanh()


@neuron_style
def squared_distance(w, x, b):
    return 0.05 * sum((xi - wi) ** 2 for wi, xi in zip(w, x)) + b


@neuron_style
def squared_distance_product(w, x, b):
    return 0.05 * sum((xi - wi) * (xi - wi) for wi, xi in zip(w, x)) + b


def make_layers(seed=0):
    draw = random.Random(seed)
    layers = []
    for n_in, n_out in pairwise(SIZES):
        W, b = [], []
        for _ in range(n_out):
            W.append([Value(draw.uniform(-1, 1) / n_in**0.5) for _ in range(n_in)])
            b.append(Value(draw.uniform(-0.1, 0.1)))
        layers.append((W, b))
    return layers


# ---- as calls ----


def calls(samples):
    """By name, a call of the compiled network over a batch with the gradient of its mean."""
    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(samples, SIZES[0])), rng.normal(size=samples)
    return {name: call_of(make(make_layers()), X, t) for name, make in STYLES.items()}


def call_of(network, X, t):
    loss = mg.compile(lambda x, t: (network(x) - t) ** 2, batch=True)
    return lambda: loss(X, t).mean().backward()


LIMITS = {"weights_in_random_order": 2.0, "random_terms_of_each": 2.0}

# Whose network is another function than that of the others: signs, scales, orders of the inputs.
OTHER_FUNCTIONS = {
    *("subtracted", "minus_products", "minus_weights", "minus_inputs", "minus_all"),
    *("bias_minus_sum", "sum_minus_bias", "signs_in_turn", "inputs_reversed", "residual"),
    *("terms_over_eight", "sum_over_eight", "mean_of_terms", "scaled_from_the_left"),
    *("masked_terms", "times_a_parameter", "squared_distance", "squared_distance_product"),
}
