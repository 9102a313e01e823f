"""Case: one engine's version of one workload, as the harness drives it."""

from time import perf_counter


class Case:
    """setup() once, then step() again and again; numbers() turns a step's result into floats."""

    phases = ("step",)  # the parts that turn() times apart
    period = 1  # a turn's steps are a multiple of this, when the inputs go round in a cycle
    has_setup = True  # False where the first step is no different from the others
    share = 1.0  # the part of the work that a step does; figures are divided by it, and say so

    def setup(self):
        """Build the model, trace, compile: all that a user waits for once."""

    def step(self):
        """One unit of work; returns what numbers() reads."""
        raise NotImplementedError

    def numbers(self, out):
        """The results that engines must agree on: a name and floats for each."""
        raise NotImplementedError

    def finish(self, out):
        """Wait until out is really there, for engines that run ahead of Python."""

    def turn(self, steps):
        """Do steps steps and return the seconds, split in phases where the workload has them."""
        step = self.step
        out = None
        start = perf_counter()
        for _ in range(steps):
            out = step()
        self.finish(out)
        return {"step": perf_counter() - start}


class GraphCase(Case):
    """build(), backward(out) and the freeing of the graph, timed apart."""

    phases = ("build", "backward", "free")

    def step(self):
        out = self.build()
        self.backward(out)
        return out

    def collect(self):
        """What it takes to get the memory back once nobody holds the graph."""

    def turn(self, steps):
        build = backward = free = 0.0
        for _ in range(steps):
            t0 = perf_counter()
            out = self.build()
            t1 = perf_counter()
            self.backward(out)
            t2 = perf_counter()
            del out
            self.collect()
            t3 = perf_counter()
            build += t1 - t0
            backward += t2 - t1
            free += t3 - t2
        return {"build": build, "backward": backward, "free": free}
