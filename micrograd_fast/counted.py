"""How many of something, in words: "1 item", "2 items"."""

__all__ = ["counted"]


def counted(n: int, what: str) -> str:
    """what: one of them."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"
