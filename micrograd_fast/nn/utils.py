"""Parameters as one vector and back, with PyTorch's names: for optimizers that want vectors."""

from __future__ import annotations

from micrograd_fast import _core
from micrograd_fast.arguments import refuse_masked

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import numpy.typing as npt

    from micrograd_fast.engine import Value

    Vector = npt.NDArray[np.float64]

__all__ = ["gradients_to_vector", "parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Value]) -> Vector:
    """The data of all parameters, a float64 array of shape (n,)."""
    import numpy as np

    values = list(parameters)
    vector = np.empty(len(values))
    _core.copy_numbers(values, vector, "data")
    return vector


def gradients_to_vector(parameters: Iterable[Value]) -> Vector:
    """The grads of all parameters, a float64 array of shape (n,)."""
    import numpy as np

    values = list(parameters)
    vector = np.empty(len(values))
    _core.copy_numbers(values, vector, "grad")
    return vector


def vector_to_parameters(vector: npt.ArrayLike, parameters: Iterable[Value]) -> None:
    """Writes a vector of shape (n,) to the data of n parameters.

    Raises ValueError for another shape and TypeError for what holds no real numbers; the
    parameters are unchanged then.
    """
    import numpy as np

    values = list(parameters)
    refuse_masked(vector, "vector")
    array = np.asarray(vector)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"vector has dtype {array.dtype}, real numbers are needed")
    if array.shape != (len(values),):
        raise ValueError(f"vector has shape {array.shape}, the parameters need ({len(values)},)")
    _core.copy_numbers(values, np.ascontiguousarray(array, dtype=np.float64), "write")
