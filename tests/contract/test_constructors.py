"""`Value.__init__`, `Value.__new__` and `Value.__del__` replaced by a program: they see every Value
that they see in micrograd, and the graph is micrograd's."""

import gc
import random
import subprocess
import sys
import textwrap

import pytest
from conftest import load_engine
from programs import graph_of

from micrograd_fast import _core, functional
from micrograd_fast.engine import Value, no_grad

MICROGRAD, FAST = load_engine("micrograd"), load_engine("micrograd_fast")


def expressions(x, y):
    """Every operator of micrograd's, with Values and numbers, on either side."""
    found = [x + y, x + 1, 2 + x, x - y, x - 1, 2 - x, x * y, x * 5, 6 * x, -x, x + x, x * x]
    found += [x / y, x / 7, 8 / x, x**2, x**-1, x**0.5, x.relu(), sum([x, y, x])]
    return found


def network(package):
    random.seed(7)
    model = package.nn.MLP(2, [3, 1])
    return [model([1.0, -2.0]), package.nn.Neuron(2)([package.Value(1.0), 3])]


def constructing(package, init, build):
    """The Values that build() gives while Value.__init__ is what init(original, log) returns."""
    log, original = [], package.Value.__init__
    package.Value.__init__ = init(original, log)
    try:
        return build(package), log
    finally:
        package.Value.__init__ = original


def logged(original, log):
    def patched(self, data, _children=(), _op=""):
        log.append((float(data), [c.data for c in _children], _op))
        original(self, data, _children, _op)

    return patched


def with_attribute(original, log):
    def patched(self, *args, **kwargs):
        original(self, *args, **kwargs)
        self.history = [self.data]
        log.append(len(args))

    return patched


def rounding(original, log):
    def patched(self, data, _children=(), _op=""):
        original(self, round(data, 1), _children, _op)

    return patched


def forgetful(original, log):
    def patched(self, data, _children=(), _op=""):
        original(self, data)

    return patched


def with_a_step(original, log):
    def patched(self, data, _children=(), _op=""):
        original(self, data, _children, _op)
        self._backward = lambda: log.append("never asked")

    return patched


def with_another_child(original, log):
    extra = []

    def patched(self, data, _children=(), _op=""):
        original(self, data, (*_children, *extra) if len(_children) == 1 else _children, _op)
        extra[:] = [self] if not _children and not extra else extra

    return patched


PATCHES = [logged, with_attribute, rounding, forgetful, with_a_step, with_another_child]


def outcome(package, init, build):
    """The log, the graph, and the gradients of each result in turn."""
    values, log = constructing(package, init, build)
    log = list(log)
    roots = list(dict.fromkeys(values))
    graph = graph_of(roots)
    grads = []
    for root in roots:
        root.backward()
        grads.append([pytest.approx(float(v.grad), rel=1e-12) for v in roots[:2]])
    return log, graph, grads


def operators(package):
    x, y = package.Value(3.0), package.Value(4.0)
    return [x, y, *expressions(x, y)]


@pytest.mark.parametrize("build", [operators, network])
@pytest.mark.parametrize("init", PATCHES)
def test_a_replaced_init_runs_for_all_that_micrograd_makes_and_the_graph_is_the_same(init, build):
    ours, theirs = outcome(FAST, init, build), outcome(MICROGRAD, init, build)
    assert ours[0] == theirs[0]
    assert ours[1] == theirs[1]
    assert ours[2] == theirs[2]


def test_a_restored_init_is_asked_no_more():
    before = graph_of(operators(FAST))
    _, log = constructing(FAST, logged, operators)
    n = len(log)
    assert graph_of(operators(FAST)) == before
    assert len(log) == n > 20
    x = Value(1.0)
    held = _core.live_nodes()
    out = x + 1
    assert _core.live_nodes() == held + 2
    assert out._op == "+"


def test_all_other_ops_run_a_replaced_init_too():
    def build(package):
        x, y = Value(0.5), Value(0.25)
        unary = [op for op in _core.OPS if op.kind == "unary"]
        out = [getattr(Value((op.lo + op.hi) / 2), op.name)() for op in unary]
        out += [x.maximum(y), x.minimum(2), x**y, 2**x, abs(x), x.detach()]
        with no_grad():
            out += [x + y, x * 2, x**2, -x]
        return [*out, functional.mean([x, y]), functional.cross_entropy([x, y, 1.0], 0)]

    values, log = constructing(FAST, logged, build)
    numbers = [entry[0] for entry in log]
    assert all(v.data in numbers for v in values)
    assert len(log) > len(values) + 10
    plain = build(FAST)
    assert [v.data for v in values] == [v.data for v in plain]
    for a, b in zip(values, plain, strict=True):
        a.backward()
        b.backward()
        assert (a._op, len(a._prev)) == (b._op, len(b._prev))


@pytest.mark.usefixtures("live_nodes_unchanged")
@pytest.mark.parametrize("init", PATCHES)
def test_what_a_replaced_init_made_is_collected(init):
    values, _ = constructing(FAST, init, operators)
    values[-1].backward()
    del values


