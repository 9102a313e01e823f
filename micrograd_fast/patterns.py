"""Where the entries of a Jacobian or Hessian stand that are not 0 for good.

A traced function says it as a text, a constant of its trace; what that means is found once.
"""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEPT = 256  # patterns that are remembered

_known: dict[tuple[str, int], Pattern] = {}


def text_of(ends: list[int], columns: list[int]) -> str:
    """Where each row ends, and the column of each entry."""
    return array("i", [len(ends), *ends, *columns]).tobytes().decode("latin-1")


def mirrored(
    found: list[Any], ends: list[int], columns: list[int]
) -> tuple[list[Any], list[int], list[int]]:
    """All entries of a symmetric matrix, by rows, from those of its lower half."""
    rows: list[list[tuple[int, Any]]] = [[] for _ in ends]
    first = 0
    for row, end in enumerate(ends):
        for k in range(first, end):
            rows[row].append((columns[k], found[k]))
            if columns[k] < row:
                rows[columns[k]].append((row, found[k]))
        first = end
    entries = [entry for row in rows for entry in row]
    ends = list(accumulate(map(len, rows)))
    return [v for _, v in entries], ends, [column for column, _ in entries]


def of(text: str, n_columns: int) -> Pattern:
    key = (text, n_columns)
    found = _known.get(key)
    if found is None:
        if len(_known) >= KEPT:
            _known.clear()
        found = _known[key] = Pattern(*key)
    return found


class Pattern:
    """Entries by rows, columns ascending."""

    def __init__(self, text: str, n_columns: int) -> None:
        import numpy as np

        numbers = np.frombuffer(text.encode("latin-1"), np.intc)
        n_rows = int(numbers[0])
        self.ends: NDArray[Any] = np.append(0, numbers[1 : n_rows + 1])
        self.columns: NDArray[Any] = numbers[n_rows + 1 :]
        self.shape: tuple[int, int] = (n_rows, n_columns)
        self.size: int = n_rows * n_columns
        self.flat: NDArray[Any] = (
            np.repeat(np.arange(n_rows), np.diff(self.ends)) * n_columns + self.columns
        )
        self.is_full: bool = len(self.flat) == self.size > 0
        self.template: Any = None

    def dense(self, numbers: Any) -> Any:
        import numpy as np

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
        return like(self.structure(), numbers if len(self.flat) else numbers[:0])


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
