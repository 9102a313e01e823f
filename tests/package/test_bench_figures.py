"""Figures in the documents are those of the saved run; who is ahead; what engines can do."""

import copy
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

# Last on the path, so that the micrograd_fast under test is the installed one.
sys.path.append(str(Path(__file__).parents[2]))
abilities, engine_table, publish, reading, registry, run_tables = (
    import_module(f"bench.{name}")
    for name in ("abilities", "engine_table", "publish", "reading", "registry", "run_tables")
)
README = publish.ROOT / "README.md"


@pytest.fixture(scope="module")
def saved():
    return reading.newest()


@pytest.fixture(scope="module")
def run(saved):
    return reading.Reading.load(saved)


# ---- the documents ----


def test_the_documents_say_what_the_saved_run_says(capsys):
    status = publish.main(["--check"])
    assert (status, capsys.readouterr().out) == (0, ""), "run: python -m bench.publish"


def altered(text, mark):
    """The text with the first digit after a mark changed."""
    at = re.compile(re.escape(mark) + r"[^\d]*").search(text).end()
    return text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]


@pytest.mark.parametrize("kind", ["time moons eager", "table moons", "ahead", "date"])
def test_an_altered_figure_is_found(kind, run, saved):
    text = README.read_text("utf-8")
    mark = next(m for m, *_ in publish.MARK.findall(text) if m.startswith(f"<!-- bench: {kind}"))
    changed = altered(text, mark)
    assert changed != text
    made = publish.filled(changed, README, run, saved)
    assert [f"<!-- bench: {m} -->" for m, *_ in publish.differences(changed, made)] == [mark]
    assert made == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a <!-- bench: time moons eager -->1 ms", "no end"),
        ("a <!-- bench: time moons nobody -->1 ms<!-- /bench -->", "the run has no"),
        ("a <!-- bench: time moons -->1 ms<!-- /bench -->", "row"),
        ("a <!-- bench: weather -->1 ms<!-- /bench -->", "weather"),
        ("a\n<!-- bench: date -->1<!-- /bench -->", "begins a line"),
    ],
)
def test_a_mark_that_cannot_be_filled_is_named(text, message, run, saved):
    with pytest.raises(publish.Mistake, match=message):
        publish.filled(text, README, run, saved)


# What only a run or another version can know; budgets, "less than 1 us", are not in these files.
SPEED = re.compile(
    r"\d[\d.,]* ?(?:us|ms|ns)\b|\btwice as (?:fast|slow)|(?<!hundreds of )\btimes (?:faster|slower)"
    r"|\b(?:third|quarter|half|fifth|eighth|tenth)\b (?:of the time|faster|slower|less)"
)


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "docs/performance.md"])
def test_no_figure_of_speed_stands_outside_the_marks(name):
    text = publish.MARK.sub("", (publish.ROOT / name).read_text("utf-8"))
    text = text.replace("2 is twice as slow", "")  # what a column means
    assert SPEED.findall(text) == []


def test_figures_of_speed_are_seen():
    for text in ("takes 1.8 ms", "9 times faster", "is twice as fast", "a third of the time"):
        assert SPEED.search(text)


def test_hundreds_of_times_faster(run):
    """What the documents say in words."""
    assert run.seconds("moons", "micrograd") > 200 * run.seconds("moons", "eager")


def test_whoever_is_ahead_is_shown_with_a_reason(run):
    assert run_tables.unexplained(run) == []
    text = run_tables.ahead(run)
    for row in run_tables.leads(run):
        assert f"**{run.words(row)}**" in text


# ---- a run made up ----


def result(row, median, engine=None, workload="moons", **more):
    seconds = {"median": median, "q1": median, "q3": median}
    common = {"workload": workload, "size": None, "row": row, "engine": engine or row}
    figures = {"status": "ok", "seconds": seconds, "share": 1.0, "setup": 0.5, "memory": 2**20}
    return common | figures | {"note": "", "votes": 2} | more


def made_up(*results):
    machine = {"cpu": "X", "threads": 1, "date": "2026-01-02T", "python": "P", "versions": {}}
    return reading.Reading({"machine": machine, "results": list(results)})


