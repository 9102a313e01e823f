"""Sparse Jacobians and Hessians of compiled functions, as arrays of SciPy.

Every entry that is not 0 for good is written out (directions.py), in the order in which a csr_array
has it, so the numbers that a run gives are its data. A batch is blocks of rows, one a sample, over
the columns of what the sample reads; samples may share what they read.
"""

from __future__ import annotations

from math import prod
from typing import Any

from micrograd_fast import _core, patterns
from micrograd_fast.arguments import refuse_masked
from micrograd_fast.directions import check_mode, layout_of, rows_of
from micrograd_fast.requests import Request


def jacobian(
    f: Any, args: Any, kwargs: Any, argnums: Any, params: Any, mode: Any, index: Any, out: Any
) -> Any:
    check_mode(mode)
    call = Request(f, "jacobian", args, kwargs, argnums, params)
    if f._batch:
        return of_batch(call, mode, index, out)
    if index is not None:
        raise ValueError("jacobian: index is for functions with batch=True, whose samples it names")
    return entries(call, False, mode, out)


def hessian(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any, out: Any) -> Any:
    call = Request(f, "hessian", args, kwargs, argnums, params)
    if f._batch:
        raise ValueError(
            "hessian: a sparse array has two axes: compile the function without batch=True"
        )
    return entries(call, True, None, out)


def sparsity(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any, index: Any) -> Any:
    import numpy as np

    found = jacobian(f, args, kwargs, argnums, params, None, index, None)
    return patterns.like(found, np.ones(len(found.data), bool))


def entries(call: Request, hessian: bool, mode: str | None, out: Any) -> Any:
    """The Jacobian or Hessian, shape (results, numbers)."""
    numbers, text = numbers_and_text(call, hessian, mode)
    pattern = patterns.of(text, call.n)
    if out is None:
        return pattern.sparse(numbers)
    check_out(call, out, pattern.structure())
    if len(out.data):
        out.data[:] = numbers
    return out


def numbers_and_text(call: Request, hessian: bool, mode: str | None) -> Any:
    """What rows_of() says of a call. By forward mode, unless reverse was asked for or the rows of
    what stands before the results are long: those of few results by many numbers."""
    if hessian or mode == "forward":
        kind = f"{'hessian' if hessian else 'jacobian'} forward sparse"
        return call.derived(kind, rows_of(hessian, True, False)).values(*call.args, **call.kwargs)
    layout = layout_of(call, False, mode)
    few = mode is None and not layout.forward
    if layout.forward or (few and not layout.long_rows):
        rows = call.derived("jacobian forward sparse" + " short" * few, rows_of(False, True, few))
        try:
            return rows.values(*call.args, **call.kwargs)
        except _core.TooManyEntries:
            layout.long_rows = True
    rows = call.derived("jacobian reverse sparse", rows_of(False, False, False))
    return rows.values(*call.args, **call.kwargs)


class Blocks:
    """The Jacobian of a batch: a compiled function of the entries of one sample, its trace, and the
    structure of the whole as it was for the last call."""

    def __init__(self, rows: Any, source: _core.Specialization, n: int) -> None:
        self.rows: Any = rows
        self.source: _core.Specialization = source
        _, (_, (_, text)) = source.tree
        self.pattern: patterns.Pattern = patterns.of(text, n)
        self.known: Any = None
        self.structure: Any = None

    def find(self, call: Request, n_samples: int, index: list[Any], sizes: list[int]) -> Any:
        """The structure, which calls of the same sizes and indices share. sizes: how many samples
        each argument has; index: which of them each block reads, None: its own."""
        if (
            self.known is not None
            and self.known[:2] == (n_samples, sizes)
            and all(same(i, other) for i, other in zip(index, self.known[2], strict=True))
        ):
            return self.structure
        self.structure = self.structure_of(call, n_samples, index, sizes)
        self.known = (n_samples, sizes, index)
        return self.structure

    def structure_of(
        self, call: Request, n_samples: int, index: list[Any], sizes: list[int]
    ) -> Any:
        import numpy as np

        one = self.pattern
        columns = np.empty((n_samples, len(one.columns)), np.int64)
        first = start = 0  # of the argument's columns in a block and in the whole
        for shape, size, i in zip(call.shapes, sizes, index, strict=True):
            width = prod(shape)
            inside = (one.columns >= first) & (one.columns < first + width)
            at = np.zeros(n_samples, int) if call.params is not None else i
            at = np.arange(n_samples) if at is None else at
            columns[:, inside] = at[:, None] * width + (one.columns[inside] - first + start)
            first += width
            start += size * width
        ends = np.arange(n_samples)[:, None] * len(one.columns) + one.ends[1:]
        return patterns.csr_array(
            columns.ravel(), np.append(0, ends), (n_samples * one.shape[0], start)
        )


