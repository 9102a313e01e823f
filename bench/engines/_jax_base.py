"""What all cases for JAX share. Results are computed in the calling thread
(jax_cpu_enable_async_dispatch off): on programs of this size it is two to four times faster than
handing them to a second thread.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ..case import Case
from ..layers import flatten_layers

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_cpu_enable_async_dispatch", False)


class JaxCase(Case):
    def __init__(self, data):
        self.data = data

    def finish(self, out):
        jax.block_until_ready(out)


def perceptron(layers, x):
    for i, (w, b) in enumerate(layers):
        if i:
            x = jax.nn.relu(x)
        x = x @ w + b
    return x


class Training(JaxCase):
    """self.state goes in donated and comes back new; self.run also gives the loss."""

    def model(self):
        return [(jnp.array(w.T), jnp.array(b)) for w, b in self.data["layers"]]

    def numbers(self, loss):
        layers = [(np.asarray(w).T, np.asarray(b)) for w, b in self.parameters()]
        return {"loss": [float(loss)], "parameters": flatten_layers(layers)}

    def parameters(self):
        return self.state


def rosenbrock(x):
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()
