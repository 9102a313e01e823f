"""States in files: NumPy's .npz, without pickles, so that reading one cannot run code.

A state is what state_dict() of a module or an optimizer returns, or a dict of such dicts, numbers,
text and lists of numbers. Entries are named by their path, 'optimizer/buffers/exp_avg'; a dict by
position, {'0': 0.5, '1': -1.0}, is one float64 array named 'path/#'. numpy.load reads them too.
"""

from __future__ import annotations

from micrograd_fast.engine import Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from typing import Any

__all__ = ["load", "save"]

_FORMAT = "micrograd_fast"
_VERSION = 1
_BY_POSITION = "#"


def save(state: Any, path: str | os.PathLike[str]) -> None:
    """Writes a Module's parameters, or a state, to a file, which is replaced at once or not at all.

    Raises TypeError or ValueError, which name the entry, for what such a file cannot hold.
    """
    import os
    import zipfile

    import numpy as np

    if hasattr(state, "state_dict"):
        state = state.state_dict()
    if not hasattr(state, "items"):
        raise TypeError(f"save() takes a Module or a state dict, not {type(state).__name__!r}")
    arrays: dict[str, Any] = {}
    _flatten(state, "", arrays)
    # First of all the version and how many entries follow: an archive can lose some unnoticed.
    arrays = {_FORMAT: np.array([_VERSION, len(arrays)], dtype=np.int64), **arrays}
    unfinished = f"{os.fspath(path)}.{os.getpid()}.tmp"
    try:
        with zipfile.ZipFile(unfinished, "w") as file:
            for name, array in arrays.items():
                with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)
        os.replace(unfinished, path)
    finally:
        if os.path.exists(unfinished):
            os.remove(unfinished)


def _flatten(state: Mapping[str, Any], prefix: str, arrays: dict[str, Any]) -> None:
    import numpy as np

    for key in state:
        if not isinstance(key, str) or not key or key == _BY_POSITION or set(key) & set("/\\\0"):
            raise ValueError(f"{prefix}{key!r} cannot be the name of an entry")
    if all(key == str(k) for k, key in enumerate(state)):
        numbers = [_number(x, f"{prefix}{key}") for key, x in state.items()]
        arrays[prefix + _BY_POSITION] = np.array(numbers, dtype=np.float64)
        return
    for key, entry in state.items():
        name = prefix + key
        if hasattr(entry, "items"):
            _flatten(entry, f"{name}/", arrays)
        elif name == _FORMAT:
            raise ValueError(f"{name!r} is the name of the file's own entry")
        else:
            arrays[name] = _array(entry, name)


def _number(number: Any, name: str) -> float:
    try:
        return Value(number).data
    except (TypeError, OverflowError) as error:
        raise type(error)(f"{name!r}: {error}") from None


def _array(entry: Any, name: str) -> Any:
    """A number, text, or a list of numbers, as an array."""
    import numpy as np

    if isinstance(entry, str):
        return np.asarray(entry)
    if isinstance(entry, bool):
        return np.asarray(entry)
    if isinstance(entry, int):
        if not -(2**63) <= entry < 2**63:
            raise ValueError(f"{name!r}: {entry} does not fit into 64 bits")
        return np.asarray(entry, dtype=np.int64)
    if isinstance(entry, (list, tuple)):
        numbers = [_number(x, f"{name}[{k}]") for k, x in enumerate(entry)]
        return np.array(numbers, dtype=np.float64)
    return np.asarray(_number(entry, name), dtype=np.float64)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The state that save() wrote: for load_state_dict() of a module or an optimizer.

    Nothing in the file is trusted and no code in it runs. Raises ValueError, which names the file
    and the entry, for what save() did not write, damaged files and those of later versions; OSError
    where the file cannot be read.
    """
    import zipfile

    with open(path, "rb") as stream:
        try:
            with zipfile.ZipFile(stream) as file:
                return _state(file)
        except Exception as error:  # zipfile hands on what damaged offsets lead to: OSError, ...
            raise ValueError(f"{path}: {error}") from error


def _state(file: Any) -> dict[str, Any]:
    state: dict[str, Any] = {}
    entries = file.infolist()
    names = [info.filename.removesuffix(".npy") for info in entries]
    if not names or names[0] != _FORMAT or len(set(names)) != len(names):
        raise ValueError("no file of micrograd_fast.nn.save()")
    for name, info in zip(names, entries, strict=True):
        entry = _entry(file, info, name)
        if name != _FORMAT:
            _put(state, name, entry)
        elif not isinstance(entry, list) or entry[:1] != [_VERSION]:
            raise ValueError(f"format {entry!r}, this build reads version {_VERSION}")
        elif entry[1:] != [len(entries) - 1]:
            raise ValueError(f"{len(entries) - 1} entries left of those in {entry!r}")
    return state


def _entry(file: Any, info: Any, name: str) -> Any:
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


def _put(state: dict[str, Any], name: str, entry: Any) -> None:
    """Sets an entry by its path."""
    *folders, key = name.split("/")
    for folder in folders:
        inner = state.setdefault(folder, {})
        if not folder or not isinstance(inner, dict):
            raise ValueError(f"{name!r} is no path of an entry")
        state = inner
    if key == _BY_POSITION and isinstance(entry, list) and not state:
        state.update({str(k): number for k, number in enumerate(entry)})
    elif not key or key == _BY_POSITION or key in state:
        raise ValueError(f"{name!r} is no path of an entry")
    else:
        state[key] = entry
