"""Figures and notes as a reader wants them: three digits and a unit."""

TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
SIZES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def short(number):
    """Three significant digits, never an exponent."""
    if number >= 1000:
        return f"{number:,.0f}"
    for limit, digits in ((100, 0), (10, 1), (1, 2)):
        if number >= limit:
            return f"{number:.{digits}f}"
    return f"{number:.3f}" if number >= 0.01 else f"{number:.2g}"


def time_text(seconds):
    for unit, name in TIMES:
        if seconds >= unit:
            return f"{short(seconds / unit)} {name}"
    return f"{seconds * 1e9:.2g} ns"


def memory_text(size):
    for unit, name in SIZES:
        if size >= unit:
            return f"{short(size / unit)} {name}"
    return f"{size} B"


def ratio_text(ratio):
    return "-" if ratio is None else short(ratio)


def note_text(result):
    notes = [result["note"]] if result.get("note") else []
    if result["status"] == "wrong":
        notes[0] = f"disagrees, no figure: {notes[0]}"
    if result.get("share", 1.0) < 1.0:
        notes.append(f"~ from {result['share']:.1%} of the work")
    if result.get("votes") == 1 and result["status"] == "ok" and not result.get("control"):
        notes.append("unchecked: no other engine ran")
    if "float32" in result["row"] and result["status"] == "ok":
        notes.append("float32, checked to 1e-2")
    if result.get("cpu_per_wall", 0) > 1.3:
        notes.append(f"used {result['cpu_per_wall']} threads")
    return "; ".join(notes)
