"""What got faster or slower since an older run; the control row says whether the machine did."""

import math
import statistics

NOTABLE = 1.05  # smaller changes are noise on most machines


def key(result):
    return result["workload"], result["size"], result["row"]


def timed(run):
    return {key(r): r for r in run["results"] if r["status"] == "ok"}


def machine_factor(old, new):
    """How many times slower the control ran than in the older run; 1.0 if it did not run."""
    old, new = timed(old), timed(new)
    ratios = [
        new[k]["seconds"]["median"] / old[k]["seconds"]["median"]
        for k in new
        if k in old and new[k].get("control")
    ]
    return math.exp(statistics.fmean(map(math.log, ratios))) if ratios else 1.0


def changes(old, new):
    """[(key, old seconds, new seconds, ratio, verdict)] with the machine's own change taken out.

    A change counts when the quartiles do not overlap and it is more than 5 %.
    """
    factor = machine_factor(old, new)
    before, after = timed(old), timed(new)
    found = []
    for k, result in after.items():
        if k not in before or result.get("control"):
            continue
        was, now = before[k]["seconds"], result["seconds"]
        ratio = now["median"] / was["median"] / factor
        apart = now["q1"] > was["q3"] * factor or now["q3"] < was["q1"] * factor
        verdict = ""
        if apart and ratio > NOTABLE:
            verdict = f"slower, {ratio:.2f} times"
        elif apart and ratio < 1 / NOTABLE:
            verdict = f"faster, {1 / ratio:.2f} times"
        found.append((k, was["median"], now["median"], ratio, verdict))
    return found


def differences(old, new):
    """What makes the two runs hard to compare: another machine, threads or versions."""
    lines = []
    for field in ("cpu", "python", "threads"):
        if old["machine"][field] != new["machine"][field]:
            lines.append(f"{field}: {old['machine'][field]} then, {new['machine'][field]} now")
    was, now = old["machine"]["versions"], new["machine"]["versions"]
    lines += [
        f"{name}: {was[name]} then, {now[name]} now"
        for name in now
        if name in was and was[name] != now[name]
    ]
    if old["mode"] != new["mode"]:
        lines.append(f"mode: {old['mode']} then, {new['mode']} now")
    return lines


def report(old, new, console):
    from rich.table import Table

    from .texts import time_text

    console.print(f"\n[bold cyan]since {old['machine']['date']}[/], {old['machine']['commit']}")
    for line in differences(old, new):
        console.print(f"  [yellow]{line}[/]")
    factor = machine_factor(old, new)
    console.print(f"  control: {factor:.2f} times the time of then; taken out of the ratios below")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("workload")
    table.add_column("engine")
    for title in ("then", "now", "now / then"):
        table.add_column(title, justify="right")
    table.add_column("")
    for (workload, size, row), was, now, ratio, verdict in changes(old, new):
        label = workload if size is None else f"{workload} {size:,}"
        style = "red" if verdict.startswith("slower") else "green" if verdict else ""
        table.add_row(
            label, row, time_text(was), time_text(now), f"{ratio:.2f}", verdict, style=style
        )
    console.print(table)
