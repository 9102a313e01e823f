"""Both sides of a life of test_lives.py: the program over the package and over the model,
what the two hold, and how they are compared."""

import random

import lives_library
import lives_model as model
import numpy as np
from lives_program import Raised, World, set_factor

import micrograd_fast as mg

TOLERANCE = 1e-12
NUMBERS = (-2.0, -1.5, -0.75, -0.5, 0.0, 0.25, 0.5, 1.0, 1.25, 2.0, 3.0)
LARGEST, MOST_HELD = 1e4, 24
ERRORS = (Raised, KeyboardInterrupt, ArithmeticError, ValueError, TypeError)
EXACT_OPS = {"", "+", "*", "ReLU", "max", "squares"}


def differ(a, b, size):
    return not (a == b or abs(a - b) <= TOLERANCE * size or (a != a and b != b))


def may_raise(node, fuses):
    """Whether a node's step may fail: a custom step with a fuse, a derivative that is not there."""
    if any(key in fuses for key in getattr(node, "keys", ())):
        return True
    if node.rule is None or node._op in ("call", "squares"):
        return False
    try:
        node.rule(node)
    except (ArithmeticError, ValueError):
        return True
    return False


def adopt(node, value):
    node.data, node.size = value.data, abs(value.data)
    node._grad, node.grad_size = value.grad, abs(value.grad)