def test_an_init_that_raises_leaves_the_graph_as_it_was():
    def failing(original, log):
        def patched(self, data, _children=(), _op=""):
            if _op == "*":
                raise RuntimeError("no products")
            original(self, data, _children, _op)

        return patched

    def build(package):
        x = Value(2.0)
        gc.collect()
        before = _core.live_nodes()
        for attempt in (lambda: x * 3, lambda: -x, lambda: x - x, lambda: 1 / x):
            with pytest.raises(RuntimeError, match="no products"):
                attempt()
        gc.collect()
        assert _core.live_nodes() == before
        return [x + 1]

    constructing(FAST, failing, build)


def test_a_compiled_function_is_traced_without_it():
    import micrograd_fast as mg

    w = Value(3.0)

    def build(package):
        return mg.compile(lambda x: (x * w + 1).tanh())(0.5)

    out, _ = constructing(FAST, logged, build)
    assert out.data == pytest.approx((0.5 * w + 1).tanh().data, rel=1e-12)


# ---- __new__ and __del__, in interpreters of their own: a class does not forget them ----

NEW = {
    "object.__new__": "lambda cls, *args, **kwargs: object.__new__(cls)",
    "super": "lambda cls, *args, **kwargs: super(Value, cls).__new__(cls)",
    "original": "lambda cls, *args, **kwargs: original(cls)",
    "counted": "lambda cls, *args, **kwargs: made.append(cls.__name__) or object.__new__(cls)",
}
PROGRAM = """
    import copy, gc, pickle, random, sys
    from {package}.engine import Value
    from {package} import nn

    made, original = [], Value.__new__

    class Before(Value):
        def __init__(self, data, *rest):
            self.early = [1]
            self.label = "early"
            super().__init__(data, *rest)

    class Mixin:
        def __init_subclass__(cls):
            pass   # does not tell Value

    Value.__new__ = {new}

    class After(Before):
        pass

    class Slotted(Value):
        __slots__ = ("more",)

    class Mixed(Mixin, Value):
        def __init__(self, data, *rest):
            self.early = [1]
            super().__init__(data, *rest)

    class Other(Mixed):
        pass

    class Newer(Value):
        def __new__(cls, *args):
            self = super().__new__(cls)
            self.mark = "new"
            return self

    class Newest(Newer):
        def __new__(cls, *args):
            return object.__new__(cls)

    x, y = Value(3.0), Value(4.0)
    for kind in (Value, Before, After, Slotted, Mixed, Other, Newer, Newest):
        z = kind(2.0)
        z.notes = ["kept"]
        out = (x * z + 1 - y / z) * z + 2 ** 1
        out.backward()
        print(kind.__name__, out.data, z.grad, x.grad, y.grad, getattr(z, "mark", None))
        made_again = kind.__new__(kind)
        made_again.__init__(5.0)
        print((made_again * 2).data)
        del z, out, made_again
        gc.collect()
    random.seed(1)
    out = nn.MLP(2, [3, 1])([1.0, 2.0])
    out.backward()
    print(out.data)
    twin = copy.deepcopy(Value(1.5))
    print(twin.data, (twin * 2).data)
    if made:
        print(len(made), made[:40])
    del x, y, out, twin
    gc.collect()
"""


def run(*sources, **names):
    code = "".join(map(textwrap.dedent, sources)).format(**names)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("new", NEW)
def test_a_replaced_new_works_as_in_micrograd_in_subclasses_too(new):
    theirs = run(PROGRAM, package="micrograd", new=NEW[new])
    assert run(PROGRAM, package="micrograd_fast", new=NEW[new]) == theirs


def test_object_new_gives_a_leaf_once_new_is_replaced():
    run("""
        import gc
        from micrograd_fast import Value, _core
        gc.collect()
        before = _core.live_nodes()
        Value.__new__ = lambda cls, *a, **k: object.__new__(cls)
        class Child(Value):
            pass
        for kind in (Value, Child):
            v = object.__new__(kind)
            assert (v.data, v.grad, v._prev, v._op, v.label) == (0.0, 0.0, set(), "", "")
            v.data, v.grad, v.tag = 2.0, 1.0, [v]
            (v * 3).backward()
            assert v.grad == 4.0
            repr(v), hash(v), v < 1, v._backward(), v.detach()
            del v
        many = [object.__new__(kind) for kind in (Value, Child) for _ in range(5000)]
        del many
        gc.collect()
        assert _core.live_nodes() == before, (_core.live_nodes(), before)
    """)


# fresh() gives what object.__new__ made of a class that Value was not told of: all zeros, until it
# is used, and not the Value of the first node that there was.
UNTOLD = """
    import copy, gc
    import micrograd_fast as mg
    from micrograd_fast import Value, _core

    class Mixin:
        def __init_subclass__(cls):
            pass   # does not tell Value

    first = Value(7.0)
    total = first * 1
    Value.__new__ = lambda cls, *args, **kwargs: object.__new__(cls)

    def fresh():
        class Mixed(Mixin, Value):
            pass
        return object.__new__(Mixed)

    def the_first_is_untouched():
        global first, total
        assert (first.data, first.grad, total.data) == (7.0, 0.0, 7.0)
        del first, total
        gc.collect()
        assert _core.live_nodes() == 0
"""


