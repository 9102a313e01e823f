# %% [markdown]
# # How well are the constants known?
#
# The speed of a reaction by the amount of substance, for an enzyme that was treated with puromycin
# and for one that was not (Treloar 1974; data set A1.3 of Bates and Watts, *Nonlinear Regression
# Analysis*, 1988). The law is Michaelis and Menten's, V x / (K + x). Least squares needs the
# Jacobian of the residuals, and the same Jacobian says how far V and K can be trusted.
#
# Needs `pip install 'micrograd-fast[examples]'`.

# %% tags=["parameters"]
POINTS = 200

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import least_squares
from scipy.stats import t as student

import micrograd_fast as mg

amount = np.repeat([0.02, 0.06, 0.11, 0.22, 0.56, 1.10], 2)
speeds = {
    "treated": np.array([76.0, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200]),
    "untreated": np.array([67.0, 51, 84, 86, 98, 115, 131, 124, 144, 158, 160]),
}


def speed(constants, x):
    v, k = constants
    return v * x / (k + x)


@mg.compile
def residuals(constants, x, y):
    return [speed(constants, a) - b for a, b in zip(x, y, strict=True)]


curve = mg.compile(lambda constants, x: [speed(constants, a) for a in x])

# %% [markdown]
# The residuals that are left have the variance s². Then s² (J' J)⁻¹ is the covariance of the
# constants, and with the row g of the curve's Jacobian g (J' J)⁻¹ g' s² the variance of the curve
# at a point.

# %%
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
grid = np.linspace(0.0, 1.2, POINTS)
for name, y in speeds.items():
    x = amount[: len(y)]
    start = [y.max(), 0.1]
    fit = least_squares(residuals.values, start, jac=residuals.jacobian, args=(x, y), x_scale="jac")
    free = len(y) - len(fit.x)
    jacobian = residuals.jacobian(fit.x, x, y)
    covariance = np.linalg.inv(jacobian.T @ jacobian) * np.sum(fit.fun**2) / free
    errors = np.sqrt(np.diag(covariance))
    factor = student.ppf(0.975, free)
    print(f"{name}: {fit.nfev} evaluations")
    for letter, value, error in zip("VK", fit.x, errors, strict=True):
        low, high = value - factor * error, value + factor * error
        print(f"  {letter} = {value:9.5f} +- {error:.5f}, 95 %: {low:.4f} to {high:.4f}")
    rows = curve.jacobian(fit.x, grid)
    width = factor * np.sqrt(np.einsum("ij,jk,ik->i", rows, covariance, rows))
    middle = curve.values(fit.x, grid)
    (line,) = axes.plot(grid, middle)
    axes.fill_between(grid, middle - width, middle + width, alpha=0.2, color=line.get_color())
    axes.plot(x, y, "o", color=line.get_color(), label=name)
axes.set_xlabel("substance, ppm")
axes.set_ylabel("speed, counts / min²")
axes.legend()
figure.savefig("enzyme.png")

# %% [markdown]
# R's `nls` and Bates and Watts have V = 212.7 ± 6.947 and K = 0.06412 ± 0.008281 for the treated
# enzyme, V = 160.3 ± 6.480 and K = 0.04771 ± 0.007782 for the other.
