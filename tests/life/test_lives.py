"""Random lives of a program, eager and compiled, beside a model of micrograd written anew.

Each life is a list of (action, number): the number is the seed of what the action draws, so an
action does the same whatever was left out before it, and a failing life is shortened before it is
shown. After every action all that can be seen is compared with the model; at the end no node lives.
"""

import copy
import gc
import os
import pickle
import random
import threading
import weakref

import lives_library
import lives_model as model
import numpy as np
import pytest
from lives_program import ACTS, Guard, Raised, build_a_graph, leave_a_cycle, set_factor
from lives_sides import NUMBERS, Sides, differ

import micrograd_fast as mg
from micrograd_fast._core import live_nodes

HOWS = (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x)))


class Life(Sides):
    def run(self, life, sparse):
        for k, (name, seed) in enumerate(life):
            self.number = seed
            getattr(self, name)(random.Random(seed))
            self.compare(full=not sparse or k % 8 == 7)

    def some(self, rng, most):
        for _ in range(rng.randint(1, most)):
            self.number = rng.randrange(2**32)
            getattr(self, rng.choice(PLAIN_ACTIONS))(random.Random(self.number))
            self.compare(full=False)

    # ---- eager ops ----

    def do_leaf(self, rng):
        self.leaf(rng, loud=rng.random() < 0.3)

    def do_binary(self, rng):
        ops = (
            lambda w, a, b: a + b,
            lambda w, a, b: a - b,
            lambda w, a, b: a * b,
            lambda w, a, b: a / b,
            lambda w, a, b: a.maximum(b),
            lambda w, a, b: a.detach().maximum(a) * b,
            lambda w, a, b: sum([a, b, a]),
        )
        self.keep(rng.choice(ops), self.pick(rng), self.pick(rng))

    def do_with_number(self, rng):
        k = rng.choice((-1, 0, 2, 0.5, 1.25, np.float64(-0.75)))
        ops = (
            lambda w, a: a + k,
            lambda w, a: k + a,
            lambda w, a: a - k,
            lambda w, a: k - a,
            lambda w, a: a * k,
            lambda w, a: k * a,
            lambda w, a: k / a,
            lambda w, a: a / 4,
            lambda w, a: sum([a, k]),
        )
        self.keep(rng.choice(ops), self.pick(rng))

    def do_unary(self, rng):
        value, node = self.pick(rng)
        ops = [lambda w, a: a.relu(), lambda w, a: -a, lambda w, a: a**2, lambda w, a: a**-1]
        ops.append(lambda w, a: a.detach())
        if abs(node.data) < 1.5:  # nearer to 1 the derivative is another formula's
            ops += [lambda w, a: a.tanh(), lambda w, a: a.exp()]
        if node.data >= 0:
            ops += [lambda w, a: a**0.5, lambda w, a: a.sqrt(), lambda w, a: a.log()]
        self.keep(rng.choice(ops), (value, node))

    def do_eager_net(self, rng):
        k = rng.choice(NUMBERS)
        self.keep(lambda w, a: w.net.score([a, k]), self.pick(rng))

    def do_local_grads(self, rng):
        pairs = [self.pick(rng) for _ in range(rng.randint(1, 4))]
        self.keep(lambda w, *xs: w.with_local_grads(xs), *pairs)

    # ---- custom steps ----

    def do_custom(self, rng):
        if not model.State.recording:
            return
        pairs = [self.pick(rng) for _ in range(rng.randint(1, 4))]
        key, act = self.number, rng.choice([*ACTS.values(), self.drop_one, self.call_spare])
        acts = {mg: act, lives_library: lambda: None}
        made = self.attempt(lambda w, *xs: w.custom(xs, key, acts[w.lib]), *pairs)
        if made:
            made[1].keys = {key}
            self.hold(*made)

    def do_probe(self, rng):
        self.probe(self.pick(rng), self.number)

    def probe(self, pair, key):
        self.attempt(lambda w, v: w.probe(v, key), pair)
        pair[1].keys = {*getattr(pair[1], "keys", ()), key}
        if not pair[1]._children:
            self.on_leaves.add(key)

    def do_fuse(self, rng):
        kinds = (Raised, KeyboardInterrupt)
        keys = [key for _, node in self.held for key in getattr(node, "keys", ())]
        keys = sorted(set(keys) - self.on_leaves)
        if keys:
            key, error = rng.choice(keys), rng.choice(kinds)
            for world in self.worlds:
                world.fuses[key] = error()

    def drop_one(self):
        if len(self.held) > 4:
            del self.held[self.number % len(self.held)]

    def call_spare(self):
        assert self.spare(2.0).data == 6.0

    # ---- backward ----

    def do_backward(self, rng):
        self.backward(self.held[-1] if rng.random() < 0.5 else self.pick(rng))

    def do_backward_of_all(self, rng):
        pairs = rng.sample(self.held, min(4, len(self.held)))
        made = self.attempt(lambda w, *xs: sum(xs), *pairs)
        if made:
            for _ in range(rng.randint(1, 3)):
                if not self.backward(made):
                    break

    def do_step_by_hand(self, rng):
        self.walking = True
        self.attempt(lambda w, v: v._backward(), self.pick(rng))
        self.walking = False

    # ---- numbers ----

    def do_write(self, rng):
        value, node = self.pick(rng)
        number = rng.choice(NUMBERS)
        if rng.random() < 0.3:
            value.grad = node.grad = number
        elif node._op in ("", "call"):
            value.data = node.data = number
            node.size = abs(number)

    def do_zero_grad(self, rng):
        kinds = (lambda w: w.optimizer.zero_grad(), lambda w: w.net.zero_grad())
        if rng.random() < 0.5:
            self.attempt(rng.choice(kinds))
        else:
            self.zero_all()

    def do_optimizer_step(self, rng):
        self.attempt(lambda w: w.optimizer.step())

    def do_new_optimizer(self, rng):
        kind = rng.randrange(2)
        self.attempt(lambda w: w.new_optimizer(kind))

    # ---- compiled calls ----

    def array(self, rng, rows=None):
        rows = rows or rng.choice((1, 2, 3, 5, 9))
        x = np.array([[rng.choice(NUMBERS) for _ in range(2)] for _ in range(rows)])
        self.arrays = [*self.arrays[-3:], x]
        return x

    def do_call(self, rng):
        k = rng.choice((*NUMBERS, np.float64(0.75), np.float32(0.5)))
        x, other = self.array(rng), self.pick(rng)
        calls = (
            lambda w, a, b: w.plain(a, b),
            lambda w, a, b: w.plain(float(k), a),
            lambda w, a, b: w.plain(a, k if isinstance(k, np.number) else a)[1],
            lambda w, a, b: w.single(a),
            lambda w, a, b: w.net.one(x[0]),
            lambda w, a, b: w.net.one([a, float(k)]),
        )
        self.keep(rng.choice(calls), self.pick(rng), other)

    def do_batched_call(self, rng):
        x = self.array(rng)
        y, whole = x[:, 1].copy(), np.abs(np.rint(x)).astype(int)[:, 0] % 3
        calls = (
            lambda w, a, b: w.rows(x, a, [b, a]),
            lambda w, a, b: w.pairs(x, y),
            lambda w, a, b: w.chosen(x, whole),
            lambda w, a, b: w.net.loss(x, y),
            lambda w, a, b: w.net.several(x),
            lambda w, a, b: w.net.whole(x[::-1]),
        )
        self.keep_batch(rng.choice(calls), self.pick(rng), self.pick(rng))
        if rng.random() < 0.5:
            x[:] = rng.choice(NUMBERS)  # after the call: it has its copy
            y *= -1

    def do_from_batch(self, rng):
        if not self.batches:
            return
        pair = rng.choice(self.batches)
        twin = pair[1]
        k = rng.randrange(len(twin))
        reductions = (lambda w, b: b.sum(), lambda w, b: b.mean(), lambda w, b: b[k])
        if rng.random() < 0.6:
            self.keep(rng.choice(reductions), pair)
            return
        mask = np.array([rng.random() < 0.5 or i == k for i in range(len(twin))])
        parts = (lambda w, b: b[k:], lambda w, b: b[::-1], lambda w, b: b[mask])
        if len(twin.leaves()[0]) > 1:
            self.keep_batch(rng.choice(parts), pair)
            return
        y = np.linspace(-1, 1, len(twin))
        n = rng.randrange(3)
        parts += (
            lambda w, b, a: b * a,
            lambda w, b, a: y - b,
            lambda w, b, a: b * b + 0.5,
            lambda w, b, a: w.after(b, n),
        )
        part = rng.choice(parts)
        needs = part.__code__.co_argcount - 2
        self.keep_batch(part, pair, *[self.pick(rng) for _ in range(needs)])

    def do_value_and_grad(self, rng):
        x = self.array(rng)
        y = x[:, 1].copy()
        calls = (
            lambda w: w.net.one.value_and_grad(x[0]),
            lambda w: w.net.one.value_and_grad(x[0], params=w.net.parameters()),
            lambda w: w.net.loss.value_and_grad(x, y, params=w.net.parameters()),
        )
        found = self.attempt(rng.choice(calls))
        if found is None:
            return
        (data, grads), (total, partials) = found
        assert not differ(float(data), total.data, total.size)
        for g, (d, size) in zip(np.ravel(grads), partials, strict=True):
            assert not differ(float(g), d, size), ("value_and_grad", g, d)

    # ---- what compiled functions read ----

    def do_change(self, rng):
        k, layer = rng.choice(NUMBERS), rng.randrange(2)
        at = rng.randrange(4)
        changes = (
            lambda w: setattr(w.at, "k", k),
            lambda w: w.set_slope(k),
            lambda w: setattr(w.net, "shift", k),
            lambda w: setattr(w.net, "bent", not w.net.bent),
            lambda w: setattr(w.neuron(at), "nonlin", not w.neuron(at).nonlin),
            lambda w: setattr(w.neuron(at), "activation", ("relu", "tanh")[layer]),
            lambda w: setattr(w.net, "__class__", (w.Net, w.Bent)[layer]),
            lambda w: w.at.items.pop() if len(w.at.items) > 3 else None,
        )
        set_factor(rng.choice((0.75, 0.75, k)))
        change = rng.choice(changes)
        for world in self.worlds:
            change(world)

    def do_replace(self, rng):
        pair, k = self.leaf(rng, loud=rng.random() < 0.2), rng.randrange(4)
        changes = (
            lambda w, v: setattr(w.at, "a", v),
            lambda w, v: setattr(w.at, "b", v),
            lambda w, v: w.neuron(k).w.__setitem__(0, v),
            lambda w, v: setattr(w.neuron(k), "b", v),
            lambda w, v: setattr(w.net, "scale", v),
            lambda w, v: w.at.items.__setitem__(k % 3, v),
            lambda w, v: w.at.items.append(v),
        )
        self.attempt(rng.choice(changes), pair)

    def do_capture_result(self, rng):
        self.capture(self.pick(rng))

    def do_layer(self, rng):
        layers = [w.net.mlp.layers for w in self.worlds]
        if len(layers[1]) > 2:
            for one in layers:
                del one[0]
            return
        new = [w.lib.nn.Layer(2, 2) for w in self.worlds]
        for p, q in zip(*(one.parameters() for one in new), strict=True):
            p.data = q.data = rng.choice(NUMBERS)
            q.size = abs(q.data)
        for one, layer in zip(layers, new, strict=True):
            one.insert(0, layer)

    # ---- copies and lives ----

    def do_copy_net(self, rng):
        hows = {mg: rng.choice(HOWS), lives_library: copy.deepcopy}
        self.attempt(lambda w: setattr(w, "net", hows[w.lib](w.net)))

    def do_copy_leaf(self, rng):
        hows = {mg: rng.choice(HOWS), lives_library: copy.deepcopy}
        value, node = self.pick(rng)
        # Whether the result of a call that read no Value is a leaf is said nowhere.
        unsaid = node._op == "call" and not node._children
        if not unsaid and not hasattr(value, "guard"):
            self.keep(lambda w, v: hows[w.lib](v), (value, node))

    def do_drop(self, rng):
        for _ in range(rng.randint(1, 8)):
            self.number = rng.randrange(100)
            self.drop_one()
        if rng.random() < 0.3:
            self.batches.clear()

    def do_collect(self, rng):
        gc.collect()

    def do_guard(self, rng):
        """Something acts when a Value or a cycle dies, at whatever moment that is."""
        value, node = self.pick(rng)
        key = self.number

        target = self.pick(rng)

        def set_a_step():
            if self.walking or not target[1]._children:
                build_a_graph()
            elif key not in getattr(target[1], "keys", ()):
                self.probe(target, key)

        kinds = [build_a_graph, gc.collect, self.call_spare, self.look, set_a_step]
        guard = Guard(rng.choice(kinds), self.faults)
        where = rng.randrange(3)
        if where == 0 and node._children:
            value.guard = guard
        elif where == 1:
            leave_a_cycle(guard, value)
        else:
            act = guard.act
            self.watched.append(weakref.ref(value, lambda _: act()))

    def look(self):
        for value, _ in list(self.held):
            assert value._prev is not None and value.data == value.data

    # ---- around others ----

    def do_no_grad(self, rng):
        with mg.no_grad(), model.no_grad():
            self.some(rng, 4)

    def do_thread(self, rng):
        """no_grad belongs to the thread that entered it."""
        found, recording = [], model.State.recording

        def act():
            try:
                self.some(rng, 4)
            except BaseException as error:
                found.append(error)

        model.State.recording = True
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()
        model.State.recording = recording
        if found:
            raise found[0]

    def do_collect_often(self, rng):
        """Collections in the middle of whatever allocates."""
        before = gc.get_threshold()
        gc.enable()
        gc.set_threshold(5, 2, 2)
        try:
            self.some(rng, 4)
        finally:
            gc.set_threshold(*before)
            gc.disable()


