# %% [markdown]
# # The law in the blood: fitting a formula with L-BFGS-B
#
# scikit-learn's diabetes data holds the blood values of 442 patients: total cholesterol, HDL, LDL
# and the logarithm of the triglycerides. Laboratories long computed LDL instead of measuring it, by
# Friedewald's formula of 1972: what is neither HDL nor carried with the triglycerides,
#
#     LDL = total - HDL - triglycerides / 5        (mg/dl)
#
# Did this laboratory? The formula with free constants, as plain scalar code, is compiled into value
# and gradient, and SciPy finds the constants.
#
# Needs `pip install 'micrograd-fast[examples]'`.

# %% tags=["parameters"]
PATIENTS = 442

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_diabetes

import micrograd_fast as mg

blood = load_diabetes(scaled=False).data[:PATIENTS, 4:9]
total, ldl, hdl, _, log_triglycerides = blood.T
print(f"{len(blood)} patients, LDL {ldl.mean():.0f} +- {ldl.std():.0f} mg/dl")

# %% [markdown]
# The LDL of one patient, and the loss, which is robust: quadratic near 0, linear far away, for
# somebody may have typed a wrong number.

# %%
a, b, share, exponent = constants = [mg.Value(x) for x in (0.5, 0.5, 0.1, 0.9)]


def formula(total, hdl, log_triglycerides):
    return a * total - b * hdl - share * (exponent * log_triglycerides).exp()


@mg.compile(batch=True)
def misfit(total, hdl, log_triglycerides, ldl):
    residual = formula(total, hdl, log_triglycerides) - ldl
    return (1.0 + residual * residual).sqrt() - 1.0


# %% [markdown]
# SciPy hands over a vector; it goes into the constants, and value and gradient come back.


# %%
def value_and_grad(x):
    for constant, number in zip(constants, x, strict=True):
        constant.data = number
    return misfit.value_and_grad(total, hdl, log_triglycerides, ldl, params=constants)


fit = minimize(
    value_and_grad,
    [constant.data for constant in constants],
    jac=True,
    method="L-BFGS-B",
    bounds=[(0, 2), (0, 2), (0, 1), (0.5, 1.5)],
    options={"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-9},
)
print(f"{fit.message}: {fit.nfev} evaluations, misfit {fit.fun:.2e}")
print("LDL = {:.4f} total - {:.4f} HDL - {:.4f} triglycerides^{:.4f}".format(*fit.x))

# %%
predicted = mg.compile(formula, batch=True)(total, hdl, log_triglycerides).data
difference = np.abs(predicted - ldl)
print(f"over 0.1 mg/dl off: {(difference > 0.1).sum()} patients, at most {difference.max():.2f}")

figure, axes = plt.subplots(figsize=(5, 4.5), layout="constrained")
axes.axline((100, 100), slope=1, color="gray", linewidth=1)
axes.scatter(predicted, ldl, s=12)
axes.set_xlabel("LDL by the fitted formula, mg/dl")
axes.set_ylabel("LDL in the data, mg/dl")
figure.savefig("cholesterol.png")