class Sides:
    """held: Values of the package, each with its node of the model."""

    def __init__(self):
        model.State.recording, model.State.tracing, model.State.doubtful = True, 0, False
        set_factor(0.75)
        self.worlds = self.real, self.model = World(mg), World(lives_library)
        for p, q in zip(self.real.net.parameters(), self.model.net.parameters(), strict=True):
            q.data = p.data = round(p.data, 3)
            q.size = abs(q.data)
        self.held = list(zip(self.real.parameters(), self.model.parameters(), strict=True))
        self.batches, self.faults, self.watched, self.number = [], [], [], 0
        self.walking, self.on_leaves = False, set()  # in backward; keys of steps of leaves
        self.arrays = [np.array([[0.5, -1.0], [0.25, 0.0], [-2.0, 1.5]])]
        spare = mg.Value(3.0)
        self.spare = mg.compile(lambda x: x * spare)

    # ---- what both sides do ----

    def attempt(self, function, *pairs):
        """function(world, *arguments) on both sides: two results, or None where both raised."""
        results = []
        for side, world in enumerate(self.worlds):
            try:
                results.append(function(world, *(pair[side] for pair in pairs)))
            except ERRORS as error:
                results.append(type(error))
        raised = [isinstance(x, type) and issubclass(x, BaseException) for x in results]
        assert raised[0] == raised[1], results
        assert not raised[0] or results[0] is results[1], results
        doubtful, model.State.doubtful = model.State.doubtful, False
        return None if raised[0] or doubtful else results

    def keep(self, function, *pairs):
        """The results, Values in any structure, are held from now on."""
        found = self.attempt(function, *pairs)
        if found is None:
            return
        model.tree(lambda node, value: self.hold(value, node), found[1], found[0])

    def hold(self, value, node):
        assert not differ(value.data, node.data, node.size), (value, node.data, node._op)
        adopt(node, value)
        if abs(node.data) <= LARGEST:
            self.held.append((value, node))
        if len(self.held) > MOST_HELD:
            del self.held[self.number % MOST_HELD]

    def pick(self, rng):
        return rng.choice(self.held)

    def leaf(self, rng, loud=False):
        number = rng.choice(NUMBERS)
        made = self.attempt(lambda w: (w.Loud if loud else w.Value)(number))
        self.hold(*made)
        return made

    def roots(self):
        worlds = self.worlds
        pairs = list(zip(*(w.parameters() for w in worlds), strict=True))
        pairs += zip(*(w.at.items for w in worlds), strict=True)
        pairs += zip(*(w.optimizer.params for w in worlds), strict=True)
        return [*pairs, (self.real.at.t, self.model.at.t), *self.held]

    def seen(self, full=True):
        """Every node that can be seen, with its Value."""
        found, stack = {}, self.roots()
        while stack:
            value, node = stack.pop()
            if node in found:
                assert found[node] is value, "two Values of one node"
                continue
            found[node] = value
            assert isinstance(value, self.real.Loud) == isinstance(node, self.model.Loud)
            if full and node._op != "call":
                assert value._op == node._op
                children = value._children
                assert len(children) == len(node._children)
                stack.extend(zip(children, node._children, strict=True))
        assert len({id(value) for value in found.values()}) == len(found), "one Value of two nodes"
        return found

    def compare(self, full):
        """Data and grads; the model goes on with the package's numbers, so rounding stays small."""
        huge = False
        for node, value in self.seen(full).items():
            exact = node.size == abs(node.data) and (node._op in EXACT_OPS or "**" in node._op)
            size = 0.0 if exact else max(node.size, abs(node.data))
            assert not differ(value.data, node.data, size), ("data", value, node.data, node._op)
            text = ("grad", value, node._grad, node._op)
            assert not differ(value.grad, node._grad, node.grad_size), text
            adopt(node, value)
            huge |= not abs(node._grad) < LARGEST**2
        for key in {*self.real.counts, *self.model.counts}:
            n, wanted = self.real.counts.get(key, 0), self.model.counts.get(key, 0)
            # A step set on a leaf after a call that read it runs where the call passes gradient on.
            assert n == wanted or (n < wanted and key in self.on_leaves), key
        self.model.counts = dict(self.real.counts)
        assert not self.faults
        if huge:
            self.zero_all()

    def zero_all(self):
        found = self.seen()
        for node, value in found.items():
            node.grad = value.grad = 0
        self.forget(node for pair in self.roots() for node in model.order(pair[1]))

    def forget(self, unknown):
        """Lets go of what stands on nodes whose grad cannot be seen, and is not known."""
        known = self.seen()
        unknown = {node for node in unknown if node not in known}

        def stands(node):
            return unknown.isdisjoint(model.order(node))

        self.held = [pair for pair in self.held if stands(pair[1])]
        if not self.held:
            self.leaf(random.Random(0))
        self.batches = [pair for pair in self.batches if all(map(stands, pair[1].reads()))]
        if not stands(self.model.at.t):
            self.capture(self.leaf(random.Random(0)))

    def capture(self, pair):
        """A compiled function reads that Value from now on."""
        self.attempt(lambda w, v: setattr(w.at, "t", v), pair)

    def backward(self, pair):
        node = pair[1]
        self.held.append(pair)  # a step may drop it; a name does not keep it from being seen
        risky = [n for n in model.order(node) if may_raise(n, self.model.fuses)]
        errors, self.walking = [], True
        for v in pair:
            try:
                v.backward()
                errors.append(None)
            except ERRORS as error:
                errors.append(type(error))
                failed = getattr(error, "failed", None)
        self.walking = False
        assert len(risky) > 1 or errors[0] is errors[1], errors
        assert (errors[0] is None) == (errors[1] is None) == (not risky), (errors, risky)
        if errors[0]:
            self.after_an_exception(node, failed, sure=len(risky) == 1)
        del self.held[MOST_HELD:]
        return errors[0] is None

    def after_an_exception(self, root, failed, sure):
        """Above the node that failed everything has its gradient; below it, what came so far."""
        under, found = model.order(root), self.seen()
        above = {failed}
        for node in reversed(under):
            if not above.isdisjoint(node._children):
                above.add(node)
        for node in under:
            if node in found:
                if sure and node in above:
                    text = (found[node], node._grad, node._op)
                    assert not differ(found[node].grad, node._grad, node.grad_size), text
                adopt(node, found[node])
        self.model.fuses, self.model.counts = dict(self.real.fuses), dict(self.real.counts)
        self.forget(under)

    def keep_batch(self, function, *pairs):
        found = self.attempt(function, *pairs)
        if found is None:
            return
        batch, twin = found
        data = np.asarray(batch.data).reshape(len(twin), -1)
        for numbers, row in zip(data, twin.leaves(), strict=True):
            for number, result in zip(numbers, row, strict=True):
                assert not differ(number, result.data, result.size), (number, result.data)
                if not abs(number) <= LARGEST:
                    return
                result.data, result.size = float(number), abs(number)
        self.batches = [*self.batches[-4:], (batch, twin)]
