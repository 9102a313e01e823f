"""micrograd's scalar autograd, unchanged to its users and hundreds of times faster."""

from micrograd_fast import functional, nn, optim
from micrograd_fast._core import get_num_threads, set_num_threads
from micrograd_fast._version import __version__
from micrograd_fast.compiler import Batch, TraceError, compile
from micrograd_fast.engine import Value, no_grad
from micrograd_fast.functional import maximum, minimum, take

__all__ = [
    "Batch",
    "TraceError",
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
