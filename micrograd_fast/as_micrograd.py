"""Importing this module makes `micrograd` mean micrograd_fast, for the rest of the process.

    import micrograd_fast.as_micrograd
    from micrograd.engine import Value  # micrograd_fast's

`micrograd`, `micrograd.engine` and `micrograd.nn` resolve to this package whether micrograd is
installed or not. Importing what micrograd 0.1.0 does not have raises ImportError and says what
there is. Raises ImportError itself where the real micrograd has been imported already.
"""

from __future__ import annotations

import dis
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import NoReturn

from micrograd_fast import engine, nn

_IMPORT_FROM = dis.opmap["IMPORT_FROM"]
_STANDS_IN = "micrograd_fast stands in for micrograd 0.1.0"


class _Missing(MetaPathFinder):
    """Says which modules of micrograd there are: it is asked for those that there are not."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname.startswith("micrograd."):
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: {_STANDS_IN}, which has micrograd.engine and "
                "micrograd.nn. Run a program that brings a micrograd of its own with plain python, "
                "or with micrograd-fast run --local",
                name=fullname,
            )


def _refuse(module: ModuleType, shown: str, names: list[str]) -> None:
    """Give the module a `__getattr__` that says which names there are."""

    def __getattr__(name: str) -> NoReturn:
        text = f"module {shown!r} has no attribute {name!r}"
        caller = sys._getframe(1)
        # `from m import x` hides an AttributeError behind a text of its own; hasattr needs one.
        if caller.f_code.co_code[caller.f_lasti] == _IMPORT_FROM:
            there = ", ".join(names)
            text = f"cannot import name {name!r} from {shown!r}: {_STANDS_IN}, {shown} has {there}"
            raise ImportError(text, name=shown)
        raise AttributeError(text, name=name, obj=module)

    vars(module)["__getattr__"] = __getattr__


def _install() -> None:
    if "micrograd" in sys.modules:
        raise ImportError(
            "micrograd has been imported already: import micrograd_fast.as_micrograd before it "
            "(in a notebook: restart the kernel, and put it in the first cell)"
        )
    package = ModuleType("micrograd", f"{_STANDS_IN}.")
    package.__path__ = []
    package.__file__ = __file__
    package.__spec__ = ModuleSpec("micrograd", None, origin=__file__, is_package=True)
    vars(package).update(engine=engine, nn=nn)
    # The modules themselves, no copies: what a program replaces on micrograd.nn is replaced.
    sys.modules.update({"micrograd": package, "micrograd.engine": engine, "micrograd.nn": nn})
    _refuse(package, "micrograd", ["engine", "nn"])
    _refuse(engine, "micrograd.engine", dir(engine))
    _refuse(nn, "micrograd.nn", dir(nn))
    sys.meta_path.insert(0, _Missing())


_install()
