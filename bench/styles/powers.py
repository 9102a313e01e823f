"""Powers beside the products, quotients and roots that they are."""

import numpy as np

import micrograd_fast as mg

FORMS = {
    "x**2": {"x**2": lambda x: x**2, "x*x": lambda x: x * x},
    "x**3": {"x**3": lambda x: x**3, "x*x*x": lambda x: x * x * x},
    "x**4": {
        "x**4": lambda x: x**4,
        "x**2 squared": lambda x: (x**2) ** 2,
        "x*x*x*x": lambda x: x * x * x * x,
    },
    "x**7": {"x**7": lambda x: x**7, "x*x*x*x*x*x*x": lambda x: x * x * x * x * x * x * x},
    "x**-1": {"x**-1": lambda x: x**-1, "1/x": lambda x: 1 / x},
    "x**-2": {"x**-2": lambda x: x**-2, "1/(x*x)": lambda x: 1 / (x * x)},
    "x**0.5": {"x**0.5": lambda x: x**0.5, "x.sqrt()": lambda x: x.sqrt()},
    "x**-0.5": {"x**-0.5": lambda x: x**-0.5, "1/x.sqrt()": lambda x: 1 / x.sqrt()},
    "x**1.5": {"x**1.5": lambda x: x**1.5, "x*x.sqrt()": lambda x: x * x.sqrt()},
    "2**x": {"2**x": lambda x: 2**x, "(x*ln 2).exp()": lambda x: (x * np.log(2.0)).exp()},
}


def groups(samples):
    """By what is computed, and by how: values and derivatives of a column of numbers."""
    x = np.random.default_rng(0).uniform(0.5, 2.0, samples)

    def call(form):
        f = mg.compile(form, batch=True)
        return lambda: f.value_and_grad(x)

    return {what: {name: call(f) for name, f in forms.items()} for what, forms in FORMS.items()}


LIMITS = {"x*x*x*x*x*x*x": 2.0}  # six products, where x**7 needs four
