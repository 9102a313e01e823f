"""The harness: every workload runs on every installed engine and they agree; never a time."""

import gc
import importlib.util
import json
import os
import pickle
import sys
import warnings
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

# Last on the path, so that the micrograd_fast under test is the installed one.
sys.path.append(str(Path(__file__).parents[2]))
agree, compare, method, registry = (
    import_module(f"bench.{name}") for name in ("agree", "compare", "method", "registry")
)
main = import_module("bench.__main__").main

NOT_OF_MICROGRAD = {
    "options",
    "functions",
    "rosenbrock_hessian",
    "oscillator",
    "lotka_volterra",
    "brusselator",
    "moons_hvp",
    "kmeans",
    "hand",
    "hand_large",
    "hand_complicated",
    "ba",
    "ba_large",
}
ENGINES = registry.engines()
ROWS = {row.name: row for engine in ENGINES.values() for row in engine.rows}


def rows_of(workload):
    """All rows that have the workload, but for those that only compile."""
    return [
        row
        for engine in ENGINES.values()
        for row in engine.rows
        if registry.runs(row, engine, workload) and "*" not in row.not_quick
    ]


def numbers_of(row, problem, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other libraries' own
        case = registry.make_case(row, problem, data)
        case.setup()
        case.step()
        out = case.step()
        numbers = {k: np.array(v, dtype=float) for k, v in case.numbers(out).items()}
        seconds = case.turn(case.period)
    assert set(seconds) == set(case.phases)
    return numbers, case.share


@pytest.fixture
def collector():
    """The chain and fan of micrograd set the heap aside."""
    yield
    gc.unfreeze()


@pytest.mark.parametrize("workload", [w for w in registry.workloads() if w != "import"])
def test_all_engines_agree(workload, collector, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # compilers leave files behind
    missing = registry.workload_missing(workload)
    if missing:
        pytest.skip(missing)
    (problem,) = registry.problems(workload, "toy")
    data = registry.load_workload(workload).make(**problem.arguments)
    rows = [r for r in rows_of(workload) if not r.control and not r.missing()]
    results, shares = {}, {}
    for row in rows:
        results[row.name], shares[row.name] = numbers_of(row, problem, data)
    assert len(results) >= 2
    verdicts, _ = agree.check_all(results, ROWS, shares)
    assert {name: reason for name, (_, reason) in verdicts.items() if reason} == {}


def test_import_is_measured_in_a_fresh_process():
    (problem,) = registry.problems("import", "toy")
    case = registry.make_case(ROWS["eager"], problem, {})
    assert 0 < case.step() < 60
    assert case.memory > 0


def test_every_engine_file_has_what_the_harness_reads():
    known = set(registry.workloads()) | {"*"}
    for engine in ENGINES.values():
        assert engine.rows
        assert engine.workloads <= known
        for row in engine.rows:
            assert set(row.only) <= engine.workloads


def test_micrograd_and_eager_do_every_workload():
    """micrograd those that ask for a gradient alone, of ops that it has."""
    for workload in registry.workloads():
        names = {row.name for row in rows_of(workload)}
        assert "eager" in names
        assert ("micrograd" in names) == (workload not in NOT_OF_MICROGRAD)


def test_a_missing_engine_says_how_to_install_it():
    row = registry.Row("ghost", "ghost", requires=("no_such_module",), install="pip install ghost")
    assert row.missing() == "ghost: no_such_module not installed (pip install ghost)"


# ---- agreement -----------------------------------------------------------------------------------

RIGHT = {"loss": [1.0], "grad": [2.0, -3.0]}


def verdicts(**results):
    rows = {name: registry.Row(name, name) for name in results}
    found, votes = agree.check_all(results, rows, dict.fromkeys(results, 1.0))
    return {name: reason for name, (_, reason) in found.items()}, votes


def test_engines_that_agree_pass():
    found, votes = verdicts(a=RIGHT, b={"loss": [1.0 + 1e-12], "grad": [2.0, -3.0]})
    assert found == {"a": "", "b": ""}
    assert votes == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": [1.001], "grad": [2.0, -3.0]},
        {"loss": [1.0], "grad": [2.0, 3.0]},
        {"loss": [1.0], "grad": [2.0]},
        {"loss": [1.0]},
        {"loss": [float("nan")], "grad": [2.0, -3.0]},
        {"loss": [float("inf")], "grad": [2.0, -3.0]},
    ],
)
def test_a_wrong_engine_is_found_and_the_others_pass(wrong):
    found, _ = verdicts(a=RIGHT, wrong=wrong, b=RIGHT)
    assert found["wrong"]
    assert (found["a"], found["b"]) == ("", "")


def test_two_engines_that_disagree_both_get_no_figure():
    found, _ = verdicts(a=RIGHT, b={"loss": [2.0], "grad": [2.0, -3.0]})
    assert found["a"]
    assert found["b"]


