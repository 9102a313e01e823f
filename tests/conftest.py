"""Shared fixtures: the two engines, a seeded generator, the check that nothing leaks.

Hypothesis runs with fresh random examples every time and no deadline; `HYPOTHESIS_PROFILE=ci`
runs more of them. A failing example is printed with the blob that replays it.
"""

import gc
import importlib
import os
import random
import subprocess
import sys
import textwrap
import types

import pytest
from hypothesis import given, settings, strategies

from micrograd_fast import _core
from micrograd_fast._core import live_nodes

settings.register_profile("dev", max_examples=100, deadline=None, derandomize=False)
settings.register_profile("ci", max_examples=500, deadline=None, derandomize=False, print_blob=True)
settings.register_profile("repeat", max_examples=100, deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

ENGINES = ("micrograd", "micrograd_fast")
VARIANTS = ("portable", "avx2", "avx512")  # of the kernels
FRAGMENTS = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption(
        "--fragmented",
        action="store_true",
        help="start with a store full of holes: no two new nodes can count on consecutive ids",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes seconds, mostly because micrograd does")
    if config.getoption("--fragmented"):
        config.stash[FRAGMENTS] = fragments(40_000)


@settings(database=None)
@given(strategies.none())
def start_hypothesis(_):
    """Hypothesis makes its generator at the first example, and warns where all is frozen before."""


def freeze():
    """Takes what there is out of later collections: thousands of tests collect garbage, and what
    pytest keeps of those before made that take a third of a second each time."""
    gc.collect()
    gc.freeze()


def pytest_collection_finish():
    start_hypothesis()
    freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    if nextitem is not None and nextitem.path != item.path:
        freeze()


def fragments(n):
    """Every second of n new nodes or so, by chance; the records between them are free."""
    draw = random.Random(int(os.environ.get("MF_TEST_SEED", 1)))
    values = [_core.Value(0.0) for _ in range(n)]
    return [v for v in values if draw.random() < 0.5]


def skipped_is_failed(report):
    """With MF_TEST_NO_SKIPS, where every package is installed, what skips fails."""
    if os.environ.get("MF_TEST_NO_SKIPS") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return skipped_is_failed((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return skipped_is_failed((yield))


def load_engine(package):
    """`Value` and `nn` of the package with that name."""
    engine = importlib.import_module(f"{package}.engine")
    nn = importlib.import_module(f"{package}.nn")
    return types.SimpleNamespace(name=package, Value=engine.Value, nn=nn)


def run_fresh(source, timeout=None):
    """Runs a script in a new interpreter, whose store holds nothing yet; it must not fail.

    Returns what it printed. `gc`, `Value` and `_core` are imported.
    """
    code = "import gc\nfrom micrograd_fast import Value, _core\n" + textwrap.dedent(source)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stderr}"
    return done.stdout


@pytest.fixture(params=ENGINES)
def engine(request):
    """Each engine in turn: for claims that hold of micrograd and of its replacement alike."""
    return load_engine(request.param)


@pytest.fixture
def engines():
    """Both engines at once, the reference first: for comparisons."""
    return [load_engine(name) for name in ENGINES]


@pytest.fixture
def rng():
    """A random generator whose seed is printed; MF_TEST_SEED replays one."""
    seed = int(os.environ.get("MF_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"MF_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def live_nodes_unchanged():
    """After the test, one garbage collection later, as many nodes live as before it."""
    gc.collect()
    before = live_nodes()
    yield
    gc.collect()
    assert live_nodes() == before


@pytest.fixture
def gc_off():
    """No garbage collection but what the test asks for; that one skips older objects: quick."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.fixture(params=VARIANTS)
def variant(request):
    """Every instruction set in turn that runs on this machine."""
    before = _core.kernel_variant()
    if not _core._set_kernel_variant(request.param):
        pytest.skip(f"{request.param} does not run on this machine")
    assert _core.kernel_variant() == request.param
    yield request.param
    _core._set_kernel_variant(before)


@pytest.fixture
def busy_threads():
    """Threads change places far more often than by default."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
