"""The command line and the demos: what they print, draw, refuse, and do when Ctrl-C ends them."""

import os
import re
import signal
import struct
import subprocess
import sys
import time

import pytest

from micrograd_fast import __version__, demo
from micrograd_fast.__main__ import main

PNG_HEAD = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Each test runs in an empty folder of its own: default pictures land there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_micrograd(monkeypatch):
    """micrograd takes seconds: most tests run as where it is not installed."""
    monkeypatch.setitem(sys.modules, "micrograd.engine", None)


def png_size(path):
    """Width and height, from the file's header."""
    with open(path, "rb") as file:
        head = file.read(24)
    assert head[:8] == PNG_HEAD
    return struct.unpack(">II", head[16:24])


def interrupt_at(monkeypatch, name, last):
    """The demo's step function raises KeyboardInterrupt in place of its call number `last`."""
    step, calls = getattr(demo, name), []

    def interrupted(*args):
        calls.append(args)
        if len(calls) > last:
            raise KeyboardInterrupt
        return step(*args)

    monkeypatch.setattr(demo, name, interrupted)


def assert_refused(capsys, argv, *texts):
    """argparse's way out: exit code 2, usage and the reason on stderr, nothing done."""
    with pytest.raises(SystemExit) as exit_:
        main(argv)
    assert exit_.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: micrograd-fast")
    for text in texts:
        assert text in err


def test_moons_trains_and_saves_the_boundary(empty_folder, capsys, no_micrograd):
    assert main(["demo", "--steps", "30"]) == 0
    out, err = capsys.readouterr()
    picture = empty_folder / "micrograd_fast_moons.png"
    assert f"picture: {picture}" in out
    assert "MLP(2, [16, 16, 1]) with 337 parameters" in out
    summary = re.search(r"moons: 30 of 30 steps, loss (\S+), accuracy (\S+)%", out)
    assert float(summary[1]) < 0.4
    assert float(summary[2]) > 85.0
    assert re.search(r"time per step: \d+(\.\d+)? ms \(median of 30\)", out)
    assert "micrograd is not installed" in out
    assert "30/30" in err and "loss" in err and "accuracy" in err
    width, height = png_size(picture)
    assert width > 800 and height > 400
    assert picture.stat().st_size > 20_000


@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_gif_films_the_boundary_and_changes_no_number(empty_folder, capsys, no_micrograd, engine):
    arguments = ["demo", "--steps", "2", "--no-plot", "--engine", engine]
    assert main(arguments) == 0
    plain = re.search(r"loss \S+, accuracy \S+", capsys.readouterr().out)[0]
    assert os.listdir() == []
    assert main([*arguments, "--gif"]) == 0
    out, _ = capsys.readouterr()
    assert plain in out
    film = empty_folder / "micrograd_fast_moons.gif"
    assert f"film: {film}" in out
    assert film.read_bytes()[:6] == b"GIF89a"
    image = pytest.importorskip("PIL.Image")
    with image.open(film) as gif:
        assert gif.n_frames == 3


@pytest.mark.slow
def test_moons_compares_with_micrograd_on_the_same_work(capsys):
    assert main(["demo", "--steps", "3", "--no-plot"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"micrograd 0\.1\.0: \d+(\.\d+)? ms per step \(garbage collector on", out)
    assert "the same losses to 1e-9" in out
    ratio = re.search(r"ratio: micrograd_fast's step is (\S+) times as fast", out)
    assert float(ratio[1]) > 10.0


def test_moons_seed_decides_the_result(capsys, no_micrograd):
    def losses(*argv):
        assert main(["demo", "--steps", "2", "--no-plot", *argv]) == 0
        return re.search(r"loss (\S+),", capsys.readouterr().out)[1]

    assert losses() == losses() == losses("--seed", "1337") != losses("--seed", "1")


def test_digits_trains_and_saves_digits_and_confusion(empty_folder, capsys):
    assert main(["demo", "--data", "digits", "--steps", "40", "--out", "sub.png"]) == 0
    out = capsys.readouterr().out
    assert "digits: 1437 for training, 360 held out, MLP(64, [32, 10]) with 2410 parameters" in out
    assert "digits: 40 of 40 steps" in out
    test = re.search(r"test accuracy: (\S+)% of 360 held-out digits", out)
    assert float(test[1]) > 70.0
    width, height = png_size(empty_folder / "sub.png")
    assert width > 800 and height > 400
    assert sorted(os.listdir()) == ["sub.png"]


@pytest.mark.slow
def test_digits_reaches_95_percent_in_a_minute(capsys):
    start = time.process_time()  # a busy machine does not count
    assert main(["demo", "--data", "digits", "--no-plot"]) == 0
    assert time.process_time() - start < 60.0
    out = capsys.readouterr().out
    assert "digits: 460 of 460 steps" in out
    assert float(re.search(r"test accuracy: (\S+)%", out)[1]) >= 95.0
    assert re.search(r"training and test: \d+\.\d s", out)


@pytest.mark.parametrize("data", ["moons", "digits"])
def test_no_plot_saves_nothing_and_needs_no_matplotlib(monkeypatch, capsys, no_micrograd, data):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["demo", "--data", data, "--steps", "1", "--no-plot"]) == 0
    assert f"{data}: 1 of 1 steps" in capsys.readouterr().out
    assert os.listdir() == []