OFTEN = ["do_call", "do_batched_call", "do_from_batch", "do_backward", "do_change"]
ACTIONS = sorted(name for name in vars(Life) if name.startswith("do_"))
AROUND = {"do_no_grad", "do_thread", "do_collect_often"}
PLAIN_ACTIONS = [name for name in [*ACTIONS, *OFTEN] if name not in AROUND]
CHOICES = [*ACTIONS, *OFTEN, *OFTEN]


def fault_of(life, sparse):
    """What goes wrong in a life, or None."""
    gc.collect()
    before = live_nodes()
    try:
        Life().run(life, sparse)
    except Exception as error:
        return error
    gc.collect()
    gc.collect()  # what a finalizer made in the first one
    left = live_nodes() - before
    return AssertionError(f"{left} nodes are left") if left else None


def shortened(life, sparse):
    """The life without what it can lose and still fail."""
    size = len(life) // 2
    while size:
        at = 0
        while at < len(life):
            less = life[:at] + life[at + size :]
            if fault_of(less, sparse):
                life = less
            else:
                at += size
        size //= 2
    return life


def live(seed, lives, actions):
    for number in range(lives):
        rng = random.Random(f"{seed} {number}")
        life = [(rng.choice(CHOICES), rng.randrange(2**32)) for _ in range(actions)]
        sparse = number % 4 == 3
        if fault_of(life, sparse):
            life = shortened(life, sparse)
            lines = "".join(f"    {action!r},\n" for action in life)
            text = f"life {number} of seed {seed}, {sparse=}:\n[\n{lines}]"
            raise AssertionError(text) from fault_of(life, sparse)


@pytest.fixture
def seed(rng):
    """Fixed in the profile `repeat`, else one that is printed; MF_TEST_SEED replays it."""
    fixed = os.environ.get("HYPOTHESIS_PROFILE") == "repeat"
    return 1 if fixed else rng.randrange(2**32)


@pytest.mark.usefixtures("gc_off")
@pytest.mark.filterwarnings("ignore::micrograd_fast.TraceWarning")
def test_lives_eager_and_compiled_are_the_models(seed):
    live(seed, lives=32, actions=60)


@pytest.mark.slow
@pytest.mark.usefixtures("gc_off")
@pytest.mark.filterwarnings("ignore::micrograd_fast.TraceWarning")
def test_many_long_lives_eager_and_compiled(seed):
    """MF_TEST_LIVES: how many, where more are wanted."""
    live(seed, lives=int(os.environ.get("MF_TEST_LIVES", 100)), actions=200)
