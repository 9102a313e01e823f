"""micrograd's scalar autograd, unchanged to its users and hundreds of times faster."""

try:
    from micrograd_fast import _core as _core
except ImportError as error:
    from micrograd_fast._uncompiled import explanation

    raise ImportError(explanation(error), name="micrograd_fast._core") from error

from micrograd_fast import functional, nn, optim
from micrograd_fast._core import get_num_threads, set_num_threads
from micrograd_fast._version import __version__
from micrograd_fast.compiler import Batch, TraceError, TraceWarning, compile
from micrograd_fast.engine import Value, no_grad
from micrograd_fast.functional import maximum, minimum, take

__all__ = [
    "Batch",
    "TraceError",
    "TraceWarning",
    "Value",
    "__version__",
    "compile",
    "functional",
    "get_num_threads",
    "maximum",
    "minimum",
    "nn",
    "no_grad",
    "optim",
    "set_num_threads",
    "take",
]

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from micrograd_fast import viz as viz


# What people know from other libraries, and what it is here.
ELSEWHERE = {
    "grad": "mg.compile(f).value_and_grad(x) gives f and its gradient, y.backward() fills v.grad",
    "value_and_grad": "with f = compile(function), it is f.value_and_grad(x)",
    "jit": "it is mg.compile",
    "vmap": "it is mg.compile(f, batch=True)",
    "where": "mg.take(values, index) chooses, as do mg.maximum, mg.minimum and v.relu()",
    "Tensor": "there are scalars alone, mg.Value, and lists of them",
    "tensor": "there are scalars alone, mg.Value, and lists of them",
}


def __dir__() -> list[str]:
    return [*__all__, "engine", "viz"]


def __getattr__(name: str) -> object:
    """viz on its first use, for its imports cost more than the package; else where a name is."""
    if name == "viz":
        from importlib import import_module

        return import_module("micrograd_fast.viz")
    text = f"module 'micrograd_fast' has no attribute {name!r}"
    for module in (nn, optim, functional):
        if name in dir(module):
            text += f": it is in {module.__name__}"
            break
    else:
        if name in ELSEWHERE:
            text += f": {ELSEWHERE[name]}"
        elif not name.startswith("_") and hasattr(Value, name):
            text += f": it is a method, Value.{name}"
    raise AttributeError(text, name=name)