def test_a_row_that_did_part_of_the_work_is_compared_on_that_part():
    results = {"a": RIGHT, "b": RIGHT, "part": {"loss": [1.0], "grad": [2.0]}}
    rows = {name: registry.Row(name, name) for name in results}
    found, _ = agree.check_all(results, rows, {"a": 1.0, "b": 1.0, "part": 0.5})
    assert found["part"] == (0.0, "")


# ---- method --------------------------------------------------------------------------------------


def test_ratios_leave_the_control_out():
    results = [
        {"row": "eager", "status": "ok", "seconds": {"median": 2.0}},
        {"row": "fast", "status": "ok", "seconds": {"median": 1.0}},
        {"row": "broken", "status": "wrong"},
        {"row": "control", "status": "ok", "seconds": {"median": 0.1}, "control": True},
    ]
    eager, fast, broken, control = method.add_ratios(results)
    assert (eager["vs_eager"], eager["vs_fastest"]) == (1.0, 2.0)
    assert (fast["vs_eager"], fast["vs_fastest"]) == (0.5, 1.0)
    assert "vs_eager" not in broken
    assert "vs_eager" not in control


def test_a_series_stops_before_it_takes_too_long_or_too_much():
    plan = method.PLANS["full"]
    problem = registry.Problem("chain", 10_000, {})
    small = {"status": "ok", "size": 1000, "seconds": {"median": 0.001}, "memory": 1000}
    assert method.too_large(problem, None, plan, 2**30) == ""
    assert method.too_large(problem, small, plan, 2**30) == ""
    slow = {**small, "seconds": {"median": 5.0}}
    assert "50 s" in method.too_large(problem, slow, plan, 2**30)
    large = {**small, "memory": 2**29}
    assert "GiB" in method.too_large(problem, large, plan, 2**30)
    failed = {"status": "failed", "note": "RecursionError"}
    assert method.too_large(problem, failed, plan, 2**30) == "RecursionError"


def saved_run(eager, control, spread=0.01):
    def result(row, median, **more):
        seconds = {"median": median, "q1": median * (1 - spread), "q3": median * (1 + spread)}
        common = {"workload": "tiny", "size": None, "row": row, "status": "ok"}
        return {**common, "seconds": seconds, **more}

    results = [result("eager", eager), result("control", control, control=True)]
    return {"results": results}


@pytest.mark.parametrize(
    ("now", "control", "verdict"),
    [
        (1.0, 1.0, ""),
        (2.0, 1.0, "slower, 2.00 times"),
        (0.5, 1.0, "faster, 2.00 times"),
        (2.0, 2.0, ""),
        (1.03, 1.0, ""),
    ],
)
def test_compare_takes_the_machine_out(now, control, verdict):
    ((_, _, _, _, found),) = compare.changes(saved_run(1.0, 1.0), saved_run(now, control))
    assert found == verdict


def test_the_whole_command_at_toy_size(tmp_path, capfd):
    pytest.importorskip("rich")
    pytest.importorskip("matplotlib")
    out, picture = tmp_path / "run.json", tmp_path / "run.png"
    arguments = ["--toy", "tiny", "chain", "--engines", "micrograd,eager,pure"]
    assert main([*arguments, "--json", str(out), "--plot", str(picture)]) == 0
    saved = json.loads(out.read_text())
    found = {(r["workload"], r["row"]): r for r in saved["results"]}
    for workload in ("tiny", "chain"):
        for row in ("micrograd", "micrograd (gc off)", "eager", "pure", "control"):
            assert found[workload, row]["status"] == "ok"
            assert found[workload, row]["seconds"]["median"] > 0
    assert found["tiny", "eager"]["vs_eager"] == 1.0
    assert set(found["chain", "eager"]["phases"]) == {"build", "backward", "free"}
    assert saved["machine"]["threads"] == 1
    assert picture.stat().st_size > 0
    assert (tmp_path / "run-scaling.png").stat().st_size > 0
    shown = capfd.readouterr().out
    assert "tiny: a graph of 7 operations" in shown
    assert main(["--from", str(out), "--compare", str(out)]) == 0
    assert "1.00" in capfd.readouterr().out


def test_a_workload_that_fails_leaves_the_others(tmp_path, capfd, monkeypatch):
    pytest.importorskip("rich")
    command = import_module("bench.__main__")
    plain = command.run_workload

    def broken(name, *rest):
        if name == "small":
            raise MemoryError("no room")
        return plain(name, *rest)

    monkeypatch.setattr(command, "run_workload", broken)
    out = tmp_path / "run.json"
    arguments = ["--toy", "small", "tiny", "--engines", "eager,pure", "--json", str(out)]
    assert main(arguments) == 1
    saved = json.loads(out.read_text())
    assert saved["failed"] == ["small failed: MemoryError: no room"]
    assert {r["workload"] for r in saved["results"] if r["status"] == "ok"} == {"tiny"}
    assert "small failed: MemoryError: no room" in capfd.readouterr().out


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups here")
def test_what_an_engine_started_ends_with_it(tmp_path):
    """A compiler that outlived its engine would slow the others down."""
    process = import_module("bench.process")
    data = tmp_path / "data.pickle"
    data.write_bytes(pickle.dumps({}))
    problem = registry.Problem("tiny", None, {})
    child = process.Child(ROWS["pure"], problem, str(data), 1)
    child.answer(60)
    group = os.getpgid(child.process.pid)
    assert group == child.process.pid != os.getpgid(0)
    child.end()
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def test_recursion_is_reported_as_such():
    if importlib.util.find_spec("micrograd") is None:
        pytest.skip("micrograd not installed")
    problem = registry.Problem("chain", 5000, {"nodes": 5000})
    rows = [ROWS["micrograd"], ROWS["pure"], ROWS["eager"]]
    results = {r["row"]: r for r in method.measure(problem, rows, method.PLANS["toy"], 1)}
    assert (results["micrograd"]["status"], results["micrograd"]["note"]) == (
        "failed",
        "RecursionError",
    )
    assert results["eager"]["status"] == "ok"


