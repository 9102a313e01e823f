"""What a trace watches: whose code, how long that lives for it, and what the traced function itself
changes. How changes are seen is a matter of test_compile_watch.py."""

import gc
import sys
import types
import weakref

import pytest
from conftest import run_fresh
from test_compile_watch import program

import micrograd_fast as mg
from micrograd_fast import Value, nn, watch

# ---- what the traced function itself changes ----


def test_a_counter_or_a_log_is_no_reason_to_trace_again():
    names = program(
        "runs = 0\nlog = []\n"
        "class A:\n"
        " def __init__(self): self.calls, self.seen = 0, []\n"
        " def __call__(self, x):\n"
        "  self.calls += 1\n  self.seen.append(1)\n  return x * 2\n"
        "a = A()\n"
        "def f(x, k):\n global runs\n runs += 1\n log.append(x)\n return a(x) * k"
    )
    compiled = mg.compile(names["f"])
    for _ in range(3):
        for k in (1, 2, 3):
            assert compiled(1.0, k).data == 2.0 * k
    assert names["runs"] == names["a"].calls == len(names["log"]) == len(names["a"].seen) == 3


def test_what_is_changed_and_read_is_told_and_does_not_trace_for_ever():
    names = program(
        "class A: pass\na = A()\na.n = 1.0\ndef f(x, k):\n a.n = a.n + 1\n return x * k * a.n"
    )
    compiled = mg.compile(names["f"])
    with pytest.warns(mg.TraceWarning, match="changes what it reads: attribute 'n' of A changed"):
        assert compiled(1.0, 1).data == 2.0
    with pytest.warns(mg.TraceWarning):
        assert compiled(1.0, 2).data == 6.0
    assert [compiled(1.0, k).data for k in (1, 2, 1, 2)] == [2.0, 6.0, 2.0, 6.0]
    assert names["a"].n == 3.0


def test_what_is_made_at_the_first_call_is_no_change():
    names = program(
        "class A:\n w = None\n"
        " @functools.cached_property\n def scale(self): return 2.0\n"
        "a = A()\n"
        "def f(x):\n"
        " if a.w is None: a.w = Value(3.0)\n"
        " return x * a.w.detach() * a.scale"
    )
    names["a"].w = Value(3.0)
    compiled = mg.compile(names["f"])
    assert [compiled(1.0).data for _ in range(3)] == [6.0] * 3
    names["a"].scale = 5.0
    assert compiled(1.0).data == 15.0


# ---- what is watched lives no longer for it ----


def test_an_object_with_a_compiled_method_goes_with_its_last_reference(gc_off):
    class Net(nn.Module):
        def __init__(self):
            self.layers = [nn.Layer(2, 2), nn.Layer(2, 1)]
            self.inner = type("Inner", (), {})()
            self.scale = 2.0
            self.inner.parent = weakref.ref(self)

        @mg.compile
        def loss(self, x, y):
            for layer in self.layers:
                x = layer(x if isinstance(x, list) else [x, y])
            return x * self.scale

    net = Net()
    net.loss(1.0, 2.0)
    net.scale = 3.0
    net.loss(1.0, 2.0)
    gone = weakref.ref(net)
    del net
    assert gone() is None


def test_what_is_watched_may_go_before_the_function():
    names = program(
        "class A: pass\na = A()\na.b = A()\na.b.c = [A()]\na.b.c[0].k = 2.0\n"
        "def f(x): return x * a.b.c[0].k"
    )
    compiled = mg.compile(names["f"])
    assert compiled(1.0).data == 2.0
    for k in range(50):
        names["a"].b = None
        del names["a"].b
        fresh = [type("B", (), {})() for _ in range(100)]
        names["a"].b = names["A"]()
        names["a"].b.c = [names["A"]()]
        names["a"].b.c[0].k = float(k)
        assert compiled(1.0).data == compiled(1.0).data == k
        del fresh
    gc.collect()
    del names["a"].b.c[0].k
    with pytest.raises(AttributeError):
        compiled(1.0)


def test_more_than_can_be_watched_is_told():
    names = program(
        "rows = [[float(k), [k]] for k in range(20_000)]\ndef f(x): return x * rows[3][1][0]"
    )
    with pytest.warns(mg.TraceWarning, match="can reach more than .* objects and lists"):
        assert mg.compile(names["f"])(1.0).data == 3.0


