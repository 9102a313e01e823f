"""`python -m bench`: measure, show, save, plot, compare. See README.md."""

import argparse
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic

from . import abilities, compare, machine, method, reading, registry


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="micrograd_fast beside what else one could use"
    )
    add = parser.add_argument
    add("workloads", nargs="*", metavar="WORKLOAD", help="which workloads (default: all)")
    add("--engines", metavar="A,B,...", help="which engines or rows of them (default: all)")
    add("--quick", action="store_true", help="fewer turns, smaller series, the slowest left out")
    add("--toy", action="store_true", help="the smallest sizes, to see that everything runs")
    add("--threads", type=int, default=1, metavar="N", help="for every engine alike (default: 1)")
    add("--json", metavar="FILE", type=Path, help="save all figures")
    add("--plot", metavar="FILE", type=Path, help="save a plot, and FILE-scaling beside it")
    add("--compare", metavar="OLD.json", type=Path, help="what got faster or slower since")
    add(
        "--publish",
        action="store_true",
        help="save under bench/results, by date and machine, draw the pictures and write the "
        "figures into the documents",
    )
    add("--no-abilities", action="store_true", help="skip what each engine can do")
    add("--from", dest="saved", metavar="FILE.json", type=Path, help="show a saved run instead")
    add("--list", action="store_true", help="list workloads and engines, and what is missing")
    return parser, parser.parse_args(arguments)


def choose(wanted, known, what, parser):
    for name in wanted:
        if name not in known:
            parser.error(f"no {what} {name!r}; there are: {', '.join(known)}")
    return wanted or list(known)


def chosen_rows(text, engines, parser):
    """[(row, engine)], by the names of engines or of single rows; the control always runs.

    A row that is named is not spared anything by --quick.
    """
    pairs = [(row, engine) for engine in engines.values() for row in engine.rows]
    names = [n.strip() for n in (text or "").split(",") if n.strip()]
    known = dict.fromkeys([*engines, *(row.name for row, _ in pairs)])
    choose(names, known, "engine", parser)
    if not names:
        return pairs
    pairs = [(r, e) for r, e in pairs if r.name in names or e.name in names or r.control]
    return [(replace(r, not_quick=()) if r.name in names else r, e) for r, e in pairs]


def run_workload(name, pairs, plan, threads, show):
    """All sizes of one workload."""
    results = []
    last = {}
    for problem in registry.problems(name, plan.mode):
        able = [row for row, engine in pairs if registry.runs(row, engine, name)]
        rows = []
        for row in able:
            before = None if row.control else last.get(row.name)
            reason = row.spared(name, plan.mode)
            reason = reason or method.too_large(problem, before, plan, machine.total_memory())
            if reason:
                result = method.skipped(problem, row, reason)
                last[row.name] = result
                results.append(result)
            else:
                rows.append(row)
        if not any(not row.control for row in rows):
            continue
        measured = method.measure(
            problem, rows, plan, threads, lambda text, p=problem: show(f"{p.label}: {text}")
        )
        last.update({r["row"]: r for r in measured})
        results += measured
        add_rates(problem, measured)
    return results


def add_rates(problem, results):
    """GFLOP/s of each row, and of a loop of multiply-adds measured now, where work is counted."""
    flops = getattr(registry.load_workload(problem.workload), "flops", None)
    if flops is None:
        return
    peak = machine.multiply_add_rate()
    for result in results:
        if result["status"] == "ok" and not result.get("control"):
            rate = 1e-9 * flops(**problem.arguments) / result["seconds"]["median"]
            result["gflops"], result["peak_gflops"] = rate, peak


def list_all(engines, console):
    for name in registry.workloads():
        console.print(f"[bold cyan]{registry.load_workload(name).TITLE}[/]")
        rows = [r for e in engines.values() for r in e.rows if registry.runs(r, e, name)]
        console.print("  " + ", ".join(r.name for r in rows if not r.control), markup=False)
    report_missing(engines, console)


def report_missing(engines, console):
    for engine in engines.values():
        for row in engine.rows:
            if row.missing():
                console.print(f"left out: {row.missing()}", style="yellow", markup=False)


