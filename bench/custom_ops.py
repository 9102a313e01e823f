"""What custom ops cost: the moons network with the lecture's tanh, and ops on results of calls.

The moons step runs in a process of its own for each engine, in turns: micrograd's with its garbage
collector off and a collection between the steps, ours with everything as Python has it, collections
included: the mean, as they do not come with every step.
"""

import gc
import importlib
import math
import random
import statistics
import subprocess
import sys
from time import process_time

import micrograd_fast as mg

N_STEPS = {"micrograd": 5, "micrograd_fast": 60}


def lecture_tanh(self):
    """As Karpathy's lecture writes it."""
    x = self.data
    t = (math.exp(2 * x) - 1) / (math.exp(2 * x) + 1)
    out = type(self)(t, (self,), "tanh")

    def _backward():
        self.grad += (1 - t**2) * out.grad

    out._backward = _backward
    return out


def microgpt_tanh(self):
    t = math.tanh(self.data)
    return type(self)(t, (self,), (1 - t * t,))


def moons_step(package, tanh):
    """A step of micrograd's demo, with the activation that it calls replaced on the class."""
    Value = importlib.import_module(f"{package}.engine").Value
    Value.relu, relu = tanh, Value.relu
    nn = importlib.import_module(f"{package}.nn")
    random.seed(1)
    model = nn.MLP(2, [16, 16, 1])
    X = [(random.gauss(0, 1), random.gauss(0, 1)) for _ in range(100)]
    y = [1 if a > 0 else -1 for a, _ in X]

    def step():
        scores = [model(list(map(Value, x))) for x in X]
        losses = [relu(1 + -yi * s) for yi, s in zip(y, scores, strict=True)]
        loss = sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in model.parameters())
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= 0.1 * p.grad

    return step


def report(package, form):
    """In a process of its own: prints the mean seconds of a step."""
    step = moons_step(package, {"lecture": lecture_tanh, "microgpt": microgpt_tanh}[form])
    theirs = package == "micrograd"
    step()
    if theirs:
        gc.disable()
    seconds = []
    for _ in range(N_STEPS[package]):
        start = process_time()
        step()
        seconds.append(process_time() - start)
        if theirs:
            gc.collect()
    print(statistics.mean(seconds))


def mean_step(package, form="lecture"):
    # What is imported there is what would be imported here, whatever the current folder hides.
    program = f"import sys; sys.path[:] = {sys.path!r}\nfrom bench import custom_ops\n"
    program += f"custom_ops.report({package!r}, {form!r})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def moons(rounds=5):
    """Budget rows: how many times faster than micrograd, the lecture's form and microgpt's."""
    lecture, microgpt = [], []
    for _ in range(rounds):
        theirs = mean_step("micrograd")
        lecture.append(theirs / mean_step("micrograd_fast"))
        microgpt.append(theirs / mean_step("micrograd_fast", "microgpt"))
    name = "moons, eager, a tanh in Python: micrograd / ours, "
    return [
        (name + "as in the lecture", statistics.median(lecture), ">=", 20, ""),
        (name + "as in microgpt", statistics.median(microgpt), ">=", 20, ""),
    ]


def ops_on_results(in_turns):
    """Budget rows: a formula over a result of a compiled call, over that of an op."""
    x = mg.Value(0.5)
    called, plain = mg.compile(lambda v: v * 2)(x), x * 2

    def formula(v):
        return lambda: ((v + 1) * v - 0.5) / 2 + v**2

    def total(v):
        return lambda: sum([v] * 100).tanh()

    rows = []
    for what, over in (("a formula", formula), ("a sum", total)):
        slow, fast = in_turns(over(called), over(plain))
        rows.append((f"{what} over a compiled result / over another", slow / fast, "<=", 1.5, ""))
    return rows


if __name__ == "__main__":
    report(*sys.argv[1:])
