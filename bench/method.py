"""How a problem is measured: all engines agree first, then they take turns, round by round."""

import os
import pickle
import random
import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass

from . import agree, registry
from .process import Child, Failure

READY_LIMIT = 120.0
CHECK_STEPS = 2
SLOW = 2.0  # a turn of more seconds is the only one


@dataclass(frozen=True)
class Plan:
    """How long to measure. A row whose turns are slow takes fewer of them, spread over the run."""

    mode: str
    rounds: int
    turn_seconds: float
    row_seconds: float  # a row takes turns for about this long, but at least min_turns
    min_turns: int
    check_limit: float  # for set-up and the first steps
    series_limit: float  # the next size of a series is left out when a graph would take longer


PLANS = {
    "full": Plan("full", 11, 0.05, 0.6, 2, 45.0, 2.0),
    "quick": Plan("quick", 5, 0.02, 0.6, 1, 40.0, 0.5),
    "toy": Plan("toy", 2, 0.001, 0.01, 1, 60.0, 1.0),
}


@dataclass
class Entry:
    """A row on its way through one problem."""

    row: registry.Row
    child: Child
    turns: list
    checked: dict | None = None
    steps: int = 1
    planned: int = 0  # turns still to take
    deviation: float | None = None
    status: str = "ok"
    note: str = ""

    def fail(self, status, note):
        self.status, self.note = status, note
        self.child.end()


