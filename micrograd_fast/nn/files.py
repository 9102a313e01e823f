"""States in files: NumPy's .npz, without pickles, so that reading one cannot run code.

A state is what state_dict() of a module or an optimizer returns, or a dict of such dicts, numbers,
text and lists of numbers. Entries are named by their path, 'optimizer/buffers/exp_avg'; a dict by
position, {'0': 0.5, '1': -1.0}, is one float64 array named 'path/#'. numpy.load reads them too.
Of a module's state by names 'path/#' are the numbers, 'path/#names' the names, as naming.py writes
them, and 'path/#activations' those of its neurons: version 2 of the format, where there are any.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from micrograd_fast import _types as t
from micrograd_fast.engine import Value
from micrograd_fast.nn import naming

__all__ = ["load", "save"]

_FORMAT = "micrograd_fast"
_VERSIONS = ([1], [2])
_BY_POSITION = "#"
_BESIDE = ("#names", "#activations")  # the numbers of a module's state
_POSITIONS: list[str] = []


def positions(n: int) -> list[str]:
    """['0', '1', ...]: the same texts each time, which all states share."""
    global _POSITIONS
    if len(_POSITIONS) < n:
        _POSITIONS = [*_POSITIONS, *map(str, range(len(_POSITIONS), n))]
    return _POSITIONS[:n]


class State(dict[str, float]):
    """A module's parameters by name, which also knows the activations of its neurons by theirs."""

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self.activations: dict[str, str] = {}


def save(state: t.Any, path: str | os.PathLike[str]) -> None:
    """Writes a Module's parameters, or a state, to a file, which is replaced at once or not at all.

    Raises TypeError or ValueError, which name the entry, for what such a file cannot hold.
    """
    import numpy as np

    if hasattr(state, "state_dict"):
        state = state.state_dict()
    if not hasattr(state, "items"):
        raise TypeError(f"save() takes a Module or a state dict, not {type(state).__name__!r}")
    arrays: dict[str, t.Any] = {}
    _flatten(state, "", arrays)
    # First of all the version and how many entries follow: an archive can lose some unnoticed.
    version = 2 if any(name.endswith(_BESIDE) for name in arrays) else 1
    arrays = {_FORMAT: np.array([version, len(arrays)], dtype=np.int64), **arrays}
    _write(path, arrays)


