"""Ways of writing the same, and what each costs over the best of them: `python -m bench.styles`.

A file has groups(samples), calls by what is computed and by name of the way; and LIMITS, how many
times the best of its group a way may cost where that is not LIMIT.
"""

import statistics
from time import perf_counter

from . import doors, networks, powers

LIMIT = 1.5


def groups(samples=256):
    """{what is computed: {way of writing it: call}}"""
    return {
        "a network, value and gradient": networks.calls(samples),
        **powers.groups(40 * samples),
        **doors.groups(samples),
    }


def limit_of(way):
    return {**networks.LIMITS, **powers.LIMITS, **doors.LIMITS}.get(way, LIMIT)


def over_best(calls, rounds=9, seconds=0.01):
    """{way: (its time over that of the best, its median seconds)}, worst first. Ways take turns."""
    repeats = {}
    for way, call in calls.items():
        call()
        start = perf_counter()
        call()
        repeats[way] = max(1, int(seconds / (perf_counter() - start)))
    times = {way: [] for way in calls}
    for _ in range(rounds):
        for way, call in calls.items():
            start = perf_counter()
            for _ in range(repeats[way]):
                call()
            times[way].append((perf_counter() - start) / repeats[way])
    medians = {way: statistics.median(t) for way, t in times.items()}
    best = min(medians.values())
    worst_first = sorted(medians, key=medians.get, reverse=True)
    return {way: (medians[way] / best, medians[way]) for way in worst_first}


def budgets():
    """The worst of the ways with each limit, for bench.budgets."""
    worst = {}
    for what, calls in groups().items():
        for way, (ratio, _) in over_best(calls).items():
            limit = limit_of(way)
            if ratio > worst.get(limit, (0.0, ""))[0]:
                worst[limit] = ratio, f"styles, {what}: {way}"
    return [(text, ratio, "<=", limit, "") for limit, (ratio, text) in sorted(worst.items())]
