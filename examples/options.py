# %% [markdown]
# # All the Greeks of 100,000 options
#
# The Black-Scholes price of a European call, written as a scalar formula. Its gradient, for every
# option at once, is delta, vega, theta and rho. The Greeks of second order, gamma among them, are
# its Hessian.
#
# Needs `pip install 'micrograd-fast[examples]'`.

# %% tags=["parameters"]
OPTIONS = 100_000

# %%
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm

import micrograd_fast as mg

rng = np.random.default_rng(5)
low, high = [80.0, 80.0, 0.25, 0.01, 0.1], [120.0, 120.0, 2.0, 0.05, 0.5]
options = rng.uniform(low, high, (OPTIONS, 5))  # spot, strike, years, rate, volatility

# %% [markdown]
# `ndtr` is the normal distribution, an op like `exp`, with derivatives of every order.


# %%
def d1(spot, strike, years, rate, volatility):
    drift = (rate + volatility * volatility / 2) * years
    return ((spot / strike).log() + drift) / (volatility * years.sqrt())


@mg.compile(batch=True)
def price(option):
    spot, strike, years, rate, volatility = option
    d = d1(*option)
    later = d - volatility * years.sqrt()
    return spot * d.ndtr() - strike * (-rate * years).exp() * later.ndtr()


# %%
begin = perf_counter()
prices, first = price.value_and_grad(options)
second = price.hessian(options)
seconds = perf_counter() - begin
greeks = {
    "delta": first[:, 0],
    "vega": first[:, 4],
    "theta": -first[:, 2],
    "rho": first[:, 3],
    "gamma": second[:, 0, 0],
    "vanna": second[:, 0, 4],
    "charm": -second[:, 0, 2],
    "volga": second[:, 4, 4],
    "veta": -second[:, 4, 2],
}
print(
    f"{OPTIONS:,} prices and {len(greeks)} Greeks of each: {seconds * 1e3:.0f} ms with the traces"
)
for name, values in greeks.items():
    print(f"{name:>6}: {values.min():10.4f} to {values.max():10.4f}, mean {values.mean():10.4f}")

# %% [markdown]
# ## Are they right?
#
# SciPy's normal distribution gives the same prices and, by the textbook's formulas, the same
# Greeks.

# %%
spot, strike, years, rate, volatility = options.T
width = volatility * np.sqrt(years)
d = (np.log(spot / strike) + (rate + volatility**2 / 2) * years) / width
discounted = strike * np.exp(-rate * years)
textbook = {
    "price": (prices, spot * norm.cdf(d) - discounted * norm.cdf(d - width)),
    "delta": (greeks["delta"], norm.cdf(d)),
    "vega": (greeks["vega"], spot * norm.pdf(d) * np.sqrt(years)),
    "gamma": (greeks["gamma"], norm.pdf(d) / (spot * width)),
    "vanna": (greeks["vanna"], -norm.pdf(d) * (d - width) / volatility),
    "volga": (
        greeks["volga"],
        spot * norm.pdf(d) * np.sqrt(years) * d * (d - width) / volatility,
    ),
    "theta": (
        greeks["theta"],
        -spot * norm.pdf(d) * volatility / (2 * np.sqrt(years))
        - rate * discounted * norm.cdf(d - width),
    ),
    "rho": (greeks["rho"], years * discounted * norm.cdf(d - width)),
}
for name, (ours, theirs) in textbook.items():
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    print(f"{name}: differs by {error:.1e} of its largest value")
    assert error < 1e-12

# %%
figure, cells = plt.subplots(3, 3, figsize=(9, 6), layout="constrained", sharex=True)
moneyness = spot / strike
shown = slice(0, 1000)
for cell, (name, values) in zip(cells.ravel(), greeks.items(), strict=True):
    dots = cell.scatter(moneyness[shown], values[shown], c=years[shown], s=2)
    cell.set_title(name)
for cell in cells[-1]:
    cell.set_xlabel("spot / strike")
figure.colorbar(dots, ax=cells, label="years")
figure.savefig("options.png")

# %% [markdown]
# ## A rule with a cap
#
# A call that pays 20 at most has a formula too: it is the difference of two calls. Most rules that
# people agree on have none, and are simulated. Here the payoff is written as it is told, with
# `mg.where`, and the derivatives of each simulated path are those of the arm that it took. Their
# means are the Greeks.


# %%
@mg.compile(batch=True)
def capped(option, shock):
    spot, strike, years, rate, volatility = option
    drift = (rate - volatility * volatility / 2) * years
    end = spot * (drift + volatility * years.sqrt() * shock).exp()
    gain = mg.where(end > strike, end - strike, 0.0)
    return mg.where(gain < 20, gain, 20.0) * (-rate * years).exp()


one = np.array([100.0, 105.0, 1.0, 0.03, 0.2])
shocks = norm.ppf((np.arange(OPTIONS) + 0.5) / OPTIONS)  # evenly likely, instead of random
paths = np.tile(one, (OPTIONS, 1))
payoffs, path_slopes = capped.value_and_grad(paths, shocks, argnums=0)
simulated, slopes = payoffs.mean(), path_slopes.mean(axis=0)
further = np.array([0.0, 20.0, 0.0, 0.0, 0.0])
pair = np.array([one, one + further])
(low_price, high_price), (low_slopes, high_slopes) = price.value_and_grad(pair)
exact, exact_slopes = low_price - high_price, low_slopes - high_slopes
print(f"price {simulated:.5f}, by the formula {exact:.5f}")
for name, k in {"delta": 0, "vega": 4, "rho": 3}.items():
    print(f"{name} {slopes[k]:.4f}, by the formula {exact_slopes[k]:.4f}")
    assert abs(slopes[k] - exact_slopes[k]) < 30 / OPTIONS * max(1, abs(exact_slopes[k]))