@pytest.mark.parametrize("depth", [1, 31, 32, 33, 100])
def test_the_innermost_item_of_tuples_in_tuples_is_watched(depth):
    weight = [2.0]
    nested = (weight,)
    for _ in range(depth):
        nested = (nested,)

    def f(x):
        inner = nested
        for _ in range(depth):
            inner = inner[0]
        return x * inner[0][0]

    compiled = mg.compile(f)
    assert compiled(1.0).data == 2.0
    weight[0] = 3.0
    assert compiled(1.0).data == 3.0


def test_what_is_read_may_be_nested_as_deep_as_one_likes():
    """In an interpreter and a thread of their own, with a small stack: recursion would end them."""
    run_fresh("""
        import threading
        import micrograd_fast as mg

        nested = ()  # freed by the main thread: CPython 3.13 needs a large stack for it
        for _ in range(1_000_000):
            nested = (nested,)

        def read_tuples():
            f = mg.compile(lambda x: x * 2 if nested is not None else x)
            assert f(1.0).data == f(1.0).data == 2.0
            done.append("tuples")

        def read_lists():
            innermost = nested = [2.0]
            for _ in range(5_000):
                nested = [nested]

            def f(x):
                inner = nested
                while type(inner[0]) is list:
                    inner = inner[0]
                return x * inner[0]

            f = mg.compile(f)
            assert f(1.0).data == 2.0
            innermost[0] = 3.0
            assert f(1.0).data == 3.0
            assert str(f.program(1.0)).count("item 0 of item 0 of") == 2_500
            done.append("lists")

        done = []
        threading.stack_size(256 * 1024)
        for read in (read_tuples, read_lists):
            thread = threading.Thread(target=read)
            thread.start()
            thread.join()
        assert done == ["tuples", "lists"], done
    """)


# ---- what installed and nameless code is ----


def test_layers_are_watched_where_the_package_is_installed(monkeypatch):
    monkeypatch.setattr(watch, "_opaque", {})
    monkeypatch.setattr(nn, "__file__", "/usr/lib/python3/site-packages/micrograd_fast/nn/nn.py")
    monkeypatch.setattr(pytest, "__file__", "/usr/lib/python3/site-packages/pytest/__init__.py")
    assert watch.is_opaque("pytest")
    neuron = nn.Neuron(1)
    f = mg.compile(lambda x: neuron.w[0] * x)
    f(2.0)
    neuron.w = [Value(5.0)]
    assert f(2.0).data == 10.0


@pytest.mark.parametrize(
    ("file", "opaque"),
    [
        ("/usr/lib/python3/dist-packages/theirs.py", True),
        (r"C:\Python\Lib\site-packages\theirs.py", True),
        ("/home/me/my-site-packages/theirs.py", False),
        ("/home/me/site-packages.py", False),
        (None, False),
    ],
)
def test_installed_is_what_stands_in_a_folder_of_that_name(file, opaque, monkeypatch):
    monkeypatch.setattr(watch, "_opaque", {})
    module = types.ModuleType("theirs")
    module.__file__ = file
    monkeypatch.setitem(sys.modules, "theirs", module)
    assert watch.is_opaque("theirs") is opaque


def test_reads_of_code_are_found():
    def f(x, a):
        a.log.append(x)
        a.count += 1
        return x * a.scale + GLOBAL(x) + getattr(a, "named")  # noqa: B009

    names, attributes, any_name, _, _ = watch.reads(f.__code__)
    assert "GLOBAL" in names
    assert {"scale", "named"} <= attributes
    assert not {"log", "count"} & attributes
    assert not any_name


GLOBAL = abs


def test_functions_and_classes_of_a_namespace_without_a_name_are_watched():
    names = {"mg": mg}
    exec(
        "G = 0.5\n"
        "class Scale:\n"
        "    def __init__(self):\n"
        "        self.by = 2.0\n"
        "    def __call__(self, x):\n"
        "        return x * self.by * G\n"
        "scale = Scale()\n"
        "p = mg.Value(1.0)\n"
        "F = mg.compile(lambda: scale(p) + G)\n",
        names,
    )
    assert names["F"]().data == 1.5
    names["G"] = 0.25
    assert names["F"]().data == 0.75
    names["scale"].by = 4.0
    assert names["F"]().data == 1.25
    exec("def twice(self, x):\n    return x * 8.0\nScale.__call__ = twice", names)
    assert names["F"]().data == 8.25
