"""The tables in Markdown that bench.publish writes into the documents."""

from .reading import LEVEL, Reading, first, time, workload_words
from .texts import memory_text, note_text, short, time_text

CAPTIONS = {
    "picture": "How many times faster or slower the better of our two ways is than the best of the "
    "others: a bar for each thing that was timed",
    "scaling": "Time and memory a node against the size of the graph",
}
SHOWN = ("torch", "jax", "casadi", "ddx-ad", "autograd", "numpy")
# Where people start, and the same with Python's garbage collector off.
STARTS = (("microgpt", "microgpt (gc off)"), ("micrograd", "micrograd (gc off)"))


def versions(reading):
    """Of what took part."""
    names = {"torch": "PyTorch", "jax": "JAX", "casadi": "CasADi", "ddx-ad": "ddx-ad"}
    found = reading.machine["versions"]
    return ", ".join(f"{names.get(n, n)} {found[n]}" for n in SHOWN if n in found)


def line(cells):
    return f"| {' | '.join(c.replace('|', '/') for c in cells)} |"


def table(heads, rows, left=1):
    """Markdown; all columns but the first are aligned right."""
    rule = ["---"] * left + ["--:"] * (len(heads) - left)
    return "\n".join([line(heads), "|" + "|".join(rule) + "|", *map(line, rows)])


def about(result):
    return ("~" if result["share"] < 1.0 else "") + time_text(time(result))


def cell(result, bold=False):
    if result is None:
        return "-"
    return f"**{about(result)}**" if bold else about(result)


# ---- one row a workload ----


def overview(reading, *workloads):
    """The best of the others, ours, and who is ahead; of all workloads where none are named."""
    heads = ["", "where people start", "eager", "compiled", "its first call"]
    heads += ["best of the others", "its first call", "ahead"]
    rows = [overview_row(reading, w) for w in workloads or reading.single()]
    return table(heads, rows)


def overview_row(reading, workload):
    eager, compiled = (reading.find(workload, row) for row in ("eager", "compiled"))
    ours, best = reading.ours(workload), reading.best(workload)
    nobody = "none does it" if ours else "-"
    return [
        workload_words(workload),
        start(reading, workload),
        cell(eager, eager is ours),
        cell(compiled, compiled is ours),
        time_text(first(compiled)) if compiled else "-",
        f"{reading.words(best['row'])}: {about(best)}" if best else nobody,
        time_text(first(best)) if best else "-",
        leader(reading, ours, best) if best else "-",
    ]


def start(reading, workload):
    """micrograd, or for the GPT microgpt's own class; in brackets without garbage collection."""
    for plain, uncollected in STARTS:
        found, off = (reading.find(workload, row) for row in (plain, uncollected))
        if found:
            return f"{name(reading, found)}: {about(found)}" + (f" ({about(off)})" if off else "")
    return "-"


def leader(reading, ours, best):
    ratio = time(best) / time(ours)
    if 1 / LEVEL <= ratio <= LEVEL:
        return "level"
    return (
        f"ours, {short(ratio)} x" if ratio > 1 else f"{name(reading, best)}, {short(1 / ratio)} x"
    )


def name(reading, result):
    return reading.words(result["row"])


# ---- who is ahead ----


def leads(reading):
    """{row of another: [(workload, times)]}"""
    found = {}
    for workload in reading.single():
        for result, ratio in reading.ahead(workload):
            found.setdefault(result["row"], []).append((workload, ratio))
    return found


def ahead(reading):
    """A line for each engine that is ahead of ours anywhere, with the reason."""
    lines = []
    for row, places in leads(reading).items():
        where = "; ".join(f"{workload_words(w)}, {short(ratio)} x" for w, ratio in places)
        reason = reading.why(row)
        lines.append(f"- **{reading.words(row)}**: {where}." + (f" {reason}" if reason else ""))
    return "\n".join(lines) or "- None in this run."


def unexplained(reading):
    return [row for row in leads(reading) if not reading.why(row)]


# ---- all rows ----


def details(reading: Reading):
    """A table for each workload, with every engine, the fastest first."""
    parts = []
    for workload in reading.single():
        parts.append(f"**{workload_words(workload)}** (`{workload}`)")
        parts.append(single_table(reading, workload))
    for workload in reading.series():
        parts.append(f"**{workload_words(workload)}** (`{workload}`), a node")
        parts.append(series_table(reading, workload))
    return "\n\n".join(parts)


def single_table(reading, workload):
    ours = time(reading.ours(workload))
    found = [r for r in reading.results if r["workload"] == workload]
    measured = sorted((r for r in found if r["status"] == "ok"), key=time)
    rows = [
        [
            shown_name(reading, r),
            about(r),
            short(time(r) / ours),
            time_text(first(r)),
            memory_text(r["memory"]),
            note_text(r) or " ",
        ]
        for r in measured
    ]
    rest = [r for r in found if r["status"] != "ok"]
    rows += [[name(reading, r), "-", "-", "-", "-", note_text(r)] for r in rest]
    return table(["", "time", "/ ours", "first call", "peak memory", "note"], rows)


def shown_name(reading, result):
    text = name(reading, result)
    return f"**{text}**" if result["engine"] in ("eager", "compiled") else text


def series_table(reading, workload):
    heads = ["nodes", "", "build", "backward", "free", "together", "memory", "note"]
    rows = []
    for r in reading.results:
        if r["workload"] != workload:
            continue
        size = f"{r['size']:,}"
        if r["status"] != "ok":
            rows.append([size, name(reading, r), *"-----", note_text(r)])
            continue
        parts = [time_text(r["phases"][p] / r["size"]) for p in ("build", "backward", "free")]
        whole = time_text(time(r) / r["size"])
        memory = f"{r['memory'] / r['size']:,.0f} B"
        rows.append([size, shown_name(reading, r), *parts, whole, memory, note_text(r) or " "])
    return table(heads, rows, left=2)
