"""The tables in the terminal, drawn by rich."""

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from .registry import load_workload
from .texts import memory_text, note_text, ratio_text, short, time_text


def spread_text(seconds):
    return f"{time_text(seconds['q1'])} .. {time_text(seconds['q3'])}"


def plain_table(results):
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("engine", no_wrap=True)
    for title in ("median", "quartiles", "/ eager", "/ fastest", "set-up", "peak memory"):
        table.add_column(title, justify="right", no_wrap=True)
    rates = any("gflops" in result for result in results)
    if rates:
        table.add_column("GFLOP/s", justify="right", no_wrap=True)
    table.add_column("note", style="dim")
    for result in results:
        name = Text(result["row"], style=row_style(result))
        if result["status"] != "ok":
            table.add_row(name, *["-"] * (6 + rates), note_text(result))
            continue
        about = "~" if result["share"] < 1.0 else ""
        table.add_row(
            name,
            about + time_text(result["seconds"]["median"]),
            spread_text(result["seconds"]),
            ratio_text(result.get("vs_eager")),
            ratio_text(result.get("vs_fastest")),
            time_text(result["setup"]) if result["setup"] >= 1e-3 else "-",
            memory_text(result["memory"]),
            *([short(result["gflops"]) if "gflops" in result else "-"] if rates else []),
            note_text(result),
        )
    return table


def rate_line(results):
    """What the rates are to be compared with, and how close this project comes."""
    ours = next((r for r in results if r["row"] == "compiled" and "gflops" in r), None)
    peak = next((r["peak_gflops"] for r in results if "gflops" in r), None)
    if peak is None:
        return None
    text = f"a plain loop of multiply-adds reaches {short(peak)} GFLOP/s on this core"
    if ours:
        text += f"; compiled, the whole step: {ours['gflops'] / peak:.0%} of it"
    return Text(text, style="dim")


def series_table(results):
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("nodes", justify="right")
    table.add_column("engine", no_wrap=True)
    for title in ("build", "backward", "free", "total / node", "memory / node", "/ eager"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("note", style="dim")
    last = None
    for result in results:
        size = result["size"]
        label = f"{size:,}" if size != last else ""
        last = size
        name = Text(result["row"], style=row_style(result))
        if result["status"] != "ok":
            table.add_row(label, name, *["-"] * 6, note_text(result))
            continue
        if result.get("control"):
            continue
        phases = [time_text(result["phases"][p] / size) for p in ("build", "backward", "free")]
        table.add_row(
            label,
            name,
            *phases,
            time_text(result["seconds"]["median"] / size),
            f"{result['memory'] / size:,.0f} B",
            ratio_text(result.get("vs_eager")),
            note_text(result),
        )
    return table


def row_style(result):
    if result.get("control"):
        return "dim"
    return "bold green" if result["engine"] in ("eager", "compiled") else ""


def workload_table(name, results):
    """One workload's title and table. Build, backward and free of a series are per node."""
    workload = load_workload(name)
    series = hasattr(workload, "SERIES")
    title = Text(f"\n{workload.TITLE}", style="bold cyan")
    if series:
        title.append(" (all columns per node)", style="not bold")
    ok_first = sorted(results, key=place)
    line = None if series else rate_line(results)
    table = series_table(ok_first) if series else plain_table(ok_first)
    return Group(title, table, *([line] if line else []))


def place(result):
    """By size, then the fastest first, then those without a figure, then the control."""
    ok = result["status"] == "ok"
    seconds = result["seconds"]["median"] if ok else 0.0
    return result["size"] or 0, result.get("control", False), not ok, seconds


def console(stderr=False):
    """As wide as the terminal; wide enough for every column where output goes to a file."""
    found = Console(highlight=False, stderr=stderr)
    return found if found.is_terminal else Console(highlight=False, stderr=stderr, width=132)
