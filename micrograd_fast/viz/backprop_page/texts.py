"""How numbers and names read on the page."""

from __future__ import annotations

import re

__all__ = ["factor", "printable", "short_path", "shown"]


def shown(number: float) -> str:
    """Up to four decimals; an exponent where these would say nothing."""
    if number == 0.0:
        return "0"
    if 1e-3 <= abs(number) < 1e6:
        return f"{number:.4f}".rstrip("0").rstrip(".")
    return f"{number:.3e}" if number - number == 0.0 else str(number)  # inf and nan as they are


def factor(number: float) -> str:
    """A number as an operand, which takes parentheses where it is negative."""
    return f"({shown(number)})" if number < 0.0 else shown(number)


def short_path(name: str) -> str:
    """A parameter's name with less in it: layers.0.neurons.3.w.1 is layers.0[3].w[1]."""
    name = re.sub(r"\.neurons\.(\d+)", r"[\1]", name)
    return re.sub(r"(?<=[A-Za-z_])\.(\d+)$", r"[\1]", name)


def printable(text: str) -> str:
    """In one line; control characters as the pictures that Unicode has of them, what is no text as
    a question mark."""
    text = "".join(chr(0x2400 + ord(c)) if c < " " else c for c in " ".join(text.split()))
    return text.encode("utf-8", "replace").decode("utf-8")
