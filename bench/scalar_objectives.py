"""Objectives from the literature on automatic differentiation, as plain scalar formulas.

lstm and gmm are those of ADBench (Srajer, Kukelova, Fitzgibbon 2018), libor is the portfolio of
Giles and Glasserman (Smoking Adjoints, 2006), lennard_jones the textbook's potential. The formulas
ask of a Value what micrograd's has, and exp, log, tanh; nothing in them knows the engine.
"""

import math
from itertools import pairwise

from .scalar import ScalarCase

# ---- lstm: a recurrent network ----


def sigmoid(x):
    return 1 / (1 + (-x).exp())


def lstm_layer(weights, biases, hidden, cell, x):
    """One step of a layer whose gates look at one input each: new hidden and cell states."""
    forget_w, in_w, out_w, change_w = weights
    forget_b, in_b, out_b, change_b = biases
    new_hidden, new_cell = [], []
    for i in range(len(x)):
        forget_gate = sigmoid(x[i] * forget_w[i] + forget_b[i])
        in_gate = sigmoid(hidden[i] * in_w[i] + in_b[i])
        out_gate = sigmoid(x[i] * out_w[i] + out_b[i])
        change = (hidden[i] * change_w[i] + change_b[i]).tanh()
        new_cell.append(cell[i] * forget_gate + in_gate * change)
        new_hidden.append(out_gate * new_cell[i].tanh())
    return new_hidden, new_cell


def lstm_loss(parameters, state, sequence):
    """How badly the network predicts each row of a sequence from those before it.

    parameters: rows of four weights and four biases for each layer, then three rows for the input
    and the output; state: hidden and cell rows for each layer."""
    *layers, in_weight, out_weight, out_bias = parameters
    states = list(state)
    total = 0.0
    for x, target in pairwise(sequence):
        x = [v * w for v, w in zip(x, in_weight, strict=True)]
        for k in range(0, len(states), 2):
            weights, biases = layers[4 * k : 4 * k + 4], layers[4 * k + 4 : 4 * k + 8]
            states[k], states[k + 1] = lstm_layer(weights, biases, states[k], states[k + 1], x)
            x = states[k]
        predicted = [v * w + b for v, w, b in zip(x, out_weight, out_bias, strict=True)]
        log_sum = (sum(p.exp() for p in predicted) + 2).log()
        total += sum(t * (p - log_sum) for t, p in zip(target, predicted, strict=True))
    return -total / ((len(sequence) - 1) * len(out_bias))


# ---- gmm: a mixture of Gaussians ----


def times_factor(diagonal, below, x):
    """Q x, for a lower triangular Q: its diagonal, and its columns below that."""
    out = [q * v for q, v in zip(diagonal, x, strict=True)]
    k = 0
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            out[j] = out[j] + below[k] * x[i]
            k += 1
    return out


class Mixture:
    """Gaussians by their logits, means, and a factor Q of each inverse covariance: the logarithms
    of its diagonal and what is below that."""

    def __init__(self, logits, means, log_diagonals, below, log_sum_exp):
        self.logits, self.means = logits, means
        self.log_diagonals, self.below = log_diagonals, below
        self.log_sum_exp = log_sum_exp

    def parameters(self):
        parts = [self.logits, *self.means, *self.log_diagonals, *self.below]
        return [p for part in parts for p in part]

    def log_likelihood(self, x):
        """Of one point, but for a constant."""
        terms = []
        for k, mean in enumerate(self.means):
            diagonal = [q.exp() for q in self.log_diagonals[k]]
            centered = [a - b for a, b in zip(x, mean, strict=True)]
            scaled = times_factor(diagonal, self.below[k], centered)
            square = sum(v**2 for v in scaled)
            terms.append(self.logits[k] + sum(self.log_diagonals[k]) - 0.5 * square)
        return self.log_sum_exp(terms) - self.log_sum_exp(self.logits)

    def log_prior(self):
        """A Wishart distribution's, of all factors, but for a constant."""
        total = 0.0
        for log_diagonal, below in zip(self.log_diagonals, self.below, strict=True):
            norm = sum(q.exp() ** 2 for q in log_diagonal) + sum(v**2 for v in below)
            total += 0.5 * norm
        return -total