@pytest.mark.parametrize("data", ["moons", "digits"])
@pytest.mark.parametrize("done", [0, 2])
def test_interrupt_keeps_what_was_reached(monkeypatch, capsys, data, done):
    interrupt_at(monkeypatch, f"{data}_step", done)
    assert main(["demo", "--data", data, "--steps", "5"]) == 130
    out, err = capsys.readouterr()
    assert f"{data}: {done} of 5 steps (interrupted)" in out
    assert ("loss" in out) == (done > 0)
    assert "ratio" not in out
    assert "Traceback" not in err
    assert png_size(f"micrograd_fast_{data}.png")[0] > 800


@pytest.mark.slow
def test_interrupt_while_micrograd_runs_still_draws(monkeypatch, capsys):
    interrupt_at(monkeypatch, "moons_step", 4)
    assert main(["demo", "--steps", "3"]) == 130
    out = capsys.readouterr().out
    assert "moons: 3 of 3 steps, loss" in out
    assert "ratio" not in out
    assert png_size("micrograd_fast_moons.png")[0] > 800


def test_interrupt_outside_training_ends_without_traceback(monkeypatch, capsys, no_micrograd):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "moons_figure", interrupted)
    assert main(["demo", "--steps", "1"]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_in_a_shell_ends_with_the_summary():
    # A test run in the background inherits an ignored SIGINT; a user's shell gives the default.
    program = (
        "import signal, sys; from micrograd_fast.__main__ import main; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "sys.exit(main(['demo', '--steps', '1000000', '--no-plot']))"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            seen = b""
            while b"accuracy" not in seen:
                piece = os.read(process.stderr.fileno(), 4096)
                assert piece, seen
                seen += piece
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert re.search(rb"moons: \d+ of 1000000 steps \(interrupted\), loss", out)
    assert b"Traceback" not in err


@pytest.mark.parametrize("module", ["sklearn.datasets", "tqdm", "matplotlib.figure"])
def test_missing_extra_is_named_before_training(monkeypatch, capsys, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(demo, "train", None)
    assert main(["demo", "--steps", "1"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert module in err
    assert "pip install 'micrograd-fast[demo]'" in err
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--steps", "-1"], "argument --steps: must be at least 1, not -1"),
        (["--steps", "0"], "argument --steps: must be at least 1, not 0"),
        (["--steps", "many"], "argument --steps: 'many' is not a whole number"),
        (["--seed", "-1"], "argument --seed: must be at least 0, not -1"),
        (["--seed", str(2**32)], "argument --seed: must be at most 4294967295"),
        (["--data", "mnist"], "argument --data: invalid choice"),
        (["--out", "picture.jpg"], "argument --out: picture.jpg must end in .png"),
        (["--out", "missing/picture.png"], "argument --out: cannot write"),
        (["--out", "folder.png"], "argument --out: cannot write"),
        (["--out", "picture.png", "--no-plot"], "not allowed with argument"),
        (["--gif", "film.png"], "argument --gif: film.png must end in .gif"),
        (["--gif", "missing/film.gif"], "argument --gif: cannot write"),
        (["--gif", "--data", "digits"], "argument --gif: only --data moons has a decision"),
    ],
)
def test_bad_options_are_refused_before_training(monkeypatch, capsys, empty_folder, argv, text):
    monkeypatch.setattr(demo, "train", None)
    (empty_folder / "folder.png").mkdir()
    assert_refused(capsys, ["demo", *argv], text)
    assert os.listdir() == ["folder.png"]


def test_existing_picture_is_untouched_when_training_does_not_start(monkeypatch, empty_folder):
    picture = empty_folder / "mine.png"
    picture.write_bytes(b"kept")
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert main(["demo", "--out", "mine.png"]) == 2
    assert picture.read_bytes() == b"kept"


def test_picture_that_fails_at_the_end_is_reported(monkeypatch, capsys, empty_folder, no_micrograd):
    folder = empty_folder / "soon_gone"
    folder.mkdir()
    train = demo.train

    def train_and_remove(*args):
        folder.rmdir()
        return train(*args)

    monkeypatch.setattr(demo, "train", train_and_remove)
    assert main(["demo", "--steps", "1", "--out", str(folder / "a.png")]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_no_command_is_refused(capsys):
    assert_refused(capsys, [], "required: COMMAND")


def test_help_shows_examples(capsys):
    for argv in (["--help"], ["demo", "--help"]):
        with pytest.raises(SystemExit) as exit_:
            main(argv)
        assert exit_.value.code == 0
        assert "micrograd-fast demo --data digits" in capsys.readouterr().out


def test_module_entry_runs_from_any_folder(empty_folder):
    def run(*argv):
        command = [sys.executable, "-m", "micrograd_fast", *argv]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert run("--version").stdout == f"micrograd-fast {__version__}\n"
    done = run("demo", "--data", "digits", "--steps", "2")
    assert done.returncode == 0, done.stderr
    assert "digits: 2 of 2 steps" in done.stdout
    assert png_size(empty_folder / "micrograd_fast_digits.png")[0] > 800
    refused = run("demo", "--steps", "-3")
    assert refused.returncode == 2
    assert "must be at least 1" in refused.stderr