def _write(path: str | os.PathLike[str], arrays: Mapping[str, t.Any]) -> None:
    """The archive under a name of its own first, which then becomes the path's."""
    import os
    import shutil
    import uuid
    import zipfile

    import numpy as np

    target = os.fsdecode(os.path.realpath(path))  # what a link leads to is replaced, not the link
    unfinished = f"{target}.{uuid.uuid4().hex}.tmp"  # of this call: others may save there too
    try:
        with open(unfinished, "xb") as stream:
            with zipfile.ZipFile(stream, "w") as file:
                for name, array in arrays.items():
                    with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                        np.lib.format.write_array(entry, array, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        if os.path.exists(target):
            shutil.copymode(target, unfinished)
        os.replace(unfinished, target)
    finally:
        if os.path.exists(unfinished):
            os.remove(unfinished)


def _flatten(state: Mapping[str, t.Any], prefix: str, arrays: dict[str, t.Any]) -> None:
    if list(state) == positions(len(state)):
        names = [prefix + key for key in state]
        arrays[prefix + _BY_POSITION] = _numbers(list(state.values()), names)
        return
    for key in state:
        reserved = key in (_BY_POSITION, *_BESIDE)
        if not isinstance(key, str) or not key or reserved or set(key) & set("/\\\0"):
            raise ValueError(f"{prefix}{key!r} cannot be the name of an entry")
    if isinstance(state, State) and set(map(type, state.values())) == {float}:
        text = naming.written(list(state))
        if text is not None:
            arrays[prefix + _BY_POSITION] = _numbers(list(state.values()), [])
            arrays[prefix + _BESIDE[0]] = _array(text, prefix)
            if state.activations:
                arrays[prefix + _BESIDE[1]] = _array(naming.written_activations(state), prefix)
            return
    for key, entry in state.items():
        name = prefix + key
        if hasattr(entry, "items"):
            _flatten(entry, f"{name}/", arrays)
        elif name == _FORMAT:
            raise ValueError(f"{name!r} is the name of the file's own entry")
        else:
            arrays[name] = _array(entry, name)


def _number(number: t.Any, name: str) -> float:
    try:
        return Value(number).data
    except (TypeError, OverflowError) as error:
        raise type(error)(f"{name!r}: {error}") from None


def _whole(number: int, name: str) -> int:
    if not -(2**63) <= number < 2**63:
        bits = number.bit_length()
        raise ValueError(f"{name!r}: a whole number of {bits} bits does not fit into 64 bits")
    return number


def _numbers(items: list[t.Any], names: list[str]) -> t.Any:
    """A list of truths, of whole numbers or of floats as an array, whose items come back alike.

    Raises ValueError for a whole number that is none of float64 among floats.
    """
    import numpy as np

    if items and set(map(type, items)) == {float}:
        return np.array(items, dtype=np.float64)
    items = [x.item() if isinstance(x, (np.bool_, np.integer)) else x for x in items]
    if items and all(isinstance(x, bool) for x in items):
        return np.array(items, dtype=np.bool_)
    if items and all(isinstance(x, int) and not isinstance(x, bool) for x in items):
        whole = [_whole(x, name) for x, name in zip(items, names, strict=True)]
        return np.array(whole, dtype=np.int64)
    numbers = [_number(x, name) for x, name in zip(items, names, strict=True)]
    for x, number, name in zip(items, numbers, names, strict=True):
        if isinstance(x, int) and x != number:
            raise ValueError(f"{name!r}: {x} among floats would be kept as {number}")
    return np.array(numbers, dtype=np.float64)


def _array(entry: t.Any, name: str) -> t.Any:
    """A number, text, or a list of numbers, as an array."""
    import numpy as np

    if isinstance(entry, str):
        if entry.endswith("\0"):
            raise ValueError(f"{name!r}: text that ends with \\0 would lose it")
        return np.asarray(str(entry))
    if isinstance(entry, (bool, np.bool_)):
        return np.asarray(bool(entry))
    if isinstance(entry, (int, np.integer)):
        return np.asarray(_whole(int(entry), name), dtype=np.int64)
    if isinstance(entry, (list, tuple)):
        return _numbers(list(entry), [f"{name}[{k}]" for k in range(len(entry))])
    return np.asarray(_number(entry, name), dtype=np.float64)


def load(path: str | os.PathLike[str]) -> dict[str, t.Any]:
    """The state that save() wrote: for load_state_dict() of a module or an optimizer.

    Nothing in the file is trusted and no code in it runs. Raises ValueError, which names the file
    and the entry, for what save() did not write, damaged files and those of later versions; OSError
    where the file cannot be read.
    """
    import os
    import zipfile

    with open(path, "rb") as stream:
        try:
            with zipfile.ZipFile(stream) as file:
                # Entries that share bytes would take more memory than the file has.
                if (
                    sum(info.file_size for info in file.infolist())
                    > os.fstat(stream.fileno()).st_size
                ):
                    raise ValueError("its entries are larger than the file: they overlap")
                return _state(file)
        except Exception as error:  # zipfile hands on what damaged offsets lead to: OSError, ...
            raise ValueError(f"{path}: {error}") from error


def _state(file: t.Any) -> dict[str, t.Any]:
    infos = file.infolist()
    names = [info.filename.removesuffix(".npy") for info in infos]
    if not names or names[0] != _FORMAT or len(set(names)) != len(names):
        raise ValueError("no file of micrograd_fast.nn.save()")
    entries = {}
    for name, info in zip(names, infos, strict=True):
        entry = _entry(file, info, name)
        if name != _FORMAT:
            entries[name] = entry
        elif not isinstance(entry, list) or entry[:1] not in _VERSIONS:
            raise ValueError(f"format {entry!r}, this build reads versions 1 and 2")
        elif entry[1:] != [len(infos) - 1]:
            raise ValueError(f"{len(infos) - 1} entries left of those in {entry!r}")
    return _nested(entries)


def _nested(entries: dict[str, t.Any]) -> dict[str, t.Any]:
    """The entries by their paths."""
    state: dict[str, t.Any] = {}
    for name, entry in entries.items():
        path, _, key = name.rpartition("/")
        if key == _BY_POSITION and f"{name}names" in entries:
            module = _module_state(name, entry, entries)
            if path:
                _put(state, path, module)
            elif state:
                raise ValueError(f"{name!r} is no path of an entry")
            else:
                state = module
        elif key not in _BESIDE:
            _put(state, name, entry)
        elif name.removesuffix(key) + _BY_POSITION not in entries:
            raise ValueError(f"{name!r} is no path of an entry")
    return state


def _module_state(name: str, numbers: t.Any, entries: Mapping[str, t.Any]) -> State:
    """The numbers of an entry with the names beside it."""
    if not isinstance(numbers, list):
        raise ValueError(f"{name!r} is no list of numbers")
    try:
        names = naming.read(entries[f"{name}names"], len(numbers))
        state = State(zip(names, numbers, strict=True))
        state.activations = naming.read_activations(entries.get(f"{name}activations", ""), state)
    except ValueError as error:
        raise ValueError(f"{name}names: {error}") from None
    return state


def _entry(file: t.Any, info: t.Any, name: str) -> t.Any:
    """One entry as Python numbers. The size is checked before room is made for anything."""
    import io
    import math
    import zipfile

    import numpy as np

    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name!r} is compressed, which save() never does")
    data = file.read(info)  # its checksum is verified
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"version {version} of the .npy format")
        header = np.lib.format.read_array_header_1_0(stream)
    except Exception as error:  # NumPy hands on what Python's parser raises
        raise ValueError(f"{name!r} is no array: {error}") from None
    shape, _, dtype = header
    left = len(data) - stream.tell()
    if dtype.kind == "U" and shape == () and dtype.itemsize == left and dtype.isnative:
        pass
    elif dtype not in (np.float64, np.int64, np.bool_) or len(shape) > 1:
        raise ValueError(f"{name!r} is an array of dtype {dtype} and shape {shape}")
    elif min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != left:
        raise ValueError(f"{name!r} is truncated: {left} bytes for shape {shape}")
    return np.frombuffer(data, dtype, math.prod(shape), stream.tell()).reshape(shape).tolist()


def _put(state: dict[str, t.Any], name: str, entry: t.Any) -> None:
    """Sets an entry by its path."""
    *folders, key = name.split("/")
    for folder in folders:
        inner = state.setdefault(folder, {})
        if not folder or not isinstance(inner, dict):
            raise ValueError(f"{name!r} is no path of an entry")
        state = inner
    if key == _BY_POSITION and isinstance(entry, list) and not state:
        state.update(zip(positions(len(entry)), entry, strict=True))
    elif not key or key == _BY_POSITION or key in state:
        raise ValueError(f"{name!r} is no path of an entry")
    else:
        state[key] = entry
