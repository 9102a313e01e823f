"""Damaged bytes, and bytes made to do damage: each is refused or harmless."""

import io
import math
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import run_fresh
from crafted_files import CRAFTED, GOOD, Bomb, archive

import micrograd_fast as mg
from micrograd_fast import Value, _core, nn, optim
from micrograd_fast._core import live_nodes

# ---- files of nn.save ----


def model_and_optimizer():
    model = nn.MLP(2, [3, 1])
    optimizer = optim.Adam(model.parameters(), lr=0.05, betas=(0.8, 0.99), amsgrad=True)
    for p in model.parameters():
        p.grad = p.data**2
    optimizer.step()
    return model, optimizer


def test_a_model_goes_through_a_file(tmp_path):
    model, _ = model_and_optimizer()
    model.parameters()[0].data = math.nan
    model.parameters()[1].data = -0.0
    nn.save(model, tmp_path / "model.npz")
    twin = nn.MLP(2, [3, 1])
    twin.load_state_dict(nn.load(tmp_path / "model.npz"))
    assert repr(twin.state_dict()) == repr(model.state_dict())
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"]
    with np.load(tmp_path / "model.npz") as arrays:
        assert np.array_equal(arrays["#"], [p.data for p in model.parameters()], equal_nan=True)


@pytest.mark.parametrize("kind", [optim.Adam, optim.SGD, optim.AdamW, optim.RMSprop])
def test_a_whole_training_goes_through_a_file(kind, tmp_path):
    model = nn.MLP(2, [3, 1])
    optimizer = kind(model.parameters(), lr=0.25)
    optimizer.step()
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "name": "ünder/way",
        "best": math.inf,
        "done": False,
        "losses": [1.0, 0.5],
        "nothing": {},
    }
    nn.save(state, str(tmp_path / "all.npz"))
    again = nn.load(str(tmp_path / "all.npz"))
    betas = again["optimizer"]["hyperparameters"].get("betas")
    if betas is not None:
        assert betas == [0.9, 0.999]
        again["optimizer"]["hyperparameters"]["betas"] = tuple(betas)
    assert again == state
    assert type(again["epoch"]) is int and type(again["done"]) is bool
    other = kind(nn.MLP(2, [3, 1]).parameters())
    other.load_state_dict(again["optimizer"])
    assert other.state_dict() == optimizer.state_dict()


