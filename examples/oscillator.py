# %% [markdown]
# # Eight measurements and a law
#
# A mass on a spring was measured eight times, with errors, in 1.2 seconds. Its law is known but
# for two constants: u'' + 2 d u' + k u = 0. A small network u(t) is fitted to the measurements and
# to the law at once: a second derivative of the network stands in the loss, and the gradient by
# the weights, the damping d and the stiffness k is a derivative of third order.
#
# Needs `pip install 'micrograd-fast[examples]'`.

# %% tags=["parameters"]
STEPS = 3000

# %%
import random
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import micrograd_fast as mg
from micrograd_fast import Value, nn

DAMPING, STIFFNESS = 0.8, 40.0


def truth(t):
    w = np.sqrt(STIFFNESS - DAMPING**2)
    return np.exp(-DAMPING * t) * np.cos(w * t)


rng = np.random.default_rng(1)
measured_at = np.linspace(0.0, 1.2, 8)
measured = truth(measured_at) + rng.normal(0.0, 0.02, len(measured_at))
times = np.linspace(0.0, 3.0, 60)  # where the law is to hold

# %% [markdown]
# The network sees the time between -1 and 1. `mg.grad` of it is a function of Values like any
# other.

# %%
random.seed(3)
net = nn.MLP(1, [16, 16, 1], activation="tanh")
damping, stiffness = Value(0.1, label="d"), Value(30.0, label="k")


def u(t):
    return net([t * (2 / 3) - 1.0])


@mg.compile(batch=True)
def law(t):
    slope = mg.grad(u)
    left = mg.grad(slope)(t) + 2 * damping * slope(t) + stiffness * u(t)
    return (left / 40) ** 2  # of the size of u


@mg.compile(batch=True)
def error(t, x):
    return (u(t) - x) ** 2


params = [*net.parameters(), damping, stiffness]


def value_and_grad(x):
    nn.utils.vector_to_parameters(x, params)
    misfit, one = error.value_and_grad(measured_at, measured, params=params)
    broken, other = law.value_and_grad(times, params=params)
    return misfit + broken, one + other


begin = perf_counter()
start = nn.utils.parameters_to_vector(params)
options = {"maxiter": STEPS, "maxfun": 2 * STEPS, "ftol": 0.0, "gtol": 1e-9}
fit = minimize(value_and_grad, start, jac=True, method="L-BFGS-B", options=options)
value_and_grad(fit.x)
seconds = perf_counter() - begin
print(f"{fit.nfev:,} evaluations by {start.size} numbers in {seconds:.1f} s, loss {fit.fun:.2e}")
print(f"damping   {damping.data:6.3f}  (true: {DAMPING})")
print(f"stiffness {stiffness.data:6.2f}  (true: {STIFFNESS})")

# %% [markdown]
# How far is the network from the motion, in the 1.8 seconds too in which nothing was measured?

# %%
fine = np.linspace(0.0, 3.0, 400)
found = mg.compile(u, batch=True).values(fine)
print(f"largest error after the last measurement: {np.abs(found - truth(fine))[160:].max():.3f}")

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
axes.plot(fine, truth(fine), color="gray", label="the motion")
axes.plot(fine, found, "--", label="the network")
axes.plot(measured_at, measured, "o", label="measured")
axes.set_xlabel("t")
axes.set_ylabel("u(t)")
axes.legend()
figure.savefig("oscillator.png")
