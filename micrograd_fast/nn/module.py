"""Module: what has parameters, their names and their state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from micrograd_fast import _types as t
from micrograd_fast._core import clear_grads, data_of, write_data
from micrograd_fast.engine import Value
from micrograd_fast.nn.files import State, positions
from micrograd_fast.nn.walk import KNOWN, Walk, method

__all__ = ["Module"]


class Module:
    """What has parameters: the leaf Values among its attributes, and in modules, lists, tuples and
    dicts there. A subclass that writes parameters() anew says itself which, in a fixed order.
    """

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Sets the grad of every parameter to 0. set_to_none: and optimizers' steps leave it out
        until backward() comes to it."""
        clear_grads(self.parameters(), set_to_none)

    def parameters(self) -> list[Value]:
        """The leaf Values that training changes, in the order of the attributes; each once."""
        if method(self) is not _COLLECTED:
            return []  # asked by super(): what a subclass adds to this is all, as in micrograd
        # vars() is said here, so that compiled functions that call this watch all attributes.
        return self._walk(vars(self), named=False).found

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """The parameters, in their order, each with its name: ('layers.0.neurons.1.w.0', p).

        A module that has a parameters() of its own has names by position: '0', '1', ...
        """
        walk = self._walk(vars(self))
        return iter(list(zip(walk.names, walk.found, strict=True)))

    def _walk(self, attributes: dict[str, t.Any], named: bool = True) -> Walk:
        walk = Walk(Module, named)
        if method(self) is _COLLECTED:
            walk.attributes(self, attributes, "")
            walk.without_repeats()
        else:
            walk.module(self, "")
        return walk

    def state_dict(self) -> dict[str, float]:
        """The parameters' data by name: {'layers.0.neurons.0.w.0': ..., ...}, in their order. Files
        that nn.save() writes of it know the activations of its neurons too.

        Raises ValueError where two parameters have one name.
        """
        walk = self._walk(vars(self))
        state = State(zip(walk.names, data_of(walk.found), strict=True))
        if len(state) != len(walk.found):
            twice = next(name for name in walk.names if walk.names.count(name) > 1)
            raise ValueError(f"two parameters have the name {twice!r}")
        state.activations = walk.activations
        return state

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Writes data that state_dict() of a module of the same shape returned, by names, or by
        positions, '0', '1', ..., as before 0.2.0.

        Raises KeyError for missing or unexpected names, ValueError for another activation, and
        TypeError for what is no number; the module is unchanged then.
        """
        walk = self._walk(vars(self))
        expected = walk.names
        if not _fits(state, expected):
            if all(map(str.isdecimal, state)) and state:
                expected = positions(len(walk.found))
            if not _fits(state, expected):
                missing = [k for k in expected if k not in state][:5]
                unexpected = [k for k in state if k not in set(expected)][:5]
                raise KeyError(
                    f"state of {len(state)} numbers for {len(expected)} parameters: "
                    f"missing {missing}, unexpected {unexpected}"
                )
        _check_activations(getattr(state, "activations", {}), walk.activations)
        write_data(walk.found, [state[k] for k in expected])  # all checked before one is written


_COLLECTED = Module.parameters
KNOWN[_COLLECTED] = lambda walk, module, prefix: walk.attributes(module, vars(module), prefix)


def _fits(state: Mapping[str, float], names: list[str]) -> bool:
    return len(state) == len(names) and all(map(state.__contains__, names))


def _check_activations(theirs: Mapping[str, str], ours: Mapping[str, str]) -> None:
    for name, activation in theirs.items():
        if ours.get(name, activation) != activation:
            raise ValueError(
                f"the state is of a module whose {name or 'neuron'} has the activation "
                f"{activation!r}, here it is {ours[name]!r}"
            )
