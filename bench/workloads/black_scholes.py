"""European call prices with all first-order sensitivities, one independent option after another.

The normal distribution is 0.5 + 0.5 tanh(sqrt(2/pi) (x + 0.044715 x**3)) in every engine, because
scalar engines have no erf; it is off by at most 0.0004.
"""

import numpy as np

TITLE = "black_scholes: price and five sensitivities of 100,000 options"
WORDS = "100,000 option prices, five sensitivities each (tanh)"
UNIT = "portfolio"
FULL = {"count": 100_000}
TOY = {"count": 20}


def make(count):
    rng = np.random.default_rng(5)
    low = [80.0, 80.0, 0.25, 0.01, 0.1]
    high = [120.0, 120.0, 2.0, 0.05, 0.5]
    return {"options": rng.uniform(low, high, (count, 5))}  # spot, strike, years, rate, sigma
