"""What `micrograd-fast run` does: a program as plain Python runs it, with micrograd replaced.

Owns what the interpreter sets up for a program (`__main__`, sys.argv, sys.path[0]) and what it does
at the program's end: the traceback, without the frames of this module, and the exit code.
"""

from __future__ import annotations

import atexit
import builtins
import importlib.util
import io
import os
import signal
import sys
from importlib.machinery import BuiltinImporter, PathFinder, SourceFileLoader
from types import CodeType, ModuleType, TracebackType

FAILED = 1
NOT_FOUND = 2
REFUSED = 2
INTERRUPTED = 130


class _NotFoundError(Exception):
    """There is no such program; the text says what was looked for."""


class _RefusedError(Exception):
    """The program's own Value is not replaced; the text says why."""


def run(
    target: str,
    args: list[str],
    *,
    kind: str = "script",
    local: bool = False,
    swap: bool = False,
    if_possible: bool = False,
) -> int:
    """Run a program; the exit code.

    kind: "script", at the path `target`, "-" is the standard input; "module", of that name; "code",
    which target is itself.
    local: a micrograd in the program's own folder is not replaced. swap: a Value that the program
    defines itself is; where that cannot be, the program is not run (2), or with `if_possible`
    runs as it is. SystemExit passes through. Any other exception of the program is shown as
    Python shows it.
    """
    main = ModuleType("__main__")
    vars(main)["__builtins__"] = builtins
    sys.modules["__main__"] = main
    # Registered before the program's own functions, so that it runs after all of them.
    interrupted: list[bool] = []
    atexit.register(_die_if, interrupted)
    try:
        code = _FOUND[kind](main, target, args, local)
        if swap:
            code = _swapped(main, code, if_possible)
        exec(code, vars(main))
    except SystemExit:
        raise
    except _RefusedError as error:
        print(f"micrograd-fast: {error}", file=sys.stderr)
        return REFUSED
    except _NotFoundError as error:
        print(f"micrograd-fast: {error}", file=sys.stderr)
        return FAILED if kind == "module" else NOT_FOUND
    except BaseException as error:
        error.__traceback__ = _without_this_module(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        if isinstance(error, KeyboardInterrupt):
            interrupted.append(True)
            return INTERRUPTED
        return FAILED
    return 0


def _script_code(main: ModuleType, path: str, args: list[str], local: bool) -> CodeType:
    """The script's code; `__main__` and sys are as Python makes them for `python path args`."""
    sys.argv[:] = [path, *args]
    if path == "-":
        vars(main).update(__file__="<stdin>", __cached__=None, __loader__=BuiltinImporter)
        _enter("", local)
        return compile(sys.stdin.read(), "<stdin>", "exec", dont_inherit=True)
    full = os.path.abspath(path)
    if os.path.isdir(path) or not path.endswith((".py", ".pyw")):
        # A folder or a zip file with a __main__ in it.
        spec = PathFinder.find_spec("__main__", [full])
        if spec is not None and spec.loader is not None:
            _enter(full, local)
            return _code_of(main, spec, full)
    try:
        with io.open_code(full) as file:
            source = file.read()
    except OSError as error:
        raise _NotFoundError(f"can't open file {full!r}: {error.strerror}") from None
    _enter(os.path.dirname(os.path.realpath(full)), local)
    vars(main).update(__file__=full, __cached__=None, __loader__=SourceFileLoader("__main__", full))
    return compile(source, full, "exec", dont_inherit=True)


def _code_code(main: ModuleType, text: str, args: list[str], local: bool) -> CodeType:
    """The code of a text; `__main__` and sys are as Python makes them for `python -c text args`."""
    sys.argv[:] = ["-c", *args]
    vars(main)["__loader__"] = BuiltinImporter
    _enter("", local)
    return compile(text, "<string>", "exec", dont_inherit=True)


def _module_code(main: ModuleType, name: str, args: list[str], local: bool) -> CodeType:
    """The module's code; `__main__` and sys are as Python makes them for `python -m name args`."""
    sys.argv[:] = ["-m", *args]
    _enter(os.getcwd(), local)
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name += ".__main__"
            spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        # Of the name itself or a parent package; what a parent package imports is its own matter.
        if not f"{name}.".startswith(f"{error.name}."):
            raise
        raise _NotFoundError(str(error)) from None
    if spec is None or spec.loader is None or spec.origin is None:
        package = name.removesuffix(".__main__")
        hint = "" if package == name else f"; {package!r} is a package and cannot be executed"
        raise _NotFoundError(f"No module named {name}{hint}")
    sys.argv[0] = spec.origin
    return _code_of(main, spec, spec.origin)


_FOUND = {"script": _script_code, "module": _module_code, "code": _code_code}


def _code_of(main: ModuleType, spec: importlib.machinery.ModuleSpec, path: str) -> CodeType:
    get_code = getattr(spec.loader, "get_code", None)
    code = get_code(spec.name) if get_code else None
    if code is None:
        raise _NotFoundError(f"No code object available for {spec.name}")
    vars(main).update(
        __file__=spec.origin or path,
        __cached__=spec.cached,
        __loader__=spec.loader,
        __package__=spec.parent,
        __spec__=spec,
    )
    return code  # type: ignore[no-any-return]


def _swapped(main: ModuleType, code: CodeType, if_possible: bool) -> CodeType:
    """The program's code with its own Value replaced. Raises _RefusedError."""
    from micrograd_fast.swap_value.own_class import Refused
    from micrograd_fast.swap_value.replace import code_of

    found, path = vars(main), code.co_filename
    spec = found.get("__spec__")
    get_source = getattr(found["__loader__"], "get_source", None)
    try:
        source = get_source(spec.name if spec else "__main__") if get_source else None
        if source is None:
            raise Refused("there is no source to read")
        return code_of(source, path, _tell, folder=sys.path[0], package=found.get("__package__"))
    except Refused as error:
        where = error.file.path if error.file else path
        where += "" if error.line is None else f", line {error.line}"
        text = f"the program's own Value is not replaced: {where}: {error}"
        if not if_possible:
            hint = "it was not run; --if-possible runs it as it is"
            raise _RefusedError(f"{text} ({hint})") from None
        _tell(f"{text}; it runs as it is")
        return code


def _tell(text: str) -> None:
    print(f"micrograd-fast: {text}", file=sys.stderr)


def _enter(folder: str, local: bool) -> None:
    """The program's folder becomes sys.path[0], and micrograd this package: a micrograd in that
    folder too, which is said, unless `local` keeps it."""
    # sys.path[0] held the command's own folder, unless Python was told to put none there.
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path[0] = folder
        own = PathFinder.find_spec("micrograd", [folder])
        if own is not None and own.loader is not None:
            if local:
                return
            print(
                f"micrograd-fast: {own.origin} is replaced by micrograd_fast; "
                "run --local keeps the program's own",
                file=sys.stderr,
            )
    import micrograd_fast.as_micrograd  # noqa: F401


def _without_this_module(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    return trace


def _die_if(interrupted: list[bool]) -> None:
    """End as Python does after Ctrl-C: by the signal, so that a shell's loop ends too."""
    if interrupted and sys.platform != "win32":
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