def measure(problem, rows, plan, threads, say=lambda text: None):
    """The results of all rows on one problem, as dictionaries for the JSON file."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        data_file = os.path.join(folder, "data.pickle")
        with open(data_file, "wb") as file:
            pickle.dump(registry.load_workload(problem.workload).make(**problem.arguments), file)
        entries = []
        for row in rows:
            child = Child(row, problem, data_file, threads)
            stack.callback(child.end)
            entries.append(Entry(row, child, []))
        # A graph of a series is the same every time, and may be large.
        votes = check(entries, plan, 1 if problem.size else CHECK_STEPS, say)
        warm_up(entries, plan, say)
        take_turns(entries, plan, say)
        results = [collate(problem, entry, votes) for entry in entries]
    return add_ratios(results)


def alive(entries):
    return [e for e in entries if e.status == "ok"]


def attempt(entry, call):
    """call(), or None after noting the failure."""
    try:
        return call()
    except Failure as error:
        note = str(error)
        entry.fail("failed", "RecursionError" if "RecursionError" in note else note)
        return None


def check(entries, plan, steps, say):
    """Set-up and first steps, one engine after the other; who disagrees goes no further."""
    for entry in entries:  # imports may overlap: nothing is timed yet
        say(f"starting {entry.row.name}")
        attempt(entry, lambda e=entry: e.child.answer(READY_LIMIT))
    for entry in alive(entries):
        say(f"checking {entry.row.name}")
        entry.checked = attempt(
            entry, lambda e=entry: e.child.ask(plan.check_limit, "check", steps)
        )
    judged = [e for e in alive(entries) if not e.row.control]
    verdicts, votes = agree.check_all(
        {e.row.name: e.checked["numbers"] for e in judged},
        {e.row.name: e.row for e in judged},
        {e.row.name: e.checked["share"] for e in judged},
    )
    for entry in judged:
        entry.deviation, reason = verdicts[entry.row.name]
        if reason:
            entry.fail("wrong", reason)
    return votes


def warm_up(entries, plan, say):
    """Find how many steps make a turn, and how many turns this row takes."""
    for entry in alive(entries):
        say(f"warming up {entry.row.name}")
        if entry.checked["step"] < plan.turn_seconds:
            limit = plan.check_limit
            reply = attempt(
                entry, lambda e=entry, s=limit: e.child.ask(s, "warm_up", plan.turn_seconds)
            )
            if reply is None:
                continue
            entry.steps, turn = reply["steps"], plan.turn_seconds
        else:
            entry.steps = entry.checked["period"]
            turn = entry.checked["step"] * entry.steps
            if entry.steps == 1 and entry.checked["phases"] == ("step",):
                # So slow that the last step of the check, a warm one, is a turn like the others.
                seconds, cpu = entry.checked["step"], entry.checked["cpu"]
                entry.turns.append({"phases": {"step": seconds}, "wall": seconds, "cpu": cpu})
        possible = int(plan.row_seconds / max(turn, 1e-9))
        least = plan.min_turns if turn < SLOW else 1
        entry.planned = min(plan.rounds, max(least - len(entry.turns), possible))


def take_turns(entries, plan, say):
    order = random.Random(0)
    for k in range(plan.rounds):
        active = alive(entries)
        order.shuffle(active)
        for entry in active:
            n = entry.planned
            if (k + 1) * n // plan.rounds == k * n // plan.rounds:
                continue
            say(f"round {k + 1} of {plan.rounds}: {entry.row.name}")
            limit = 10 * plan.check_limit
            turn = attempt(entry, lambda e=entry, s=limit: e.child.ask(s, "turn", e.steps))
            if turn is not None:
                entry.turns.append(turn)


def quartiles(samples):
    if len(samples) == 1:
        return {"median": samples[0], "q1": samples[0], "q3": samples[0]}
    q1, median, q3 = statistics.quantiles(samples, n=4, method="inclusive")
    return {"median": median, "q1": q1, "q3": q3}


def collate(problem, entry, votes):
    row = entry.row
    result = {
        "workload": problem.workload,
        "size": problem.size,
        "row": row.name,
        "engine": row.engine,
        "status": entry.status,
        "note": entry.note,
        "votes": votes,
        "deviation": entry.deviation,
    }
    if row.control:
        result["control"] = True
    if entry.status != "ok":
        return result
    share = entry.checked["share"]
    scale = 1.0 / (entry.steps * share)
    totals = [sum(t["phases"].values()) * scale for t in entry.turns]
    cpu = sum(t["cpu"] for t in entry.turns) / sum(t["wall"] for t in entry.turns)
    result.update(
        seconds=quartiles(totals),
        turns=len(totals),
        steps=entry.steps,
        share=share,
        first=entry.checked["first_call"],
        setup=max(0.0, entry.checked["first"] - statistics.median(totals) * share),
        memory=entry.checked["memory"],
        cpu_per_wall=round(cpu, 2),
    )
    names = list(entry.turns[0]["phases"])
    if len(names) > 1:
        result["phases"] = {
            n: statistics.median(t["phases"][n] * scale for t in entry.turns) for n in names
        }
    return result


def add_ratios(results):
    """How many times slower than row `eager`, and than the fastest row."""
    timed = {
        r["row"]: r["seconds"]["median"]
        for r in results
        if r["status"] == "ok" and not r.get("control")
    }
    fastest = min(timed.values(), default=None)
    for result in results:
        if result["row"] in timed:
            seconds = timed[result["row"]]
            result["vs_fastest"] = seconds / fastest
            if "eager" in timed:
                result["vs_eager"] = seconds / timed["eager"]
    return results


def too_large(problem, previous, plan, memory):
    """Why a row is spared this size of a series, judged by its result at the size before."""
    if previous is None:
        return ""
    if previous["status"] == "skipped":
        smaller = f"left out from {previous['size']:,} nodes on"
        return previous["note"] if previous["note"].startswith("left out") else smaller
    if previous["status"] != "ok":
        return previous["note"]
    growth = problem.size / previous["size"]
    seconds = previous["seconds"]["median"] * growth
    if seconds > plan.series_limit:
        return f"would take about {seconds:.0f} s a graph"
    if previous["memory"] * growth > memory / 2:
        return f"would take about {previous['memory'] * growth / 2**30:.0f} GiB"
    return ""


def skipped(problem, row, note):
    return {
        "workload": problem.workload,
        "size": problem.size,
        "row": row.name,
        "engine": row.engine,
        "status": "skipped",
        "note": note,
    }