def test_what_value_was_not_told_of_reads_as_a_leaf_of_zero():
    run(
        UNTOLD,
        """
        text = "Value(data=0.0, grad=0.0)"
        leaf = [0.0, 0.0, set(), "", (), (), dict(), text, "0.0", False, None]
        reads = [
            lambda v: v.data, lambda v: v.grad, lambda v: v._prev, lambda v: v._op,
            lambda v: v._children, lambda v: v._local_grads, lambda v: v.__dict__, repr,
            lambda v: format(v, ".1f"), lambda v: v > 0, lambda v: v._backward(),
        ]
        for read, expected in zip(reads, leaf, strict=True):
            assert read(fresh()) == expected, expected
        the_first_is_untouched()
    """,
    )


def test_what_value_was_not_told_of_is_written_alone():
    run(
        UNTOLD,
        """
        for write in (
            lambda v: setattr(v, "data", 2.0), lambda v: Value.data.__set__(v, 2.0),
            lambda v: v.__init__(2.0), lambda v: v.__setstate__((2.0, 0.0, "", dict())),
            lambda v: v.__setstate__(dict(data=2.0)),
            lambda v: mg.optim.SGD([v]) and v.__init__(2.0),
        ):
            v, w = fresh(), fresh()
            write(v)
            assert (v.data, w.data) == (2.0, 0.0)
            (v * 3).backward()
            assert (v.grad, w.grad) == (3.0, 0.0)
        del v, w
        the_first_is_untouched()
    """,
    )


def test_what_value_was_not_told_of_is_used_or_refused():
    run(
        UNTOLD,
        """
        x = Value(2.0)
        used = [
            lambda v: v + 1, lambda v: 1 - v, lambda v: v * x, lambda v: x / v, lambda v: v ** 2,
            lambda v: v.tanh(), lambda v: v.backward(), lambda v: Value(1.0, (v,)).data,
            lambda v: _core.dot([v], [x]).data, lambda v: mg.maximum(v, x, 1.0).data,
            lambda v: sum([v]), lambda v: v.detach(), lambda v: mg.compile(lambda a: a * 2)(v),
            lambda v: mg.compile(lambda: v * 2)(), hash, copy.deepcopy,
            lambda v: mg.optim.SGD([v], lr=1.0).step(),
        ]
        for use in used:
            v = fresh()
            try:
                use(v)
            except (TypeError, mg.TraceError):
                pass
            gc.collect()
            v.__init__(2.0)
            out = v * x
            out.backward()
            assert (out.data, v.grad, x.grad) == (4.0, 2.0, 2.0)
            x.grad = 0.0
        del x, v, out
        the_first_is_untouched()
    """,
    )


def test_the_original_new_refuses_what_is_no_value():
    for wrong in ((), (5,), (int,), (object,), ("x", 1)):
        with pytest.raises(TypeError, match="Value"):
            Value.__new__(*wrong)
    assert Value.__new__(Value, 1, 2, three=3).data == 0.0


def test_a_new_that_gives_something_else_is_taken_at_its_word():
    run("""
        from micrograd_fast import Value
        x = Value(2.0)
        original = Value.__new__
        Value.__new__ = lambda cls, *a, **k: "else" if a[1:] else original(cls)
        assert x + 1 == x * x == "else"
        Value.__new__ = lambda cls, *a, **k: None
        for attempt in (lambda: x + 1, lambda: 3 * x):
            try:
                attempt()
            except TypeError as error:
                assert "cannot be an operand" in str(error), error
            else:
                raise AssertionError
        Value.__new__ = original
        assert (x * 3).data == 6.0 and type(x * 3) is Value
        assert x * 3 == x * 3 or True
    """)


FINALIZED = """
    import gc
    from {package}.engine import Value
    gone = []
    Value.__del__ = lambda self: gone.append((self._op, float(self.data)))
    def work():
        x, y = Value(3.0), Value(4.0)
        out = ((x * y + 1) * x - 2).relu()
        del y
        gc.collect()
        print(sorted(gone))
        out.backward()
        print(x.grad)
    work()
    gc.collect()
    print(sorted(gone))
    gone.clear()
    kept = []
    Value.__del__ = lambda self: kept.append(self)
    Value(1.0) + 2
    gc.collect()
    print(max(float(v.data) for v in kept))
    kept[0].mark = 1
    (kept[0] * 2).data
    del Value.__del__
    kept.clear()
    gc.collect()
"""


def test_a_finalizer_of_the_class_runs_once_for_each_node_when_it_goes():
    ours = run(FINALIZED, package="micrograd_fast")
    assert ours == run(FINALIZED, package="micrograd")
    assert len(ours.splitlines()) == 4