# ---- budgets ----


@pytest.fixture
def budgets():
    pytest.importorskip("rich")
    return import_module("bench.budgets")


def test_every_budget_of_a_saved_run_has_a_figure(budgets, capsys):
    saved = max(budgets.RESULTS.glob("*.json"))
    rows = budgets.from_run(json.loads(saved.read_text()))
    assert all(0 < measured < 1e6 for _, measured, *_ in rows)
    seconds = {"seconds": {"median": 0.5}}
    results = {("kmeans", row, None): seconds for row in ("compiled", "jax")}
    assert budgets.derivative_budgets.from_run(results) == [
        ("kmeans, compiled / jax", 1.0, "<=", 0.7, "")
    ]
    met = [("a", 1.0, "<=", 2.0, "us"), ("b", 3.0, ">=", 2.0, "")]
    assert budgets.show(met) == 0
    assert budgets.show([*met, ("c", 3.0, "<=", 2.0, ""), ("d", 1.0, ">=", 2.0, "")]) == 2
    assert capsys.readouterr().out.count("NO") == 2


def test_what_budgets_measure_themselves_runs(budgets, monkeypatch, capsys):
    def once(*calls, **_):
        for call in calls:
            call()
        return [1e-9] * len(calls)

    def small(name):
        workload = registry.load_workload(name)
        return SimpleNamespace(make=workload.make, FULL=workload.TOY)

    def all_alike(calls):
        return dict.fromkeys(calls, (1.0, 1e-9))

    monkeypatch.setattr(budgets, "in_turns", once)
    monkeypatch.setattr(budgets, "load_workload", small)
    monkeypatch.setattr(budgets.styles, "over_best", all_alike)
    monkeypatch.setattr(budgets, "ROWS", 5000)
    for measure in budgets.MEASURED:
        made = budgets.derivative_budgets.of_making
        if measure not in (budgets.trace_cost, budgets.memory, budgets.custom_ops.moons, made):
            assert all(np.isfinite(row[1]) for row in measure())
    ((_, nanoseconds, *_),) = made(n=20, rounds=1)
    assert nanoseconds > 0
    budgets.report_memory()
    assert int(capsys.readouterr().out) < 2**26


@pytest.mark.parametrize("form", ["lecture", "microgpt"])
def test_a_step_with_a_custom_tanh_is_timed(budgets, form):
    assert 0 < budgets.custom_ops.mean_step("micrograd_fast", form) < 10


def test_calls_that_take_turns_are_timed_each(budgets):
    ran = []
    first, second = budgets.in_turns(
        lambda: ran.append(1), lambda: [0] * 10_000, rounds=5, seconds=1e-4
    )
    assert first > 0 and second > 0 and len(ran) > 5


# ---- styles --------------------------------------------------------------------------------------


def test_all_styles_of_a_network_are_one_function():
    """But for those that scale or square: their numbers differ from sum_with_start's."""
    networks = import_module("bench.styles.networks")
    layers = networks.make_layers()
    x = [layers[0][0][0][0]] * networks.SIZES[0]
    expected = networks.STYLES["sum_with_start"](layers)(x).data
    others = {
        name
        for name, make in networks.STYLES.items()
        if make(layers)(x).data != pytest.approx(expected)
    }
    assert "sum_plus_bias" not in others
    assert others == networks.OTHER_FUNCTIONS


def test_every_style_runs_and_every_limit_is_of_one():
    styles = import_module("bench.styles")
    groups = styles.groups(samples=8)
    ways = {way for calls in groups.values() for way in calls}
    for calls in groups.values():
        assert len(calls) >= 2
        for call in calls.values():
            call()
    for part in (styles.networks, styles.powers, styles.doors):
        assert set(part.LIMITS) <= ways


def test_styles_are_compared_with_the_best_of_their_group():
    styles = import_module("bench.styles")
    found = styles.over_best({"slow": lambda: sum(range(20_000)), "fast": lambda: None}, 3, 1e-4)
    assert list(found) == ["slow", "fast"]
    assert found["fast"][0] == 1.0