def of_batch(call: Request, mode: str | None, index: Any, out: Any) -> Any:
    """Shape (samples x results, numbers of all that is differentiated by)."""
    sizes = [1] if call.params is not None else [len(call.args[k]) for k in call.places]
    indices = read_index(call, index, sizes)
    for k, i in zip(call.places, indices, strict=False):
        if i is not None:
            call.args[k] = call.args[k].take(i, 0)
    blocks = blocks_of(call, mode)
    if out is None:
        numbers = blocks.rows.values(*call.args, **call.kwargs)
        structure = blocks.find(call, len(numbers), indices, sizes)
        data = numbers.ravel() if len(structure.data) else numbers[:0, 0]
        return patterns.like(structure, data)
    check_out(call, out, blocks.find(call, call.n_samples, indices, sizes))
    if len(out.data):
        blocks.rows._fill(out.data, tuple(call.args), call.kwargs)
    return out


def blocks_of(call: Request, mode: str | None) -> Blocks:
    """Those of the last call like this one."""
    layout = layout_of(call, False, mode)
    found: Blocks | None = layout.blocks
    if found is None or found.source.change():
        kind = f"jacobian {'forward' if layout.forward else 'reverse'} sparse"
        rows = call.derived(kind, rows_of(False, layout.forward, False))
        source, _, _ = rows._read(tuple(call.args), call.kwargs)
        found = layout.blocks = Blocks(rows, source, call.n)
    return found


def read_index(call: Request, index: Any, sizes: list[int]) -> list[Any]:
    """For each argument that is differentiated by, which of its samples each block reads."""
    import numpy as np

    if index is None:
        return [None] * len(sizes)
    if call.params is not None:
        raise ValueError("jacobian: params are the same in all samples, there is no index of them")
    given = [index] if call.one else index
    if not isinstance(given, (list, tuple)) or len(given) != len(sizes):
        raise ValueError(
            f"jacobian: index must have an array or None for each of argnums {call.places}"
        )
    found: list[Any] = []
    for k, (i, size) in enumerate(zip(given, sizes, strict=True)):
        name = "index" if call.one else f"index[{k}]"
        if i is None:
            found.append(None)
            continue
        refuse_masked(i, f"jacobian: {name}")
        array = np.asarray(i)
        array = array.astype(int) if array.shape == (0,) else array
        if array.dtype.kind not in "iu":
            raise TypeError(f"jacobian: {name} must be of integers, not {array.dtype}")
        if array.ndim != 1:
            raise ValueError(f"jacobian: {name} must have one axis, not the shape {array.shape}")
        if len(array) and not 0 <= array.min() <= array.max() < size:
            raise IndexError(
                f"jacobian: {name} must be from 0 to {size - 1}, samples of argument "
                f"{call.places[k]}, not {array.min()} to {array.max()}"
            )
        found.append(array.astype(int))  # a copy: the caller's may change
    n_samples = {len(i) for i in found if i is not None}
    n_samples |= {n for i, n in zip(found, sizes, strict=True) if i is None}
    if len(n_samples) > 1:
        raise ValueError(f"jacobian: index is of {sorted(n_samples)} samples: give one for each")
    return found


def same(i: Any, other: Any) -> bool:
    """Whether two arrays, or None, are alike."""
    import numpy as np

    return i is other or (i is not None and other is not None and np.array_equal(i, other))


def check_out(call: Request, out: Any, structure: Any) -> None:
    import numpy as np

    if type(out) is not type(structure):
        raise TypeError(f"{call.what}: out must be a csr_array, not {type(out).__name__!r}")
    if out.shape != structure.shape or not (
        same(out.indices, structure.indices) and same(out.indptr, structure.indptr)
    ):
        raise ValueError(f"{call.what}: out must have the structure of what is returned without it")
    data = out.data
    usable = data.dtype == np.float64 and data.flags.c_contiguous and data.flags.writeable
    if not usable or data.shape != structure.data.shape:
        raise ValueError(f"{call.what}: out.data must be {len(structure.data)} float64 in a row")
