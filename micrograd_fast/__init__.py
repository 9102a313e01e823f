"""micrograd's scalar autograd, unchanged to its users and hundreds of times faster."""

from micrograd_fast._version import __version__
from micrograd_fast.engine import Value, no_grad

__all__ = ["Value", "__version__", "no_grad"]
