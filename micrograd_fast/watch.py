"""What a function's code may read while it is traced: which globals, which attributes.

src/call/watch.pxi follows these names through the objects that a compiled function reaches, and
looks before each call whether one of them has changed. See docs/compile.md for what it cannot see.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType
    from typing import Any, TypeAlias

    # Globals, attributes, whether any may be meant, free variables only written to, modules.
    Reads: TypeAlias = tuple[tuple[str, ...], frozenset[str], bool, frozenset[str], tuple[str, ...]]

__all__: list[str] = []

# Methods that add to what they are called on and read nothing from it.
_ADDING = {"append", "extend", "add", "insert", "appendleft", "write", "writelines", "clear"}
# With these any attribute may be read, whatever names stand in the code.
_ANY_NAME = {"vars", "dir", "__dict__", "attrgetter", "methodcaller", "__getattribute__"}
_OPAQUE = {"micrograd_fast", "numpy"}
_STANDARD = sys.stdlib_module_names - {"__main__"}
_INSTALLED = {"site-packages", "dist-packages"}
# Of this package: layers are what users make them, derivatives run their functions. What these
# modules have as globals is no setting, and not looked at.
WALKED_INTO = {
    f"micrograd_fast.{module}"
    for module in (
        *("nn", "nn.module", "nn.walk", "nn.layers", "nn.cells"),
        *("custom_ops", "derivatives", "directions", "requests", "sparse"),
    )
}
_SOURCES = {"random", "_random", "numpy.random", "time", "datetime", "secrets", "uuid"}
_COMPARED = {"builtins.set", "builtins.bytearray", "collections.deque", "array.array"}
_CLOCKS = {
    f"{clock}{unit}"
    for clock in ("time", "perf_counter", "monotonic", "process_time", "thread_time")
    for unit in ("", "_ns")
} | {"localtime", "gmtime", "ctime", "clock_gettime", "clock_gettime_ns"}
_NOT_DRAWING = {"getstate", "setstate", "seed", "get_state", "set_state"}
_CACHED = 4096
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE

_known: dict[CodeType, Reads] = {}


_opaque: dict[Any, bool] = {}


def is_opaque(module: Any) -> bool:
    """Whether the code of a module of this name is none of the user's: nothing in it is watched."""
    try:
        return _opaque[module]
    except (KeyError, TypeError):
        pass
    if not isinstance(module, str):
        return True
    top = module.partition(".")[0]
    opaque = top in _OPAQUE or top in _STANDARD
    if module in WALKED_INTO:  # wherever the package is installed
        opaque = False
    elif not opaque:
        file = getattr(sys.modules.get(module), "__file__", None)
        folders = file.replace("\\", "/").split("/") if isinstance(file, str) else ()
        opaque = not _INSTALLED.isdisjoint(folders)
    if len(_opaque) >= _CACHED:
        _opaque.clear()
    _opaque[module] = opaque
    return opaque


def is_opaque_class(kind: type) -> bool:
    """Whether a class is none of the user's. One that exec() made in a dict without __name__ says
    that it is in builtins, whose own are no heap types."""
    module = getattr(kind, "__module__", None)
    if module == "builtins" and kind.__flags__ & _HEAP_TYPE:
        return False
    return is_opaque(module)


