"""LSTMCell and GRUCell: a step of a recurrent network, with PyTorch's formulas, names and gates."""

from __future__ import annotations

from collections.abc import Iterable

from micrograd_fast import _types as t
from micrograd_fast.engine import Value
from micrograd_fast.nn.draws import drawer
from micrograd_fast.nn.layers import sums_of
from micrograd_fast.nn.module import Module
from micrograd_fast.nn.sizes import listed, size

__all__ = ["GRUCell", "LSTMCell"]


class _Cell(Module):
    """The sums that gates are made of, rows of the first gate first."""

    n_gates: t.ClassVar[int]

    def __init__(
        self, nin: int, nhidden: int, bias: bool = True, *, init: t.Init = "xavier"
    ) -> None:
        nin, nhidden = size("nin", nin), size("nhidden", nhidden)
        n = self.n_gates * nhidden
        of_input, of_hidden = drawer(init, nin, nhidden), drawer(init, nhidden, nhidden)
        self.weight_ih: list[list[Value]] = [[of_input() for _ in range(nin)] for _ in range(n)]
        self.weight_hh: list[list[Value]] = [
            [of_hidden() for _ in range(nhidden)] for _ in range(n)
        ]
        self.bias_ih: list[Value] | None = [Value(0) for _ in range(n)] if bias else None
        self.bias_hh: list[Value] | None = [Value(0) for _ in range(n)] if bias else None

    def _hidden(self, name: str, h: Iterable[t.Any] | None) -> list[t.Any]:
        """A part of the state; zeros where none is given."""
        n = len(self.weight_hh[0])
        return [0.0] * n if h is None else listed(name, h, n)

    def _of_input(self, x: Iterable[t.Any]) -> list[Value]:
        return sums_of(self.weight_ih, listed("x", x, len(self.weight_ih[0])), self.bias_ih)

    def _of_hidden(self, h: list[t.Any]) -> list[Value]:
        return sums_of(self.weight_hh, h, self.bias_hh)

    def __repr__(self) -> str:
        without = "" if self.bias_ih else ", bias=False"
        sizes = f"{len(self.weight_ih[0])}, {len(self.weight_hh[0])}"
        return f"{type(self).__name__}({sizes}{without})"


def _gates(sums: list[Value], n_gates: int) -> list[list[Value]]:
    n = len(sums) // n_gates
    return [sums[k : k + n] for k in range(0, len(sums), n)]


class LSTMCell(_Cell):
    """LSTMCell(nin, nhidden, bias=True, *, init='xavier'); h, c = cell(x, (h, c)): a step of an
    LSTM (Hochreiter and Schmidhuber, 1997).

    With gates i, f, g, o = weight_ih @ x + bias_ih + weight_hh @ h + bias_hh, in this order, i, f
    and o through the sigmoid, g through tanh: c = f * c + i * g and h = o * tanh(c), as
    torch.nn.LSTMCell. h and c are lists of nhidden Values, all 0 where none are given.

    init: 'xavier', or another way to draw the weights, see Neuron; biases are 0 at first, and None
    with bias=False. Raises ValueError for lists of other lengths.
    """

    n_gates = 4

    def __call__(
        self, x: Iterable[t.Any], state: tuple[Iterable[t.Any], Iterable[t.Any]] | None = None
    ) -> tuple[list[Value], list[Value]]:
        if state is not None and not hasattr(state, "__len__"):
            raise TypeError(f"state must be (h, c), two lists, not {type(state).__name__!r}")
        if state is not None and len(state) != 2:
            raise ValueError(f"state must be (h, c), two lists, not {len(state)}")
        h, c = (self._hidden(*part) for part in zip("hc", state or (None, None), strict=True))
        sums = [a + b for a, b in zip(self._of_input(x), self._of_hidden(h), strict=True)]
        new_h, new_c = [], []
        for i, f, g, o, old in zip(*_gates(sums, 4), c, strict=True):
            kept = f.sigmoid() * old + i.sigmoid() * g.tanh()
            new_c.append(kept)
            new_h.append(o.sigmoid() * kept.tanh())
        return new_h, new_c


class GRUCell(_Cell):
    """GRUCell(nin, nhidden, bias=True, *, init='xavier'); h = cell(x, h): a step of a GRU (Cho et
    al., 2014), as torch.nn.GRUCell.

    With r, z and n of weight_ih @ x + bias_ih and of weight_hh @ h + bias_hh, in this order,
    r = sigmoid(r_x + r_h), z = sigmoid(z_x + z_h), n = tanh(n_x + r * n_h) and h = (1 - z) * n +
    z * h. h is a list of nhidden Values, all 0 where none is given.

    init, bias and errors: see LSTMCell.
    """

    n_gates = 3

    def __call__(self, x: Iterable[t.Any], h: Iterable[t.Any] | None = None) -> list[Value]:
        old = self._hidden("h", h)
        of_input, of_hidden = _gates(self._of_input(x), 3), _gates(self._of_hidden(old), 3)
        new = []
        for rx, zx, nx, rh, zh, nh, before in zip(*of_input, *of_hidden, old, strict=True):
            z, fresh = (zx + zh).sigmoid(), (nx + (rx + rh).sigmoid() * nh).tanh()
            new.append(fresh + z * (before - fresh))
        return new
