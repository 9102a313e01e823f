"""Predators and prey by Runge-Kutta steps: how both depend on the four parameters at every time."""

import numpy as np

TITLE = "lotka_volterra: Jacobian of 200 RK4 steps of predators and prey by 4 parameters"
WORDS = "Jacobian of an ODE's solution, 400 x 4"
UNIT = "Jacobian"
FULL = {"steps": 200}
TOY = {"steps": 3}


def make(steps):
    return {
        "parameters": np.array([1.1, 0.4, 0.4, 0.1]),
        "start": np.array([1.0, 0.5]),
        "step": 0.05,
        "steps": steps,
    }
