"""Giles and Glasserman's portfolio: its value over random paths, with all Greeks."""

import numpy as np

TITLE = "libor: 15 swaptions over 1,000 paths of 80 rates, value and 160 Greeks"
WORDS = "15 swaptions over 1,000 paths, 160 sensitivities"
UNIT = "portfolio"
FULL = {"paths": 1000, "rates": 80, "steps": 40}
TOY = {"paths": 3, "rates": 8, "steps": 4}


def make(paths, rates, steps):
    return {
        "rates": np.full(rates, 0.05),
        "volatilities": np.full(rates, 0.2),
        "z": np.random.default_rng(3).normal(size=(paths, steps)),
    }
