"""The warning where a neuron's weights and inputs differ in number.

micrograd's zip() stops at the shorter of the two, and programs rely on it: the number is the same
here, but not silently.
"""

from __future__ import annotations

import sys
import warnings

from micrograd_fast.counted import counted

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from types import FrameType


def warn_of_widths(n_weights: int, n_inputs: int) -> None:
    """Warns at the line outside of this package that called the model, once for each such line."""
    frame: FrameType | None = sys._getframe()
    level, layer, model = 0, None, None
    while frame is not None and _is_ours(frame):
        owner = frame.f_locals.get("self")
        if hasattr(owner, "neurons"):
            layer = owner
        elif hasattr(owner, "layers"):
            model = owner
        frame = frame.f_back
        level += 1
    left = "inputs" if n_inputs > n_weights else "weights"
    warnings.warn(
        f"{_name(layer, model)} has {counted(n_weights, 'weight')} and was given "
        f"{counted(n_inputs, 'input')}: "
        f"the {left} without a partner are left out, as in micrograd",
        stacklevel=level + 1,
    )


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).split(".")[0] == "micrograd_fast"


def _name(layer: object, model: object) -> str:
    """The layer by its place in the model."""
    if layer is None:
        return "a neuron"
    layers = getattr(model, "layers", ())
    for k, other in enumerate(layers):
        if other is layer:
            return f"a neuron of layer {k + 1} of {len(layers)}"
    return "a neuron of a layer"