def mixture(data, number, log_sum_exp):
    """The Mixture of a workload's data; number(x) makes a Value."""

    def rows(name):
        return [[number(v) for v in row] for row in data[name].tolist()]

    logits = [number(v) for v in data["logits"].tolist()]
    return Mixture(logits, rows("means"), rows("log_diagonals"), rows("below"), log_sum_exp)


# ---- libor: swaptions in a market model of interest rates ----

MATURITIES = (4, 4, 4, 8, 8, 8, 20, 20, 20, 28, 28, 28, 40, 40, 40)
SWAP_RATES = (0.045, 0.05, 0.055) * 5
DELTA = 0.25  # years from one forward rate to the next


def rates_after(rates, volatilities, z):
    """Forward rates at the end of a path, which a normal number z[n] drives in step n."""
    rates = list(rates)
    for n in range(len(z)):
        drift = 0.0
        for i in range(n + 1, len(rates)):
            volatility = volatilities[i - n - 1]
            scaled = DELTA * volatility
            drift += scaled * rates[i] / (1 + DELTA * rates[i])
            growth = scaled * drift + volatility * (math.sqrt(DELTA) * z[n] - 0.5 * scaled)
            rates[i] = rates[i] * growth.exp()
    return rates


def portfolio_value(rates, n_steps):
    """Of swaptions, discounted; those that would begin after the last rate are left out."""
    bond, annuity = 1.0, 0.0
    bonds, annuities = [], []
    for rate in rates[n_steps:]:
        bond = bond / (1 + DELTA * rate)
        annuity = annuity + DELTA * bond
        bonds.append(bond)
        annuities.append(annuity)
    value = 0.0
    for maturity, swap_rate in zip(MATURITIES, SWAP_RATES, strict=True):
        if maturity <= len(bonds):
            swap = bonds[maturity - 1] + swap_rate * annuities[maturity - 1] - 1
            value += 100 * (-swap).relu()
    for rate in rates[:n_steps]:
        value = value / (1 + DELTA * rate)
    return value


def path_value(rates, volatilities, z):
    return portfolio_value(rates_after(rates, volatilities, z), len(z))


# ---- lennard_jones: the energy of some atoms ----


def lennard_jones_energy(positions):
    """Of atoms at the rows of an (n, 3) array."""
    energy = 0.0
    for i in range(len(positions)):
        for j in range(i):
            dx = positions[i][0] - positions[j][0]
            dy = positions[i][1] - positions[j][1]
            dz = positions[i][2] - positions[j][2]
            inverse = 1 / (dx * dx + dy * dy + dz * dz) ** 3
            energy += 4 * (inverse * inverse - inverse)
    return energy


# ---- as graphs, one a step ----


class Objective(ScalarCase):
    def values(self, rows):
        return [[self.Value(v) for v in row] for row in rows.tolist()]

    def numbers(self, out):
        value, leaves = out
        return {"value": [value], "grad": [v.grad for v in leaves]}


class Lstm(Objective):
    def step(self):
        parameters = self.values(self.data["parameters"])
        loss = lstm_loss(parameters, self.data["state"].tolist(), self.data["sequence"].tolist())
        loss.backward()
        return loss.data, [p for row in parameters for p in row]


class Gmm(Objective):
    def step(self):
        model = mixture(self.data, self.Value, self.kit.log_sum_exp)
        total = 0.0
        for point in self.data["points"].tolist():
            likelihood = model.log_likelihood(point)
            likelihood.backward()
            total += likelihood.data
        prior = model.log_prior()
        prior.backward()
        return total + prior.data, model.parameters()


class Libor(Objective):
    def step(self):
        (rates,), (volatilities,) = (
            self.values(self.data[name][None]) for name in ("rates", "volatilities")
        )
        total = 0.0
        for z in self.data["z"].tolist():
            value = path_value(rates, volatilities, z)
            value.backward()
            total += value.data
        return total, rates + volatilities


class LennardJones(Objective):
    def step(self):
        positions = self.values(self.data["positions"])
        energy = lennard_jones_energy(positions)
        energy.backward()
        return energy.data, [v for row in positions for v in row]
