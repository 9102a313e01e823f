"""Fits a scalar model with SciPy's L-BFGS-B: a vector in, value and gradient out.

The data is scikit-learn's diabetes progression (442 patients, 10 measurements), the model a small
network with least squares and a penalty. Needs: pip install 'micrograd-fast[demo]' scipy
"""

import random

import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_diabetes

import micrograd_fast as mg
from micrograd_fast import nn
from micrograd_fast.nn.utils import parameters_to_vector, vector_to_parameters

random.seed(1337)
X, y = load_diabetes(return_X_y=True)
X = X / X.std(axis=0)
y = (y - y.mean()) / y.std()
model = nn.MLP(10, [8, 1], activation="tanh")
parameters = model.parameters()


@mg.compile(batch=True)
def loss(x, target):
    """The loss of one patient; the penalty is the same for all."""
    return (model(x) - target) ** 2 + 1e-2 * sum(p * p for p in parameters)


def value_and_grad(theta):
    vector_to_parameters(theta, parameters)
    return loss.value_and_grad(X, y, params=parameters)


fit = minimize(value_and_grad, parameters_to_vector(parameters), jac=True, method="L-BFGS-B")
vector_to_parameters(fit.x, parameters)
with mg.no_grad():
    predicted = mg.compile(model, batch=True)(X).data
explained = 1 - np.mean((predicted - y) ** 2)
print(f"{fit.nit} iterations, loss {fit.fun:.4f}, {explained:.0%} of the variance explained")