@pytest.fixture
def small():
    return made_up(
        result("eager", 2.0),
        result("compiled", 1.0, first=0.25),
        result("micrograd", 100.0),
        result("micrograd (gc off)", 50.0, "micrograd"),
        result("torch float32", 0.5, "torch"),
        result("torch", 2.0),
        result("jax", 3.0),
        result("control", 0.1, control=True),
        {**result("casadi", 0.1), "status": "wrong", "note": "off by 1.0e+00"},
    )


def test_the_best_computes_in_full_and_half_digits_stay_in_sight(small):
    assert small.ours("moons")["row"] == "compiled"
    assert small.best("moons")["row"] == "torch"
    assert [(r["row"], ratio) for r, ratio in small.ahead("moons")] == [("torch float32", 2.0)]
    words = registry.load_workload("moons").WORDS
    assert run_tables.ahead(small).startswith(f"- **PyTorch, float32**: {words}, 2.00 x. Half")


def test_a_row_names_the_best_of_the_others_and_who_is_ahead(small):
    row = run_tables.overview_row(small, "moons")
    assert row[1:] == [
        "micrograd: 100 s (50.0 s)",
        "2.00 s",
        "**1.00 s**",
        "250 ms",
        "PyTorch: 2.00 s",
        "2.50 s",
        "ours, 2.00 x",
    ]


@pytest.mark.parametrize(
    ("theirs", "text"), [(4.0, "ours, 4.00 x"), (1.02, "level"), (0.5, "JAX, 2.00 x")]
)
def test_who_is_ahead(theirs, text):
    found = made_up(result("compiled", 1.0), result("jax", theirs))
    assert run_tables.overview_row(found, "moons")[-1] == text


def test_the_long_table_has_whoever_failed_too(small):
    small.results.append({**result("pure", 0.0), "status": "failed", "note": "over 60 s"})
    lines = run_tables.details(small).splitlines()
    assert [line for line in lines if "over 60 s" in line]
    assert any(line.startswith("| **ours, compiled** | 1.00 s | 1.00 | 250 ms |") for line in lines)


def test_the_picture_has_a_bar_for_each_workload(small, tmp_path):
    pytest.importorskip("matplotlib")
    plot = import_module("bench.plot")
    other = made_up(*small.run["results"], result("compiled", 1.0, workload="tiny"),
                    result("jax", 0.5, workload="tiny"))  # fmt: skip
    (axis,) = plot.leads(other).axes
    labels = {text.get_text() for text in axis.texts}
    assert labels == {"2.00 x faster than PyTorch", "2.00 x slower than JAX"}
    assert len(axis.patches) == 2
    assert plot.save(other.run, tmp_path / "x.png") == [tmp_path / "x.png"]


# ---- what engines can do ----


def test_probes_run_in_a_process_of_their_own():
    assert abilities.probe("answer = [1.0]", [1.0]) == "yes"
    assert abilities.probe("answer, how = [1.0], 'slowly'", [1.0]) == "yes (slowly)"
    assert abilities.probe("answer = [2.0]", [1.0]) == "no"
    assert abilities.probe("1 / 0", [1.0]) == "no (ZeroDivisionError)"


def test_what_takes_too_long_is_a_no(monkeypatch):
    monkeypatch.setattr(abilities, "LIMIT", 0.3)
    assert abilities.probe("import time; time.sleep(20)", [1.0]).startswith("no (over")


def test_what_we_can_do_ourselves():
    found = abilities.abilities("ours")
    assert [q for q, answer in found.items() if not answer.startswith("yes")] == [
        "a matrix product as one operation",
        "float32",
        *abilities.STATED,
    ]


def test_the_table_of_engines(small):
    can = {"second derivatives": "yes"}
    entry = {
        "engine": "ours",
        "name": "micrograd_fast",
        "size": 2**20,
        "with_all": None,
        "can": can,
    }
    found = reading.Reading(copy.deepcopy(small.run) | {"engines": [entry]})
    text = engine_table.table(found)
    assert "| installed, itself | 1.00 MiB |" in text
    assert "| second derivatives | yes |" in text
    assert abilities.size_of("pytest") > 1000


# ---- what the tables are made of ----


def test_every_workload_and_every_row_has_words():
    for name in registry.workloads():
        assert registry.load_workload(name).WORDS
    for engine in registry.engines().values():
        assert all(row.words for row in engine.rows)
