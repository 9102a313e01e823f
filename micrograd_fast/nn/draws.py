"""The numbers that weights start with: drawn by Python's random, so that random.seed() decides."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from micrograd_fast import _types as t
from micrograd_fast.engine import Value

__all__: list[str] = []

INITS = ("uniform", "xavier", "kaiming", "normal")


def drawer(init: t.Init, nin: int, nout: int) -> Callable[[], Value]:
    """What draws weights between nin inputs and nout outputs, one at each call.

    init: 'uniform', between -1 and 1, as micrograd; 'normal', with standard deviation 1;
    'xavier', uniform within sqrt(6 / (nin + nout)) (Glorot and Bengio, 2010); 'kaiming', uniform
    within sqrt(6 / nin) (He et al., 2015); or a function of (nin, nout) that returns a number.

    Raises ValueError for another name, TypeError for what is no function.
    """
    if callable(init):
        return lambda: _drawn(init(nin, nout))
    if not isinstance(init, str):
        raise TypeError(
            f"init must be a name or a function of (nin, nout), not {type(init).__name__!r}"
        )
    if init not in INITS:
        raise ValueError(f"init must be one of {INITS} or a function, not {init!r}")
    if init == "normal":
        return lambda: Value(random.gauss(0.0, 1.0))
    limit = 1.0
    if init != "uniform":
        limit = math.sqrt(6.0 / max(nin + nout if init == "xavier" else nin, 1))
    return lambda: Value(random.uniform(-limit, limit))


def _drawn(number: float) -> Value:
    try:
        return Value(number)
    except TypeError:
        kind = type(number).__name__
        raise TypeError(f"init must return a number, not {kind!r}") from None


def for_outputs(init: t.Init, nout: int) -> t.Init:
    """The same for the neurons of a layer, which know how many inputs they have alone."""
    if not callable(init):
        return lambda nin, _: drawer(init, nin, nout)().data
    return lambda nin, _: init(nin, nout)
