"""Where the entries of a Jacobian or Hessian stand that are not 0 for good.

A traced function says it as a text, a constant of its trace; what that means is found once.
"""

from __future__ import annotations

from array import array

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from typing import Any

KEPT = 256  # patterns that are remembered

_known: dict[tuple[str, int, bool], Pattern] = {}


def text_of(ends: list[int], columns: list[int]) -> str:
    """Where each row ends, and the column of each entry."""
    return array("i", [len(ends), *ends, *columns]).tobytes().decode("latin-1")


def of(text: str, n_columns: int, symmetric: bool) -> Pattern:
    key = (text, n_columns, symmetric)
    found = _known.get(key)
    if found is None:
        if len(_known) >= KEPT:
            _known.clear()
        found = _known[key] = Pattern(*key)
    return found


class Pattern:
    """symmetric: the entries are those of the lower half."""

    def __init__(self, text: str, n_columns: int, symmetric: bool) -> None:
        import numpy as np

        numbers = np.frombuffer(text.encode("latin-1"), np.intc)
        n_rows = int(numbers[0])
        ends, columns = numbers[1 : n_rows + 1], numbers[n_rows + 1 :]
        rows = np.repeat(np.arange(n_rows), np.diff(ends, prepend=0))
        order = np.arange(len(columns))
        if symmetric:
            above = order[columns < rows]
            rows, columns = (
                np.concatenate([rows, columns[above]]),
                np.concatenate([columns, rows[above]]),
            )
            order = np.concatenate([order, above])
        places = np.lexsort((columns, rows))
        rows, columns = rows[places], columns[places]
        self.shape = (n_rows, n_columns)
        self.order = order[places] if symmetric else None  # of the entries given
        self.flat = rows * n_columns + columns
        self.columns = columns
        self.ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))])
        self.size = n_rows * n_columns
        self.is_full = len(self.flat) == self.size > 0
        self.template: Any = None

    def dense(self, numbers: Any) -> Any:
        import numpy as np

        numbers = self.ordered(numbers)
        if self.is_full:
            return numbers.reshape(self.shape)
        whole = np.zeros(self.size)
        if len(self.flat):
            whole[self.flat] = numbers
        return whole.reshape(self.shape)

    def structure(self) -> Any:
        """A csr_array that all sparse ones share the structure of."""
        if self.template is None:
            self.template = csr_array(self.columns, self.ends, self.shape)
        return self.template

    def sparse(self, numbers: Any) -> Any:
        """A csr_array; those of one pattern share its structure."""
        return like(self.structure(), self.ordered(numbers) if len(self.flat) else numbers[:0])

    def ordered(self, numbers: Any) -> Any:
        return numbers if self.order is None else numbers[self.order]


def like(structure: Any, data: Any) -> Any:
    """A csr_array of other data and the same structure: a third of what copy.copy takes."""
    found = object.__new__(type(structure))
    found.__dict__.update(structure.__dict__)
    found.data = data
    return found


def csr_type() -> Any:
    try:
        from scipy.sparse import csr_array
    except ImportError:
        raise ImportError("a sparse Jacobian is an array of SciPy: pip install scipy") from None
    return csr_array


def csr_array(columns: Any, ends: Any, shape: tuple[int, int]) -> Any:
    """One of zeros, whose structure cannot be written to."""
    import numpy as np

    kind = np.int32 if max(len(columns), *shape) <= np.iinfo(np.int32).max else np.int64
    columns, ends = columns.astype(kind), ends.astype(kind)
    ends.flags.writeable = columns.flags.writeable = False
    return csr_type()((np.zeros(len(columns)), columns, ends), shape=shape)