def run(names, pairs, plan, args, console):
    """Measure and show the tables as they come; the run as it is saved, after each workload too."""
    from .table import workload_table

    command = shlex.join(["python", "-m", "bench", *args.command])
    saved = {
        "schema": 2,
        "mode": plan.mode,
        "machine": machine.describe(args.threads, command),
        "results": [],
    }
    console.print("\n".join(machine.header_lines(saved["machine"])), markup=False, style="dim")
    with progress() as bar:
        task = bar.add_task("", total=len(names))

        def show(text):
            bar.update(task, description=text)

        for done, name in enumerate(names):
            bar.update(task, completed=done)
            start = monotonic()
            missing = registry.workload_missing(name)
            if missing:
                console.print(f"left out: {missing}", style="yellow", markup=False)
                continue
            try:
                results = run_workload(name, pairs, plan, args.threads, show)
            except Exception as error:  # one workload's; the others go on
                failed = f"{name} failed: {type(error).__name__}: {error}"
                console.print(failed, style="red", markup=False)
                saved.setdefault("failed", []).append(failed)
                continue
            saved["results"] += results
            console.print(workload_table(name, results))
            console.print(f"{monotonic() - start:.0f} s", style="dim")
            write(saved, args.json)
        if plan.mode == "full" and not args.no_abilities:
            saved["engines"] = abilities.measure(show)
    warn_if_uneven(saved["results"], console)
    return saved


def progress():
    """How many workloads are done, and what runs now; on standard error, if that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from .table import console as make_console

    columns = (MofNCompleteColumn(), BarColumn(20), TimeElapsedColumn())
    shown = TextColumn("{task.description}")
    return Progress(*columns, shown, console=make_console(stderr=True), transient=True)


def write(saved, path):
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(saved, indent=1) + "\n")


def warn_if_uneven(results, console):
    """Say so when the control row ran at different speeds: the machine was not quiet."""
    medians = [r["seconds"]["median"] for r in results if r.get("control") and r["status"] == "ok"]
    if medians and max(medians) > 1.15 * min(medians):
        console.print(
            f"\nThe control took {min(medians) * 1e6:.0f} to {max(medians) * 1e6:.0f} us: the "
            "machine was not quiet. Compare rows of one table only, or run again.",
            style="yellow",
        )


def show_saved(saved, console):
    from .table import workload_table

    console.print("\n".join(machine.header_lines(saved["machine"])), markup=False, style="dim")
    for name in dict.fromkeys(r["workload"] for r in saved["results"]):
        console.print(workload_table(name, [r for r in saved["results"] if r["workload"] == name]))


def main(arguments=None):
    parser, args = parse(arguments)
    args.command = sys.argv[1:] if arguments is None else list(arguments)
    try:
        from .table import console as make_console
    except ImportError as error:
        parser.exit(2, f"{error}; set up with: pip install -e '.[bench]'\n")
    console = make_console()
    engines = registry.engines()
    mode = "toy" if args.toy else "quick" if args.quick else "full"
    if args.publish:
        if mode != "full" or args.workloads or args.engines or args.saved:
            parser.error("--publish takes everything, in full")
        args.json = args.json or reading.RESULTS / f"{machine.run_name()}.json"
        args.plot = args.json.with_suffix(".png")
    names = choose(args.workloads, registry.workloads(), "workload", parser)
    pairs = chosen_rows(args.engines, engines, parser)
    old = json.loads(args.compare.read_text()) if args.compare else None
    if args.list:
        list_all(engines, console)
        return 0
    if args.saved:
        saved = json.loads(args.saved.read_text())
        show_saved(saved, console)
    else:
        report_missing(engines, console)
        pairs = [(row, engine) for row, engine in pairs if not row.missing()]
        saved = run(names, pairs, method.PLANS[mode], args, console)
    write(saved, args.json)
    if args.plot:
        from . import plot

        for path in plot.save(saved, args.plot):
            console.print(f"plot: {path}", style="dim")
    if old:
        compare.report(old, saved, console)
    if args.publish:
        from . import publish

        publish.main([str(args.json)])
    wrong = any(r["status"] == "wrong" for r in saved["results"])
    return 1 if wrong or saved.get("failed") else 0


if __name__ == "__main__":
    sys.exit(main())
