"""Lives of graphs: random calls of the public interface beside a model in plain Python.

After every step all Values are compared with the model: data, gradients, labels, attributes, the
operands as objects, and how many node records live.
"""

import copy
import gc
import pickle
import weakref

import graph_model as model
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import micrograd_fast as mg
from micrograd_fast import Value, _core
from micrograd_fast._core import live_nodes

LARGEST = 2.0**12
LARGEST_GRAD = 2.0**40
PICKS = st.integers(0, 30)
SMALL = st.integers(-3, 3)
STATES = {"steps": 0}


class Parameter(Value):
    """A subclass; ops on it give plain Values."""


COPIES = (copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v)))
BINARY = {
    "add": (lambda a, b: a + b, model.add),
    "sub": (lambda a, b: a - b, lambda a, b: model.add(a, model.neg(b))),
    "mul": (lambda a, b: a * b, model.mul),
    "maximum": (lambda a, b: a.maximum(b), model.maximum),
    "minimum": (lambda a, b: mg.minimum(a, b), model.minimum),
}
WITH_NUMBER = {
    "add": (lambda a, k: a + k, lambda a, k: model.add(a, model.constant(k))),
    "radd": (lambda a, k: k + a, lambda a, k: model.add(a, model.constant(k))),
    "sub": (lambda a, k: a - k, lambda a, k: model.add(a, model.constant(-k))),
    "rsub": (lambda a, k: k - a, lambda a, k: model.add(model.neg(a), model.constant(k))),
    "mul": (lambda a, k: a * k, lambda a, k: model.mul(a, model.constant(k))),
    "rmul": (lambda a, k: k * a, lambda a, k: model.mul(a, model.constant(k))),
    "power": (lambda a, k: a ** abs(k), lambda a, k: model.power(a, abs(k))),
}
UNARY = {
    "neg": (lambda a: -a, model.neg),
    "relu": (lambda a: a.relu(), model.relu),
    "abs": (lambda a: a.abs(), model.absolute),
}
STEPS = ("plain", "creates", "nested", "collects", "drops", "raises", "reenters", "wraps")


