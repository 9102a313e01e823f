"""Writes the methods of the op table into the stub: `python tools/stub.py`, after a build.

They stand between two comments in micrograd_fast/_core.pyi; the rest of it is written by hand.
tests/engine/test_table.py compares them with the table.
"""

from pathlib import Path

from micrograd_fast._core import OPS, Value

STUB = Path(__file__).resolve().parent.parent / "micrograd_fast" / "_core.pyi"
BEGIN = "    # ---- from src/ops.h, by tools/stub.py ----\n"
END = "    # ---- until here ----\n"


def methods() -> str:
    """The stub's text for the ops that are methods, in the table's order, then NumPy's names."""
    names = {op.name for op in OPS if op.doc}
    again = {
        name: method.__name__
        for name, method in vars(Value).items()
        if getattr(method, "__name__", name) in names - {name}
    }
    return "".join(
        f"    def {op.name}(self{', other: _Operand' if op.arity == 2 else ''}) -> Value:\n"
        f'        """{op.doc}"""\n'
        for op in OPS
        if op.doc
    ) + "".join(f"    {name} = {of}\n" for name, of in again.items())


def rewritten(text: str) -> str:
    """A stub's text with the table's methods between the comments."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}{methods()}{end}{after}"


if __name__ == "__main__":
    STUB.write_text(rewritten(STUB.read_text("utf-8")), "utf-8")
