"""ADBench's recurrent network: the loss over a sequence of 14-bit characters and its gradient."""

import numpy as np

TITLE = "lstm: ADBench's network of 2 layers, 1,024 characters, loss and gradient"
WORDS = "LSTM over 1,024 characters"
UNIT = "gradient"
FULL = {"layers": 2, "length": 1024, "bits": 14}
TOY = {"layers": 1, "length": 4, "bits": 3}


def make(layers, length, bits):
    rng = np.random.default_rng(1)
    return {
        "parameters": rng.random((8 * layers + 3, bits)),
        "state": rng.random((2 * layers, bits)),
        "sequence": rng.integers(0, 2, (length, bits)).astype(float),
    }
