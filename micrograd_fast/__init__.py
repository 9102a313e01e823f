"""micrograd's scalar autograd, unchanged to its users and hundreds of times faster."""

try:
    from micrograd_fast import _core as _core
except ImportError as _error:
    from micrograd_fast._uncompiled import explanation

    raise ImportError(explanation(_error), name="micrograd_fast._core") from _error

from micrograd_fast import functional, nn, optim
from micrograd_fast._core import get_num_threads, set_num_threads
from micrograd_fast._version import __version__
from micrograd_fast.compiler import Batch, TraceError, TraceWarning, compile
from micrograd_fast.conditions import ceil, clip, equal, floor, sign, where
from micrograd_fast.conditions import round as round  # in no *: Python has one
from micrograd_fast.engine import Value, no_grad
from micrograd_fast.functional import maximum, minimum, take

__all__ = [
    "AnomalyError",
    "Batch",
    "TraceError",
    "TraceWarning",
    "Value",
    "__version__",
    "ceil",
    "clip",
    "compile",
    "custom",
    "detect_anomaly",
    "equal",
    "floor",
    "functional",
    "get_num_threads",
    "grad",
    "gradients",
    "jvp",
    "maximum",
    "minimum",
    "nn",
    "no_grad",
    "optim",
    "set_num_threads",
    "sign",
    "take",
    "value_and_grad",
    "vjp",
    "where",
]

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from micrograd_fast import viz as viz
    from micrograd_fast.anomaly import AnomalyError, detect_anomaly
    from micrograd_fast.custom_ops import custom
    from micrograd_fast.derivatives import grad, gradients, jvp, value_and_grad, vjp

# Modules that are imported when one of their names is asked for: they cost more than the package.
_LATER = dict.fromkeys(["grad", "gradients", "jvp", "value_and_grad", "vjp"], "derivatives")
_LATER["custom"] = "custom_ops"
_LATER["AnomalyError"] = _LATER["detect_anomaly"] = "anomaly"

# What people know from other libraries, and what it is here.
_ELSEWHERE = {
    "jacobian": "with f = mg.compile(function), it is f.jacobian(x)",
    "hessian": "with f = mg.compile(function), it is f.hessian(x)",
    "jit": "it is mg.compile",
    "vmap": "it is mg.compile(f, batch=True)",
    "Tensor": "there are scalars alone, mg.Value, and lists of them",
    "tensor": "there are scalars alone, mg.Value, and lists of them",
}


def __dir__() -> list[str]:
    return [*__all__, "engine", "viz"]


def __getattr__(name: str) -> object:
    """What is imported on its first use; else where a name is."""
    if name == "viz" or name in _LATER:
        from importlib import import_module

        module = import_module(f"micrograd_fast.{_LATER.get(name, name)}")
        return module if name == "viz" else getattr(module, name)
    text = f"module 'micrograd_fast' has no attribute {name!r}"
    for module in (nn, optim, functional):
        if name in dir(module):
            text += f": it is in {module.__name__}"
            break
    else:
        if name in _ELSEWHERE:
            text += f": {_ELSEWHERE[name]}"
        elif not name.startswith("_") and hasattr(Value, name):
            text += f": it is a method, Value.{name}"
    raise AttributeError(text, name=name)