@pytest.mark.parametrize(
    "state, error, match",
    [
        (5, TypeError, "int"),
        ({"a": object()}, TypeError, "'a'"),
        ({"a": {"b": [1.0, "2"]}}, TypeError, r"a/b\[1\]"),
        ({"a": None}, TypeError, "'a'"),
        ({"a": 2**64}, ValueError, "64 bits"),
        ({"a": [10**400]}, ValueError, r"a\[0\]"),
        ({"a": [0.5, 10**400]}, OverflowError, r"a\[1\]"),
        ({"a": [0.5, 2**53 + 1]}, ValueError, r"a\[1\].* among floats"),
        ({"0": 0.5, "1": 2**53 + 1}, ValueError, "'1'.* among floats"),
        ({"a": "abc\0"}, ValueError, "'a'.*would lose it"),
        ({"a/b": 1.0}, ValueError, "a/b"),
        ({"": 1.0}, ValueError, "name"),
        ({5: 1.0}, ValueError, "5"),
        ({"x": {"#": 1.0}}, ValueError, "#"),
        ({"micrograd_fast": 1.0}, ValueError, "own entry"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_and_the_old_file_stays(state, error, match, tmp_path):
    path = tmp_path / "state.npz"
    nn.save({"good": 1.0}, path)
    with pytest.raises(error, match=match):
        nn.save(state, path)
    assert nn.load(path) == {"good": 1.0}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "entry",
    [
        [2**53 + 1, -(2**63)],
        [1, 2],
        [True, False],
        [1.0, 2.0],
        [0.5, 1],
        [],
        True,
        np.True_,
        np.int64(7),
        2**63 - 1,
        "",
        "a\0b",
        np.str_("x"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("by_position", [False, True])
def test_an_entry_comes_back_as_it_was(entry, by_position, tmp_path):
    state = {"a": entry, "b": {}}
    if by_position and isinstance(entry, list):
        state = {str(k): x for k, x in enumerate(entry)}
    nn.save(state, tmp_path / "state.npz")
    again = nn.load(tmp_path / "state.npz")
    assert again == state
    for key, was in state.items():
        plain = was.item() if isinstance(was, np.generic) and not isinstance(was, str) else was
        if key == "a":
            assert isinstance(again[key], type(plain)) or isinstance(plain, np.str_)
        if isinstance(plain, list) and len({type(x) for x in plain}) == 1:
            assert [type(x) for x in again[key]] == [type(x) for x in plain]


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes are POSIX's")
def test_links_and_modes_stay(tmp_path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "state.npz", tmp_path / "state.npz"
    link.symlink_to(target)
    nn.save({"a": 1.0}, link)
    fresh = tmp_path / "fresh"
    fresh.touch()
    assert target.stat().st_mode == fresh.stat().st_mode  # as open() makes it
    target.chmod(0o640)
    nn.save({"a": 2.0}, os.fsencode(link))
    assert link.is_symlink() and target.stat().st_mode & 0o777 == 0o640
    assert nn.load(link) == {"a": 2.0}
    assert [p.name for p in (tmp_path / "there").iterdir()] == ["state.npz"]


def test_many_save_to_one_path_and_the_file_is_always_whole(tmp_path):
    """From threads of two processes; each state is consistent in itself."""
    path = tmp_path / "state.npz"
    nn.save({"model": {"0": 0.0}, "copy": 0.0}, path)
    source = f"""
    from threading import Thread
    from micrograd_fast import nn

    def rounds(number):
        for k in range(15):
            nn.save({{"model": {{"0": number + k}}, "copy": number + k}}, {str(path)!r})

    threads = [Thread(target=rounds, args=(100.0 * n,)) for n in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    """
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(run_fresh, source) for _ in range(2)]
        while not all(future.done() for future in done):
            state = nn.load(path)
            assert state["model"]["0"] == state["copy"]
        for future in done:
            future.result()
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    """A small file must not take much memory."""
    path = tmp_path / "bomb.npz"
    zeros = np.zeros(10**4)
    archive(path, [GOOD, *[(f"a{k}", zeros) for k in range(2)]])
    data = bytearray(path.read_bytes())
    # The directory's second entry leads to the bytes of the first.
    starts = [i for i in range(len(data)) if data[i : i + 4] == b"PK\x01\x02"]
    first = data[starts[1] + 42 : starts[1] + 46]
    small = data[: int.from_bytes(data[starts[2] + 42 : starts[2] + 46], "little")]
    directory = data[starts[0] :]
    shift = starts[2] - starts[0]
    directory[shift + 42 : shift + 46] = first
    end = directory.rindex(b"PK\x05\x06")
    directory[end + 16 : end + 20] = len(small).to_bytes(4, "little")
    path.write_bytes(small + directory)
    with pytest.raises(ValueError, match=r"bomb\.npz: .*overlap"):
        nn.load(path)


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    nn.save({"good": 1.0}, path)

    def fail(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="no space"):
        nn.save({"good": 2.0}, path)
    monkeypatch.undo()
    assert nn.load(path) == {"good": 1.0}
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_file_is_refused_by_name(name, tmp_path):
    path = tmp_path / "crafted.npz"
    archive(path, CRAFTED[name])
    with pytest.raises(ValueError, match=r"crafted\.npz: "):
        nn.load(path)


def test_a_compressed_file_is_refused(tmp_path):
    archive(tmp_path / "bomb.npz", [GOOD, ("#", np.zeros(10**6))], zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed"):
        nn.load(tmp_path / "bomb.npz")


def test_no_file_and_no_archive(tmp_path):
    with pytest.raises(FileNotFoundError):
        nn.load(tmp_path / "none.npz")
    for content in (b"", b"PK", pickle.dumps(Bomb()), b"\x93NUMPY"):
        (tmp_path / "other.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"other\.npz"):
            nn.load(tmp_path / "other.npz")


def test_a_damaged_file_is_refused_or_reads_as_it_was(tmp_path, rng):
    _, optimizer = model_and_optimizer()
    path = tmp_path / "state.npz"
    nn.save(optimizer, path)
    whole, state = path.read_bytes(), nn.load(path)
    for k in range(600):
        damaged = bytearray(whole)
        if k % 2:
            del damaged[rng.randrange(len(damaged)) :]
        else:
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            found = nn.load(path)
        except ValueError as error:
            assert "state.npz" in str(error)
        else:
            assert found == state  # dates and flags of the archive change nothing


# ---- pickles ----


def program():
    """A Program with every kind of instruction."""
    trace = _core.Trace()
    p = Value(2.0)
    with trace:
        x, y = trace.input(), trace.input()
        out = (x * p + y * 2.0 + x * y).tanh() + mg.take([x, y, p], y) + x**3 / y
    made, _ = trace.program([out])
    return made


def run_if_accepted(made):
    """What passed verification must run without a crash, whatever it computes."""
    made.listing()
    optimized = _core.optimized(made)
    optimized.verify()
    kinds = ["uniform"] * made.n_inputs
    _core.Plan(optimized, [Value(1.0) for _ in range(made.n_params)], kinds)


def test_a_program_comes_back_from_a_pickle_as_it_was():
    made = program()
    assert pickle.loads(pickle.dumps(made)).listing() == made.listing()


def test_crafted_programs_are_refused_or_run(rng):
    rebuild, parts = program().__reduce__()
    n_refused = 0
    for _ in range(3000):
        crafted = list(parts)
        k = rng.randrange(len(crafted))
        part = crafted[k]
        if isinstance(part, bytes) and part:
            damaged = bytearray(part)
            for _ in range(rng.randint(1, 3)):
                at = rng.randrange(len(damaged) // 4) * 4
                number = rng.choice([0, 1, -1, 2**31 - 1, -(2**31), rng.randrange(-40, 40), 255])
                damaged[at : at + 4] = struct.pack("<i", number)
            crafted[k] = bytes(damaged) if rng.random() < 0.8 else part[: rng.randrange(len(part))]
        elif isinstance(part, list):
            crafted[k] = [rng.choice([0, -1, 10**9, 2**40, "0", None, 1.0, len(program())])]
        else:
            crafted[k] = rng.choice([0, -1, 5, 2**31, 2**70, "1", None, 1.5])
        try:
            made = rebuild(*crafted)
        except (ValueError, TypeError, OverflowError, MemoryError):
            n_refused += 1
            continue
        if made.n_inputs <= 100 and made.n_params <= 100:
            run_if_accepted(made)
    assert n_refused > 1000


@pytest.mark.parametrize(
    "state",
    [
        None,
        (),
        (1.0, 2.0, "", {}, 5),
        ("1", 0.0, "", {}),
        (1.0, None, "", {}),
        (10**400, 0.0, "", {}),
        (1.0, 0.0, 5, {}),
        (1.0, 0.0, "", [1]),
        (1.0, 0.0, "", {5: 1}),
        (1.0, 0.0, "", {"data": "x"}),
        (1.0, 0.0, "", {"_backward": 5}),
        (1.0, 0.0, "", {"__class__": int}),
        {"data": "1.0"},
        {"grad": None, "data": 1.0},
        {"_prev": set()},
        ({"label": "l"}, {"data": None}),
    ],
)
def test_a_crafted_state_of_a_value_is_refused(state):
    before = live_nodes()
    v = Value(3.0)
    with pytest.raises((TypeError, OverflowError, AttributeError)):
        v.__setstate__(state)
    assert (v.data, v.grad) == (3.0, 0.0)
    del v
    assert live_nodes() == before


def test_damaged_pickles_raise_errors_and_nothing_else(rng):
    model, optimizer = model_and_optimizer()
    labelled = Value(1.5, label="w")
    labelled.grad = -2.0
    for thing in (labelled, model, optimizer, program(), mg.compile(mg.functional.sum)):
        for protocol in (2, 5):
            whole = pickle.dumps(thing, protocol)
            for _ in range(150):
                damaged = bytearray(whole)
                if rng.random() < 0.3:
                    del damaged[rng.randrange(len(damaged)) :]
                else:
                    # Numbers and lengths, not the names of what is called: pickle calls anything.
                    at = rng.randrange(len(damaged))
                    if chr(damaged[at]).isalpha():
                        continue
                    damaged[at] ^= 1 << rng.randrange(8)
                try:
                    again = SafeUnpickler(io.BytesIO(damaged)).load()
                except Exception:
                    continue
                if isinstance(again, Value):
                    assert isinstance(again.data, float)


class SafeUnpickler(pickle._Unpickler):
    """Finds what this package pickles and nothing else.

    In Python: the one in C makes room for every memo number, a damaged one takes gigabytes.
    """

    def find_class(self, module, name):
        if module.split(".")[0] in ("micrograd_fast", "copyreg", "math", "array"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name}")


@pytest.mark.parametrize("kind", ["Plan", "Specialization", "Trace"])
def test_what_holds_pointers_is_not_pickled(kind):
    made = getattr(_core, kind).__new__(getattr(_core, kind))
    with pytest.raises(TypeError):
        pickle.dumps(made)


# ---- calls of the private module that no public code makes ----


@pytest.mark.filterwarnings("ignore:.* without a partner are left out")
@pytest.mark.parametrize("junk", [None, 5, "x", [], [5], [Value(1.0)], (None, None), b"\0" * 8])
def test_junk_arguments_of_the_core_raise(junk):
    x = Value(2.0)
    attempts = [
        lambda: _core.affine(junk, [1.0], x),
        lambda: _core.affine([x], junk, x),
        lambda: _core.affine([x], [1.0], junk),
        lambda: _core.affine([x], [1.0], x, junk),
        lambda: _core.dot(junk, junk),
        lambda: _core.total(junk),
        lambda: _core.Parameters(junk),
        lambda: _core.Parameters.__new__(_core.Parameters).zero_grad(),
        lambda: _core.Parameters([x]).sgd_step(junk, None, True, 1, 1, 1, 1, True, True),
        lambda: _core.Parameters([x]).sgd_step(None, junk, True, 1, 0, 1, 1, True, True),
        lambda: _core.Parameters([x]).rmsprop_step(junk, junk, junk, *[1] * 5, True),
        lambda: _core.Parameters([x]).adagrad_step(junk, junk, *[1] * 5, True),
        lambda: _core.grad_norm(junk, 2.0),
        lambda: _core.clamp_grads(junk, 2.0),
        lambda: _core.scale_grads(junk, 2.0),
        lambda: _core.add_leaves(junk, junk),
        lambda: _core.without_repeats(junk),
        lambda: _core.is_leaf_value(junk),
        lambda: _core.Parameters([x]).adam_step(junk, junk, junk, None, *[1] * 6, True, True),
        lambda: _core.copy_numbers(junk, junk, "data"),
        lambda: _core.copy_numbers([x], junk, "write"),
        lambda: _core.Program(junk),
        lambda: Value(1.0, junk),
        lambda: Value(1.0, (x,), junk),
        lambda: x.__setstate__(junk),
        lambda: Value.__new__(junk),
    ]
    for attempt in attempts:
        try:
            attempt()
        except (TypeError, ValueError, OverflowError, AttributeError):
            continue
    (x * x).backward()
    assert x.grad == 4.0 or x.data != 2.0


def test_a_plan_refuses_what_does_not_belong_to_its_program():
    p = Value(3.0)
    with _core.Trace() as trace:
        program, captured = trace.program([trace.input() * p])
    with pytest.raises(ValueError, match="captured"):
        _core.Plan(program, captured, [])
    with pytest.raises(ValueError, match="captured"):
        _core.Plan(program, [], ["lane"])
    with pytest.raises(TypeError, match="'int'"):
        _core.Plan(program, [5], ["lane"])
    with pytest.raises(ValueError, match="kind"):
        _core.separate_dots(program, [])
    assert _core.Plan(program, captured, ["lane"]).captured == [p]


def test_one_thread_traces_once_at_a_time():
    with _core.Trace() as trace, pytest.raises(RuntimeError, match="running"):
        trace.__enter__()
    assert not _core.tracing()
    assert (Value(1.0) * 2)._op == "*"


def test_only_a_leaf_takes_a_state():
    x = Value(2.0)
    out = x * x
    with pytest.raises(TypeError, match="leaf"):
        out.__setstate__((1.0, 0.0, "", {}))
    out.backward()
    assert (out.data, x.grad) == (4.0, 4.0)


# Every function of the private module, and every attribute of its classes on an instance that was
# never initialised, with up to 13 arguments of every kind, such instances among them; each name is
# printed before its calls.
EVERYTHING = """
import array, sys
from itertools import product
from micrograd_fast import Value, _core
from micrograd_fast.compiler import CompiledFunction

classes = [c for c in vars(_core).values()
           if isinstance(c, type) and c.__module__ in (_core.__name__, Value.__module__)]
classes += [CompiledFunction]

def blank(c):
    try:
        return c.__new__(c)
    except TypeError:  # nothing is never initialised there
        return c.__new__(c, Value(1.0))

def blanks():
    return [blank(c) for c in classes if not issubclass(c, (BaseException, tuple))]

junk = [None, 5, "x", [], (), {}, [5], [Value(1.0)], Value(2.0), bytes(8), array.array("d", [1.0])]

def attempt(call, name):
    for values in [
        *([j] * n for n in range(13) for j in junk),
        *product(junk, repeat=2),
        *([b] for b in blanks()),
        *([b, (), (), False, None] for b in blanks()),
        *([b, [], []] for b in blanks()),
    ]:
        sys.stdout.write(name + "\\n")
        sys.stdout.flush()
        try:
            call(*values)
        except Exception:
            pass

for name, found in [*vars(_core).items(), ("compiled", CompiledFunction)]:
    if found not in classes and (
        getattr(found, "__module__", None) != _core.__name__ or not callable(found)
    ):
        continue
    if not isinstance(found, type) or issubclass(found, (BaseException, tuple)):
        attempt(found, name)
        continue
    attempt(found, name)
    for attribute in dir(found):
        if attribute in ("__class__", "__enter__", "__init_subclass__", "__subclasshook__"):
            continue
        made = blank(found)
        attempt(lambda value: setattr(made, attribute, value), name + "." + attribute)
        try:
            method = getattr(made, attribute)
        except Exception:
            continue
        if callable(method):
            attempt(method, name + "." + attribute)
x = Value(2.0)
(x * x).backward()
assert x.grad == 4.0
"""


def test_no_call_of_the_private_module_crashes():
    done = subprocess.run([sys.executable, "-c", EVERYTHING], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-100:] + done.stderr[-2000:]
