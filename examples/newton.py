# %% [markdown]
# # Newton's method on a thousand numbers
#
# Rosenbrock's function is a curved, nearly flat valley. The Hessian of 1,000 numbers has a million
# entries, of which all but 2,998 are 0 for good: with `sparse=True` these alone are computed, and
# Newton's method takes steps that SciPy solves for in a fraction of a millisecond.
#
# Needs `pip install 'micrograd-fast[examples]'`.

# %% tags=["parameters"]
NUMBERS = 1000

# %%
from itertools import pairwise
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from scipy.sparse import eye_array
from scipy.sparse.linalg import spsolve

import micrograd_fast as mg
from micrograd_fast import viz


@mg.compile
def rosenbrock(x):
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x))


start = np.random.default_rng(0).normal(0.5, 0.4, NUMBERS)
pattern = rosenbrock.hessian(start, sparse=True)
print(f"{pattern.nnz:,} of {NUMBERS**2:,} second derivatives are not 0 for good")

# %% [markdown]
# A step s solves (H + r I) s = -g. Where it leads down r is made smaller, in the end 0, which is
# Newton's own step; where it does not r is made larger, and the step shorter.


# %%
def newton(x):
    """(The point where the gradient is 0, the largest number of the gradient at each step)"""
    identity, r, sizes = eye_array(len(x), format="csr"), 1.0, []
    value, gradient = rosenbrock.value_and_grad(x)
    while np.abs(gradient).max() > 1e-10 and len(sizes) < 5000:
        sizes.append(np.abs(gradient).max())
        step = spsolve(rosenbrock.hessian(x, sparse=True) + r * identity, -gradient)
        if rosenbrock.values(x + step) < value:
            x = x + step
            value, gradient = rosenbrock.value_and_grad(x)
            r = r / 4 if r > 1e-9 else 0.0
        else:
            r = max(4 * r, 1e-3)
    return x, [*sizes, np.abs(gradient).max()]


begin = perf_counter()
found, sizes = newton(start)
seconds = perf_counter() - begin
print(f"Newton:   {len(sizes) - 1:4} steps, {seconds:.2f} s, gradient {sizes[-1]:.0e}")
print(f"farthest from the minimum, where all are 1: {np.abs(found - 1).max():.0e}")

# %% [markdown]
# Without a Hessian: SciPy's L-BFGS-B has the gradient alone, its trust-region method the product of
# the Hessian with a direction, `hessp=f.hvp`.

# %%
curves = {"Newton, sparse Hessian": sizes}
for method, given in {"L-BFGS-B": {}, "trust-ncg": {"hessp": rosenbrock.hvp}}.items():
    points = []
    begin = perf_counter()
    fit = minimize(
        rosenbrock.value_and_grad, start, jac=True, method=method, callback=points.append, **given
    )
    seconds = perf_counter() - begin
    curves[method] = [np.abs(rosenbrock.grad(x)).max() for x in points]
    print(f"{method:9} {fit.nit:4} steps, {seconds:.2f} s, gradient {curves[method][-1]:.0e}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
viz.spy(rosenbrock.hessian(start[:20], sparse=True), axes=left)
left.set_title("the Hessian of 20 numbers")
for name, numbers in curves.items():
    right.semilogy(numbers, label=name)
right.set_xlabel("step")
right.set_ylabel("largest of the gradient")
right.legend()
figure.savefig("newton.png")
