"""Linear, Sequential, Embedding: PyTorch's layers over lists of Values, one sample at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from micrograd_fast import _types as t
from micrograd_fast._core import affine, dot
from micrograd_fast.engine import Value
from micrograd_fast.functional import take
from micrograd_fast.nn.draws import drawer
from micrograd_fast.nn.module import Module
from micrograd_fast.nn.sizes import listed, size

__all__ = ["Embedding", "Linear", "Sequential"]


def sums_of(weight: list[list[Value]], x: list[t.Any], bias: list[Value] | None) -> list[Value]:
    """weight @ x + bias."""
    if bias is None:
        return [dot(w, x) for w in weight]
    return [affine(w, x, b) for w, b in zip(weight, bias, strict=True)]


class Linear(Module):
    """weight @ x + bias: a list of nout Values, also where nout is 1.

    weight: nout rows of nin Values, drawn as init says, by default uniform(-1, 1) as micrograd's
    neurons; see Neuron. bias: nout Values, 0 at first, or None without.
    """

    def __init__(self, nin: int, nout: int, bias: bool = True, *, init: t.Init = "uniform") -> None:
        nin, nout = size("nin", nin), size("nout", nout)
        draw = drawer(init, nin, nout)
        self.weight: list[list[Value]] = [[draw() for _ in range(nin)] for _ in range(nout)]
        self.bias: list[Value] | None = [Value(0) for _ in range(nout)] if bias else None

    def __call__(self, x: Iterable[t.Any]) -> list[Value]:
        """Raises ValueError where x has not nin items."""
        return sums_of(self.weight, listed("x", x, len(self.weight[0])), self.bias)

    def __repr__(self) -> str:
        without = "" if self.bias else ", bias=False"
        return f"Linear({len(self.weight[0])}, {len(self.weight)}{without})"


class Sequential(Module):
    """Modules and functions, each called with what the one before returned.

    Raises TypeError for what cannot be called.
    """

    def __init__(self, *layers: Callable[[t.Any], t.Any]) -> None:
        for k, layer in enumerate(layers):
            if not callable(layer):
                raise TypeError(
                    f"layer {k} must be a module or a function, not {type(layer).__name__!r}"
                )
        self.layers: list[Callable[[t.Any], t.Any]] = list(layers)

    def __call__(self, x: t.Any) -> t.Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Callable[[t.Any], t.Any]]:
        return iter(self.layers)

    def __getitem__(self, k: int | slice) -> Callable[[t.Any], t.Any]:
        """One of them; of a slice a module of these."""
        return Sequential(*self.layers[k]) if isinstance(k, slice) else self.layers[k]

    def __repr__(self) -> str:
        names = (layer if isinstance(layer, Module) else _name(layer) for layer in self.layers)
        return f"Sequential of [{', '.join(map(str, names))}]"


def _name(function: t.Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


class Embedding(Module):
    """A row of dim Values for each of n indices, drawn from a normal distribution as PyTorch's.

    The index is a whole number; in a compiled function it may be an input, a Value: see
    functional.take, which says what is raised for another index.
    """

    def __init__(self, n: int, dim: int, *, init: t.Init = "normal") -> None:
        n, dim = size("n", n), size("dim", dim)
        draw = drawer(init, n, dim)
        self.weight: list[list[Value]] = [[draw() for _ in range(dim)] for _ in range(n)]

    def __call__(self, index: t.Any) -> list[Value]:
        return list(take(self.weight, index))

    def __repr__(self) -> str:
        return f"Embedding({len(self.weight)}, {len(self.weight[0])})"
