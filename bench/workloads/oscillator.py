"""Least squares on a damped oscillation: the Jacobian of its residuals by the four parameters."""

import numpy as np

TITLE = "oscillator: Jacobian of 200 residuals of a damped oscillation by 4 parameters"
WORDS = "Jacobian of a curve fit, 200 x 4"
UNIT = "Jacobian"
FULL = {"n": 200}
TOY = {"n": 7}


def make(n):
    return {
        "parameters": np.array([1.0, 0.3, 2.0, 0.1]),
        "times": np.linspace(0.0, 5.0, n),
        "seen": np.random.default_rng(1).normal(size=n),
    }
