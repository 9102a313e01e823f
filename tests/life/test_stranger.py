"""Random programs, judged by a referee that knows nothing of the code: tests/life/stranger/.

Generator and referee were written from README.md, docs/ and docstrings alone; keep it so. A failure
shows the seed and a program that can be pasted into a file and run.

    MF_STRANGER_PROGRAMS=20000 MF_STRANGER_SEED=1 pytest -m slow tests/life/test_stranger.py
    python tests/life/stranger/run.py --programs 20000 --seed 1 --variant avx2 --features
"""

import os
import pathlib
import random
import sys

import pytest

STRANGER = pathlib.Path(__file__).resolve().parent / "stranger"
sys.path.insert(0, str(STRANGER))

import generator  # noqa: E402
import judge  # noqa: E402
import rounding  # noqa: E402
import run  # noqa: E402
import shrink  # noqa: E402

QUICK, QUICK_SEED = 250, 7_000_000


def explain(tally, budget=1.0):
    """The first faults, each with a small program."""
    texts = []
    for seed, _ in tally.faults[:2]:
        source, faults = run.minimal(generator.program(seed, budget)[0], seconds=30.0)
        texts.append(run.report(seed, source, faults))
    return f"{len(tally.faults)} of {tally.programs} programs\n" + "\n\n".join(texts)


def test_small_programs():
    """Most numbers must be compared tightly: a referee that excuses everything finds nothing."""
    tally = run.check(range(QUICK_SEED, QUICK_SEED + QUICK), budget=0.3)
    assert not tally.faults, explain(tally, 0.3)
    assert tally.real > 9 * sum(tally.excused.values()), tally.text()
    assert tally.mostly_real > 0.95 * tally.programs, tally.text()


@pytest.mark.slow
def test_many_programs():
    """In processes of their own: a crash is a failure that names its seed, not the end."""
    count = os.environ.get("MF_STRANGER_PROGRAMS", "20000")
    seed = os.environ.get("MF_STRANGER_SEED") or str(random.randrange(10**9))
    assert run.main(["--programs", count, "--seed", seed, "--features"]) == 0, f"seed {seed}"


BROKEN = """
P = [mg.Value(0.5), mg.Value(-0.25), mg.Value(2.0)]
X = np.array([[0.5, 0.5], [1.5, -1.0], [-0.25, 2.0]])
def f(x, k):
    s = x[0].maximum(x[1]) * P[0] + mg.take(P, k) * x[0]
    return s.tanh() + s.exp() + (s * s + 1).log() + s.sin() + abs(s).sqrt() + s.relu() + s.sigmoid()
b = mg.compile(f, batch=True)(X, np.array([0, 2, 1]))
b.sum().backward()
show('b', b)
grads('P', P)
v, g = mg.compile(f, batch=True).value_and_grad(X, np.array([0, 2, 1]))
show('of X', g[0])
"""


def test_the_referee_agrees_where_nothing_is_broken():
    assert judge.judge(BROKEN).faults == []


@pytest.mark.parametrize(
    "rule", ["tanh", "exp", "log", "sin", "sqrt", "relu", "sigmoid", "abs", "maximum", "take"]
)
def test_a_broken_rule_is_noticed(rule):
    """Each derivative is wrong by a millionth of itself; a tie counts twice; take gives to all."""
    assert judge.judge(BROKEN, rule=rule).faults


def test_a_wrong_last_digit_is_noticed(monkeypatch):
    """A package whose numbers are wrong in the 11th digit."""
    right = judge.run_package

    def wrong(source):
        records, error = right(source)
        return [(name, shape, numbers * (1 + 2e-11)) for name, shape, numbers in records], error

    monkeypatch.setattr(judge, "run_package", wrong)
    assert judge.judge(BROKEN).faults


def test_the_shrinker_leaves_what_is_needed():
    source = "a = 1\nb = [2, 3, a]\nfor c in b:\n    d = c + 5\nshow('d', max(b) + 0)\n"

    def fails(text):
        seen = []
        try:
            exec(text, {"show": lambda name, x: seen.append(x)})
        except Exception:
            return False
        return bool(seen) and seen[0] == 3

    small = shrink.shrink(source, fails, 10.0)
    assert fails(small)
    assert len(small) < 30


def test_the_generator_repeats_itself_and_draws_everything():
    assert generator.program(5)[0] == generator.program(5)[0]
    features = run.Tally().features
    for seed in range(1500):
        features += generator.program(seed)[1]
    missing = [name for name in EVERYTHING if not any(f.startswith(name) for f in features)]
    assert not missing
    assert len(features) > 150
    assert min(features.values()) >= 2, features.most_common()[-5:]


EVERYTHING = """mode: batch|mode: single|weights: toeplitz|weights: tied rows|weights: results
weights: shared|vector: strided|array: float32|array: big-endian|array: negative strides
array: broadcast|array: read-only|argument: integers as an index|argument: result of an eager op
captured: result of an eager op|call: a batch fed to a batch|call: eagerly|call: under no_grad first
loss: some results only|loss: one sample|loss: iterated|power: 0.5|power: -1|power: 0|op: detach
op: k **|op: **|statement: recurrence|statement: attention|statement: convolution|statement: take
returns: nested|returns: the same twice|numbers: special values|numbers: on a grid, with ties
parameters: written between call and backward|backward: again: the same root|threads: more than one
value_and_grad: of arrays|value_and_grad: of params|penalty: compiled|update: descent
sum: dot_pairs|sum: dot_left|bias: none|softmax: by_hand|take: of rows""".replace("\n", "|").split(
    "|"
)


def test_replicas_are_kept_apart():
    """Exact arithmetic has no spread: a tie of exact numbers stays one in every replica."""
    records, _ = judge.run_referee(
        "show('x', mg.Value(0.5) * 3 + 1); show('y', mg.Value(0.1) * 3 * 5 * 7 * 11 * 13)"
    )
    exact, rounded = (record[2][:, 0] for record in records)
    assert set(exact) == {2.5}
    assert len(set(rounded)) > 1
    assert len(exact) == rounding.REPLICAS