class GraphLife(RuleBasedStateMachine):
    """`held` pairs every Value that the user holds with its node of the model."""

    def __init__(self):
        super().__init__()
        gc.collect()
        gc.disable()
        self.depth = 0  # of no_grad
        self.cycles = False  # whether something may wait for the garbage collector
        self.before = live_nodes()
        self.weight = Value(2.0)  # stays to the end: the compiled function reads it
        self.weight_node = model.Node(2.0)
        self.held = [(self.weight, self.weight_node)]
        weight = self.weight

        @mg.compile
        def compiled(x):
            return x * weight + (x - 1).relu()

        self.compiled = compiled
        compiled(Value(1.0))
        self.extra = live_nodes() - self.before - 1  # what a compiled function keeps
        self.watched = []

    # ---- helpers ----

    def pick(self, number):
        return self.held[number % len(self.held)]

    def keep(self, value, node):
        """Takes a result into the life; in no_grad it is a leaf, too large it is let go."""
        if self.depth and node.operands:
            node = model.Node(node.data, node.op if node.kind == "custom" else "")
        if abs(node.data) <= LARGEST and len(self.held) < 25:
            self.held.append((value, node))

    def nodes(self):
        return model.reachable(node for _, node in self.held)

    def zero_grads(self):
        known = set()
        for value, _ in self.held:
            stack = [value]
            while stack:
                at = stack.pop()
                if at not in known:
                    known.add(at)
                    at.grad = 0
                    stack += at._prev
                    stack += getattr(at, "others", ())
        for node in self.nodes():
            node.grad = 0.0

    def clear_if_inexact(self):
        if any(not abs(node.grad) <= LARGEST_GRAD for node in self.nodes()):
            self.zero_grads()

    # ---- making nodes ----

    @rule(number=SMALL, label=st.sampled_from(["", "w"]), subclass=st.booleans())
    def leaf(self, number, label, subclass):
        node = model.Node(number)
        node.label, node.subclass = label, subclass
        kind = Parameter if subclass else Value
        self.keep(kind(number, label=label) if label else kind(number), node)

    @rule(a=PICKS, b=PICKS, op=st.sampled_from(sorted(BINARY)))
    def binary(self, a, b, op):
        (x, p), (y, q) = self.pick(a), self.pick(b)
        self.keep(BINARY[op][0](x, y), BINARY[op][1](p, q))

    @rule(a=PICKS, k=SMALL, as_float=st.booleans(), op=st.sampled_from(sorted(WITH_NUMBER)))
    def with_number(self, a, k, as_float, op):
        x, p = self.pick(a)
        number = float(k) if as_float and op != "power" else k
        self.keep(WITH_NUMBER[op][0](x, number), WITH_NUMBER[op][1](p, k))

    @rule(a=PICKS, op=st.sampled_from(sorted(UNARY)))
    def unary(self, a, op):
        x, p = self.pick(a)
        self.keep(UNARY[op][0](x), UNARY[op][1](p))

    @rule(picks=st.lists(PICKS, min_size=1, max_size=4), bias=PICKS, relu=st.booleans())
    def affine(self, picks, bias, relu):
        pairs = [self.pick(k) for k in picks]
        b, q = self.pick(bias)
        xs = [v for v, _ in reversed(pairs)]
        value = _core.affine([v for v, _ in pairs], xs, b, "relu" if relu else None)
        ps = [p for _, p in pairs]
        node = model.weighted_sum(q, ps, ps[::-1])
        self.keep(value, model.relu(node) if relu else node)

    @rule(picks=st.lists(PICKS, min_size=2, max_size=5))
    def total(self, picks):
        pairs = [self.pick(k) for k in picks]
        value, node = _core.total([v for v, _ in pairs]), pairs[0][1]
        for _, p in pairs[1:]:
            node = model.add(node, p)
        self.keep(value, node)

    @rule(a=PICKS)
    def detach(self, a):
        x, p = self.pick(a)
        self.keep(x.detach(), model.Node(p.data))

    @rule(a=PICKS, how=st.sampled_from(COPIES))
    def copy(self, a, how):
        x, p = self.pick(a)
        if p.kind != "leaf" or p.step is not None:
            with pytest.raises(TypeError):
                how(x)
        elif not p.others:
            twin = model.Node(p.data, p.op)
            twin.grad, twin.label, twin.number = p.grad, p.label, p.number
            twin.subclass = p.subclass
            self.keep(how(x), twin)

    @rule(a=PICKS, k=SMALL)
    def initialize_again(self, a, k):
        x, p = self.pick(a)
        if p.kind == "leaf":
            x.__init__(k)
            p.data, p.grad = float(k), 0.0
        else:
            with pytest.raises(TypeError, match="part of a graph"):
                x.__init__(k)

    # ---- custom nodes ----

    @rule(picks=st.lists(PICKS, min_size=1, max_size=5), k=SMALL, kind=st.sampled_from(STEPS))
    def custom(self, picks, k, kind):
        pairs = [self.pick(n) for n in picks]
        node = model.custom(k, [p for _, p in pairs], "mine")
        value = Value(k, [v for v, _ in pairs], "mine")
        if self.depth:
            node = model.Node(k, "mine")
        if len(self.held) < 25:
            self.held.append((value, node))
            self.give_step(value, node, kind)

    @rule(a=PICKS, kind=st.sampled_from(STEPS))
    def set_step(self, a, kind):
        value, node = self.pick(a)
        if node is not self.weight_node:
            self.give_step(value, node, kind)

    def give_step(self, value, node, kind):
        self.cycles = True
        local = value._local_backward
        children = [v for v, p in self.held if p in node.operands]  # some, in cycles with it

        def step(out=value, keeps=children):
            if kind == "creates":
                new = [out * 2 + k for k in range(50)]
                assert new[3].data == 2 * out.data + 3 or self.depth
            elif kind == "nested":
                x = Value(3.0)
                if not self.depth:
                    (x * x).backward()
                    assert x.grad == 6.0
            elif kind == "collects":
                gc.collect()
            elif kind == "drops":
                self.drop_node(node)
            elif kind == "raises":
                raise model.Raised
            elif kind == "reenters" and not self.inside:
                self.inside = True
                out.backward()
            local()
            del keeps[5:]

        def model_step(at):
            if kind == "raises":
                raise model.Raised
            model.local_step(at)

        value._backward, node.step, node.step_kind = step, model_step, kind

    inside = False

    def drop_node(self, node):
        self.cycles |= self.has_cycles()
        if node is not self.weight_node:
            self.held = [pair for pair in self.held if pair[1] is not node]

    def has_cycles(self):
        return any(node.step or node.others for node in self.nodes())

    # ---- backward and numbers ----

    @rule(a=PICKS)
    def backward(self, a):
        value, node = self.pick(a)
        self.run_backward(value, node)

    def run_backward(self, value, node):
        kinds = {n.step_kind for n in model.topological(node) if n.step is not None}
        self.inside = False
        if "raises" in kinds:
            with pytest.raises(model.Raised):
                value.backward()
        else:
            value.backward()
            model.backward(node)
        self.inside = False
        if all(v is not value for v, _ in self.held):
            self.held.append((value, node))  # a step dropped it, but the caller holds it
        if kinds & {"raises", "reenters"}:
            self.zero_grads()  # how far it came depends on the order
        self.clear_if_inexact()

    @rule(a=PICKS)
    def one_step(self, a):
        value, node = self.pick(a)
        if node.step is None:
            value._backward()
            model.local_step(node)
            self.clear_if_inexact()

    @rule(a=PICKS, k=SMALL, what=st.sampled_from(["data", "grad"]))
    def write(self, a, k, what):
        value, node = self.pick(a)
        setattr(value, what, k)
        setattr(node, what, float(k))

    @rule(a=PICKS, bad=st.sampled_from(["1", None, 1j, [1.0], 10**400]))
    def refused(self, a, bad):
        value, _ = self.pick(a)
        for attempt in (
            lambda: setattr(value, "data", bad),
            lambda: setattr(value, "grad", bad),
            lambda: value + bad,
            lambda: bad * value,
            lambda: value**bad,
            lambda: Value(bad, (value,)),
            lambda: Value(1.0, (value, bad)),
            lambda: _core.affine([value, value], [1.0, bad], value),
        ):
            with pytest.raises((TypeError, OverflowError)):
                attempt()

    @rule()
    def zero(self):
        self.zero_grads()

    @rule(a=PICKS)
    def call_compiled(self, a):
        x, p = self.pick(a)
        result = self.compiled(x)
        node = model.add(
            model.mul(p, self.weight_node), model.relu(model.add(p, model.constant(-1)))
        )
        assert result.data == node.data
        if not self.depth:
            self.run_backward(result, node)
            self.held = [pair for pair in self.held if pair[0] is not result]
        del result
        self.cycles = True

    # ---- what is hung on nodes ----

    @rule(a=PICKS, label=st.sampled_from(["", "a", "b"]))
    def relabel(self, a, label):
        value, node = self.pick(a)
        value.label = node.label = label

    @rule(a=PICKS, text=st.sampled_from(["", "mine", "+"]))
    def rename_op(self, a, text):
        value, node = self.pick(a)
        value._op = node.op = text

    @rule(a=PICKS, number=SMALL, through_dict=st.booleans())
    def set_number(self, a, number, through_dict):
        value, node = self.pick(a)
        if through_dict:
            vars(value)["number"] = number
        else:
            value.number = number
        node.number = number

    @rule(a=PICKS, picks=st.lists(PICKS, max_size=3), through_dict=st.booleans())
    def set_others(self, a, picks, through_dict):
        value, node = self.pick(a)
        pairs = [self.pick(k) for k in picks]
        if through_dict:
            vars(value)["others"] = [v for v, _ in pairs]
        else:
            value.others = [v for v, _ in pairs]
        self.cycles |= bool(node.others)
        node.others = [p for _, p in pairs]

    @rule(a=PICKS)
    def watch(self, a):
        """A callback at the Value's death that looks at everything there is."""

        others = weakref.WeakSet([v for v, _ in self.held])

        def look(_):
            for v in others:
                assert v._prev is not None

        self.watched.append(weakref.ref(self.pick(a)[0], look))

    # ---- lives ----

    @rule(a=PICKS)
    def drop(self, a):
        self.drop_node(self.pick(a)[1])

    @rule(a=PICKS)
    def drop_all_but(self, a):
        kept = self.pick(a)
        self.cycles |= self.has_cycles()
        self.held = [(self.weight, self.weight_node)]
        if kept[1] is not self.weight_node:
            self.held.append(kept)

    @rule(a=PICKS)
    def descend(self, a):
        """Hold an operand that no other operand looks like."""
        value, node = self.pick(a)
        shapes, known = {}, {}
        ours = [model.shape(x, shapes) for x in set(node.operands)]
        for child in value._prev:
            found = model.value_shape(child, known, Parameter)
            if ours.count(found) == 1 and len(self.held) < 25:
                twin = next(x for x in node.operands if shapes[x] == found)
                self.held.append((child, twin))
                return

    @rule()
    def collect(self):
        gc.collect()

    @rule()
    def enter_no_grad(self):
        if self.depth < 3:
            mg.no_grad().__enter__()
            self.depth += 1

    @precondition(lambda self: self.depth)
    @rule()
    def leave_no_grad(self):
        mg.no_grad().__exit__()
        self.depth -= 1

    # ---- after every step ----

    @invariant()
    def looks_like_the_model(self):
        STATES["steps"] += 1
        nodes, values = {}, {}
        holder = {}
        for value, node in self.held:
            assert holder.setdefault(node, value) is value, "two Values of one node"
            assert model.shape(node, nodes) == model.value_shape(value, values, Parameter)
        for value, node in self.held:
            assert model.same_children(node, value, nodes, values, Parameter)
            operands = {id(x) for x in value._prev}
            assert len(operands) == len(set(node.operands))
            assert all(id(holder[x]) in operands for x in node.operands if x in holder)
            if node.others:
                assert len(value.others) == len(node.others)

    @invariant()
    def no_record_too_many(self):
        if self.cycles:
            # A callback that comes to Values makes new ones: what is left of that collection keeps
            # whatever it is in doubt about.
            while gc.collect() and self.watched:
                pass
            self.cycles = False
        expected = model.record_count(node for _, node in self.held)
        assert live_nodes() - self.before - self.extra == expected

    def teardown(self):
        for _ in range(self.depth):
            mg.no_grad().__exit__()
        self.held.clear()
        del self.compiled, self.weight
        gc.collect()
        gc.enable()
        assert live_nodes() == self.before


def run(max_examples, steps):
    run_state_machine_as_test(
        GraphLife,
        settings=settings(
            max_examples=max_examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"{STATES['steps']} states")


@pytest.mark.usefixtures("gc_off")
def test_lives_of_graphs():
    run(max_examples=120, steps=40)


@pytest.mark.slow
@pytest.mark.usefixtures("gc_off")
def test_many_long_lives_of_graphs():
    run(max_examples=100, steps=100)