def is_array(o: Any) -> bool:
    """Whether o is an array of NumPy."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(o, numpy.ndarray)


def is_small(o: Any, most: int) -> bool:
    """Whether o is a container of C without a version, small enough to be compared by ==."""
    kind = type(o)
    name = f"{kind.__module__}.{kind.__qualname__}"
    return name in _COMPARED and len(o) <= most


def is_source(o: Any, names: set[str]) -> bool:
    """Whether o gives random numbers or the time: a module, a generator, a function of one."""
    if isinstance(o, type(sys)):
        name = getattr(o, "__name__", "")
        return name in _SOURCES or (name == "numpy" and "random" in names)
    kind = o if isinstance(o, type) else type(o)
    owner = getattr(o, "__self__", None)
    if owner is not None and kind.__name__ == "builtin_function_or_method":
        return is_source(owner, names)
    module = str(kind.__module__)
    return module in _SOURCES or module.startswith("numpy.random")


def kind_of_source(function: Any) -> str:
    """What a function of C gives, where that differs from call to call; else nothing."""
    name = getattr(function, "__name__", "")
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type(sys)):
        module = getattr(owner, "__name__", "")
        if module == "time" and name in _CLOCKS:
            return "the time"
        return "random numbers" if module == "posix" and name == "urandom" else ""
    kind = owner if isinstance(owner, type) else type(owner)
    module = str(kind.__module__)
    if name in _NOT_DRAWING:
        return ""
    if module == "datetime":
        return "the time" if name in ("now", "utcnow", "today") else ""
    drawing = module in ("random", "_random") or module.startswith("numpy.random")
    return "random numbers" if drawing else ""


def is_generator(function: Any) -> bool:
    """Whether this is a method of a random.Random."""
    random = sys.modules.get("random")
    return random is not None and isinstance(getattr(function, "__self__", None), random.Random)


def lines_that_draw(codes: Iterable[CodeType]) -> list[tuple[str, int]]:
    """File and line of what looks like a call of a generator of NumPy, which no hook can see."""
    import dis

    import numpy as np

    methods = {m for m in (*dir(np.random.Generator), *dir(np.random)) if m.islower()}
    found: dict[tuple[str, int], None] = {}
    todo = list(codes)
    while todo:
        code = todo.pop()
        todo += [c for c in code.co_consts if hasattr(c, "co_code")]
        line = code.co_firstlineno
        for step in dis.get_instructions(code):
            positions: Any = getattr(step, "positions", None)  # since CPython 3.11
            line = (positions.lineno if positions else step.starts_line) or line
            if step.opname in ("LOAD_ATTR", "LOAD_METHOD") and step.argval in methods - {"random"}:
                found[code.co_filename, line] = None
    return list(found)


def reads(code: CodeType) -> Reads:
    """What a code object and those inside it may read."""
    found = _known.get(code)
    if found is None:
        if len(_known) >= _CACHED:
            _known.clear()
        found = _known[code] = _Reader(code).found()
    return found


class _Reader:
    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.globals: dict[str, None] = {}
        self.attributes: set[str] = set()
        self.any_name = False
        self.added_to: set[str] = set()  # free variables that are only written to
        self.read_free: set[str] = set()
        self.modules: dict[str, None] = {}

    def found(self) -> Reads:
        import dis

        steps = [s for s in dis.get_instructions(self.code) if s.opname not in _NOTHING]
        for k, step in enumerate(steps):
            name, what = step.argval, step.opname
            added_to = _only_added_to(name, steps[k + 1 : k + 5])
            if what in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
                if not added_to:
                    self.globals[name] = None
                self.any_name |= name in _ANY_NAME
                if name == "getattr":
                    self.any_name |= not _has_constant_name(steps[k + 1 : k + 8])
            elif what in ("LOAD_ATTR", "LOAD_METHOD") or what.startswith("LOAD_SUPER_"):
                if not added_to:
                    self.attributes.add(name)
                self.any_name |= name in _ANY_NAME
            elif what == "IMPORT_NAME":
                self.modules[name] = None
            elif what == "IMPORT_FROM":
                self.attributes.add(name)
            elif what in ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"):
                (self.added_to if added_to else self.read_free).add(name)
        for constant in self.code.co_consts:
            self._constant(constant)
        only_added = frozenset((self.added_to - self.read_free) & set(self.code.co_freevars))
        return (
            tuple(self.globals),
            frozenset(map(sys.intern, self.attributes)),
            self.any_name,
            only_added,
            tuple(self.modules),
        )

    def _constant(self, constant: Any) -> None:
        """Text may be the name of an attribute; code inside reads on behalf of this one."""
        if isinstance(constant, str):
            if constant.isidentifier():
                self.attributes.add(constant)
        elif isinstance(constant, (tuple, frozenset)):
            for item in constant:
                self._constant(item)
        elif hasattr(constant, "co_code"):
            names, attributes, any_name, only_added, modules = reads(constant)
            self.globals.update(dict.fromkeys(names))
            self.attributes |= attributes
            self.any_name |= any_name
            self.added_to |= only_added
            self.read_free |= set(constant.co_freevars) - only_added
            self.modules.update(dict.fromkeys(modules))


# Instructions that stand between others and do nothing that is looked for here.
_NOTHING = {"NOP", "CACHE", "PRECALL", "EXTENDED_ARG", "RESUME", "PUSH_NULL", "COPY_FREE_VARS"}


def _only_added_to(name: str, steps: list[Any]) -> bool:
    """Whether what was loaded from a name is written to and no more: log.append(x), n += 1."""
    if not steps:
        return False
    if steps[0].opname in ("LOAD_ATTR", "LOAD_METHOD"):
        return steps[0].argval in _ADDING
    added = [s.opname for s in steps[:2]]
    counted = added[0] in ("LOAD_CONST", "LOAD_SMALL_INT") and added[-1] in (
        "BINARY_OP",
        "INPLACE_ADD",
        "INPLACE_SUBTRACT",
    )
    return counted and any(s.opname.startswith("STORE_") and s.argval == name for s in steps[2:])


def _has_constant_name(steps: list[Any]) -> bool:
    """Whether a call of getattr among these steps is given a name that is written there."""
    written = False
    for step in steps:
        if step.opname.startswith("CALL"):
            return written
        if step.opname.startswith(("FORMAT", "BUILD", "BINARY", "CONVERT")):
            return False  # made up of parts
        written |= step.opname == "LOAD_CONST" and isinstance(step.argval, str)
    return False
