# %% [markdown]
# # When did the Nile change?
#
# The yearly flow of the Nile at Aswan, 1871 to 1970, is the textbook's series for state space
# models (Durbin and Koopman, 2012): a level that wanders, seen through noise. A Kalman filter goes
# along the series and says what it expects each year; how likely it makes what came is the
# likelihood of the two variances. Written as a loop of scalars it compiles, and its gradient is
# what L-BFGS-B needs.
#
# Needs `pip install 'micrograd-fast[examples]'`.

# %%
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import statsmodels.api as sm
from scipy.optimize import minimize

import micrograd_fast as mg

nile = sm.datasets.nile.load_pandas().data
year, flow = nile["year"].to_numpy(), nile["volume"].to_numpy()
print(f"{len(flow)} years, {flow.min():.0f} to {flow.max():.0f} (10^8 m^3)")

# %% [markdown]
# Of the first year nothing is known before: it is where the filter starts. The numbers that are
# fitted are logarithms, so that variances stay positive.


# %%
def filtered(logs, flow):
    """Expected levels, their variances, and minus the log likelihood."""
    noise, change = (v.exp() * 1e4 for v in logs)
    level, variance = flow[0], noise + change
    levels, variances, loss = [], [], 0.0
    for seen in flow[1:]:
        surprise, spread = seen - level, variance + noise
        loss = loss + 0.5 * (np.log(2 * np.pi) + spread.log() + surprise * surprise / spread)
        gain = variance / spread
        levels.append(level)
        variances.append(variance)
        level = level + gain * surprise
        variance = variance * (1 - gain) + change
    return levels, variances, loss


loss = mg.compile(lambda logs, flow: filtered(logs, flow)[2])
start = np.zeros(2)
loss.value_and_grad(start, flow)  # the trace
begin = perf_counter()
best = minimize(
    loss.value_and_grad, start, args=(flow,), jac=True, method="L-BFGS-B", options={"gtol": 1e-9}
)
seconds = perf_counter() - begin
noise, change = np.exp(best.x) * 1e4
print(f"variances {noise:.0f} and {change:.0f}, log likelihood {-best.fun:.4f}")
print(f"{best.nfev} evaluations in {seconds * 1e3:.1f} ms")

# %% [markdown]
# ## Is it right?
#
# The book has 15,099 and 1,469.1. The standard errors come of the Hessian of the same function.

# %%
assert abs(noise / 15099 - 1) < 1e-3 and abs(change / 1469.1 - 1) < 1e-3
errors = np.sqrt(np.diag(np.linalg.inv(loss.hessian(best.x, flow))))
for name, value, error in zip(("noise", "change"), (noise, change), errors, strict=True):
    print(f"{name}: {value:.0f}, 95 % from {value * np.exp(-1.96 * error):.0f}", end=" ")
    print(f"to {value * np.exp(1.96 * error):.0f}")

model = sm.tsa.UnobservedComponents(flow, "llevel")
theirs = model.loglike([noise, change])
print(f"statsmodels: log likelihood {theirs:.4f}")

# %% [markdown]
# The level, a year ahead, and what it leaves open. It falls about 1899, when the old dam was begun.

# %%
levels, variances, _ = mg.compile(filtered).values(best.x, flow)
levels, variances = np.array(levels[1:], float), np.array(variances[1:], float)
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
axes.plot(year, flow, ".", label="flow")
axes.plot(year[2:], levels, label="expected")
band = 1.96 * np.sqrt(variances + noise)
axes.fill_between(year[2:], levels - band, levels + band, alpha=0.2, label="95 %")
axes.set_ylabel("10^8 m^3 a year")
axes.legend()
figure.savefig("nile.png")
