"""The child process: one engine on one problem, doing what the parent says when it says so.

Messages are pickles on what were standard input and output; anything that a library prints goes
to standard error instead.
"""

import gc
import os
import pickle
import sys
import time
from time import perf_counter, process_time

from .registry import make_case


class Memory:
    """Peak memory above a starting point, for a process that has imported its libraries."""

    def __init__(self):
        gc.collect()
        self.resettable = reset_peak()
        self.start = resident() if self.resettable else peak()

    def grown(self):
        return max(0, peak() - self.start)


def reset_peak():
    """Make the kernel forget the highest memory so far; possible on Linux alone."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return True
    except OSError:
        return False


def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def resident():
    return status("VmRSS")


def peak():
    """The highest memory of this process, in bytes."""
    try:
        return status("VmHWM")
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        import psutil

        return psutil.Process().memory_info().peak_wset
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def pin():
    """Stay on the cores that the parent names; not before the imports, which run side by side."""
    cores = os.environ.get("BENCH_CORES")
    if cores:
        os.sched_setaffinity(0, map(int, cores.split(",")))


class Worker:
    def __init__(self, row, problem, data):
        self.row = row
        self.case = make_case(row, problem, data)
        self.memory = Memory()
        if not row.collector:
            gc.disable()

    def check(self, steps):
        """Set up, take the first steps, and report the numbers that engines must agree on."""
        pin()
        start = perf_counter()
        self.case.setup()
        out = self.case.step()
        self.case.finish(out)
        first = perf_counter() - start
        seconds, cpu = first, 0.0
        for _ in range(steps - 1):
            del out
            cpu, start = process_time(), perf_counter()
            out = self.case.step()
            self.case.finish(out)
            seconds, cpu = perf_counter() - start, process_time() - cpu
        numbers = self.case.numbers(out)
        return {
            "first": first if self.case.has_setup else 0.0,
            "first_call": first,
            "step": seconds,
            "cpu": cpu,
            "numbers": numbers,
            "share": self.case.share,
            "period": self.case.period,
            "phases": self.case.phases,
            "memory": getattr(self.case, "memory", None) or self.memory.grown(),
        }

    def warm_up(self, seconds):
        """Run for about that long; how many steps make a turn of that length."""
        steps = period = self.case.period
        while True:
            spent = self.turn(steps)["wall"]
            if spent > 0.5 * seconds:
                break
            grow = min(10.0, seconds / max(spent, 1e-9))
            steps = max(steps + period, round(steps * grow / period) * period)
        wanted = round(seconds / spent * steps / period) * period
        return {"steps": max(period, wanted)}

    def turn(self, steps):
        cpu, start = process_time(), perf_counter()
        phases = self.case.turn(steps)
        wall, cpu = perf_counter() - start, process_time() - cpu
        if not self.row.collector:
            gc.collect()
        return {"phases": phases, "wall": wall, "cpu": cpu}


def serve(read, write):
    def answer(message):
        pickle.dump(message, write)
        write.flush()

    row, problem, data_file = pickle.load(read)
    with open(data_file, "rb") as file:
        data = pickle.load(file)
    worker = None
    try:
        worker = Worker(row, problem, data)
        answer({"ready": time.time()})
        while True:
            method, arguments = pickle.load(read)
            answer(getattr(worker, method)(*arguments))
    except EOFError:
        return
    except Exception as error:
        text = str(error).strip().split("\n")[0]
        answer({"error": f"{type(error).__name__}: {text}"[:200]})


def main():
    read = os.fdopen(os.dup(0), "rb")
    write = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    serve(read, write)


if __name__ == "__main__":
    main()
