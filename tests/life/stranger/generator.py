"""Draws random programs in the scalar style that docs/compile.md shows, as Python text.

Written from the documentation alone; keep it so. `program(seed)` gives the text and the features
that were drawn. judge.py says what names a program may use.
"""

import random
from collections import Counter

from pieces import Function
from spellings import HELPERS, PICKS, SIZES


class Draw:
    """Random choices that are counted by name."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.features = Counter()

    def chance(self, p):
        return self.random.random() < p

    def pick(self, options):
        return self.random.choice(options)

    def choose(self, group, options):
        """One of the options; a dict gives weights. The choice is counted."""
        if isinstance(options, dict):
            one = self.random.choices(list(options), list(options.values()))[0]
        else:
            one = self.pick(options)
        self.features[f"{group}: {one}"] += 1
        return one

    def number(self):
        """A constant, small and short."""
        x = self.pick((0.5, -0.5, 1.0, 2.0, -1.5, 0.25, 0.1, -0.3, 0.7, 3.0, 1, 2, -1))
        form = self.random.random()
        if form < 0.85:
            return repr(x) if x >= 0 else f"({x!r})"
        kind = self.choose("constant", ["np.float64", "np.float32", "np.int64", "Value", "bool"])
        if kind == "np.int64":
            return f"np.int64({int(x) or 1})"
        if kind == "Value":
            return f"mg.Value({x!r})"
        return "True" if kind == "bool" else f"{kind}({x!r})"


class Program:
    """The text of a program while it is drawn."""

    def __init__(self, seed, budget):
        self.seed = seed
        self.draw = Draw(seed)
        d = self.draw
        self.lines = []
        self.helpers = set()
        self.count = 0  # of P, the flat list of parameters
        self.globals = False  # whether a function reads numbers of the list G
        self.derived = False  # whether a function uses results of eager ops
        self.plain = set()  # names of matrices with plain numbers among the Values
        self.wild = d.chance(0.12)  # infinities, nans, poles
        self.grid = d.chance(0.25)  # small halves: ties and zeros happen
        if self.wild:
            d.features["numbers: special values"] += 1
        if self.grid:
            d.features["numbers: on a grid, with ties"] += 1
        self.threads = d.pick((2, 3, 4)) if d.chance(0.03) else 1
        self.names = Counter()
        self.budget = budget

    def name(self, stem):
        self.names[stem] += 1
        return f"{stem}{self.names[stem]}" if self.names[stem] > 1 else stem

    def reserve(self, n):
        """n parameters of P: the index of the first."""
        d = self.draw
        if self.count and d.chance(0.12):
            d.features["weights: shared between places"] += 1
            first = d.random.randrange(self.count)
        else:
            first = self.count
        self.count = max(self.count, first + n)
        return first

    def vector(self, n):
        """The text of a list of n parameters."""
        d = self.draw
        kind = d.choose("vector", {"slice": 6, "reversed": 1, "strided": 1, "repeated": 1})
        if kind == "slice":
            first = self.reserve(n)
            return f"P[{first}:{first + n}]"
        if kind == "reversed":
            first = self.reserve(n)
            return f"P[{first}:{first + n}][::-1]"
        if kind == "strided":
            first = self.reserve(2 * n)
            return f"P[{first}:{first + 2 * n}:2]"
        return f"[P[{self.reserve(1)}]] * {n}"

    def matrix(self, rows, columns):
        """A name of rows of parameters, laid out in one of many ways."""
        d = self.draw
        r, c = rows, columns
        kind = d.choose(
            "weights",
            {
                "rows": 6,
                "columns": 2,
                "strided": 1,
                "reversed": 1,
                "toeplitz": 1,
                "tied rows": 1,
                "few values": 1,
                "row with bias between": 2,
                "scattered": 1,
                "results of eager ops": 1.2,
                "scaled in the function": 1,
                "constants among them": 1,
            },
        )
        first = self.reserve(
            {
                "strided": 2 * r * c,
                "toeplitz": r + c,
                "tied rows": c,
                "few values": 3,
                "row with bias between": r * (c + 1),
            }.get(kind, r * c)
        )
        at = {
            "columns": f"{first} + i + {r} * j",
            "strided": f"{first} + 2 * ({c} * i + j)",
            "reversed": f"{first + r * c - 1} - {c} * i - j",
            "toeplitz": f"{first} + i + j",
            "tied rows": f"{first} + j",
            "few values": f"{first} + ({c} * i + j) % 3",
            "row with bias between": f"{first} + {c + 1} * i + j",
            "scattered": f"{first} + (7 * ({c} * i + j)) % {r * c}",
        }.get(kind, f"{first} + {c} * i + j")
        item = f"P[{at}]"
        if kind == "results of eager ops":
            item = d.pick((f"{item} * 0.5", f"{item}.tanh()", f"{item} + P[{first}]", f"-{item}"))
            self.derived = True
        if kind == "constants among them":
            item = f"{item} if (i + j) % 3 else 0.5"
        name = self.name("W")
        if kind == "constants among them":
            self.plain.add(name)
        text = f"[[{item} for j in range({c})] for i in range({r})]"
        self.lines.append(f"{name} = {text}")
        if d.chance(0.08):
            d.features["weights: transposed by zip"] += 1
            self.lines.append(f"{name} = [list(c) for c in zip(*{name})]")
            self.lines.append(f"{name} = [list(c) for c in zip(*{name})]")
        return name

    def eager_value(self):
        """A Value that is the result of an eager op."""
        d = self.draw
        self.derived = True
        d.features["captured: result of an eager op"] += 1
        name = self.name("made")
        i, j = self.reserve(1), self.reserve(1)
        text = d.pick((f"P[{i}] * P[{j}]", f"P[{i}].tanh() + 0.5", f"P[{i}] - P[{j}] * 2"))
        self.lines.append(f"{name} = {text}")
        return name

    def array(self, shape):
        """The text of an array of that shape: odd dtypes, strides and numbers."""
        d = self.draw
        s = str(shape)
        base = f"rng.integers(-3, 4, size={s}) / 2" if self.grid else f"rng.normal(size={s})"
        kind = d.choose(
            "array",
            {
                "float64": 8,
                "float32": 1,
                "float16": 0.5,
                "integers": 1,
                "small integers": 0.5,
                "bool": 0.5,
                "big-endian": 0.7,
                "fortran": 0.7,
                "transposed": 0.7 if len(shape) > 1 else 0,
                "negative strides": 0.7,
                "every second": 0.7,
                "columns of a wider one": 0.7 if len(shape) > 1 else 0,
                "broadcast": 0.5,
                "read-only": 0.5,
                "unaligned": 0.4,
            },
        )
        if kind == "float32":
            return f"({base}).astype(np.float32)"
        if kind == "float16":
            return f"({base}).astype(np.float16)"
        if kind == "integers":
            return f"rng.integers(-2, 3, size={s})"
        if kind == "small integers":
            return f"rng.integers(0, 4, size={s}).astype(np.{d.pick(('int8', 'uint8', 'int32'))})"
        if kind == "bool":
            return f"rng.random(size={s}) < 0.5"
        if kind == "big-endian":
            return f"({base}).astype('>f8')"
        if kind == "fortran":
            return f"np.asfortranarray({base})"
        if kind == "transposed":
            return base.replace(s, str(shape[::-1])) + ".T" if not self.grid else f"({base}).T.T"
        if kind == "negative strides":
            return f"({base})[::-1]"
        if kind == "every second":
            return f"({base.replace(s, str((2 * shape[0], *shape[1:])))})[::2]"
        if kind == "columns of a wider one":
            wide = (*shape[:-1], shape[-1] + 2)
            return f"({base.replace(s, str(wide))})[..., 1:-1]"
        if kind == "broadcast":
            inner = str(shape[1:])
            return f"np.broadcast_to({base.replace(s, inner)}, {s})"
        if kind == "read-only":
            return f"frozen({base})"
        if kind == "unaligned":
            return f"unaligned({base})"
        return base

    def size(self):
        d = self.draw
        if self.budget < 0.5:
            return d.pick(SIZES[1:14])
        if self.threads > 1:  # below some thousand samples a call is not split
            return d.pick((1000, 4096, 5001, 8191, 20000))
        x = d.random.random()
        if x < 0.75:
            return d.pick(SIZES)
        return d.random.randrange(1, 40) if x < 0.94 else d.pick((512, 513, 1000, 1024, 1025, 2049))

    def function(self, batch, feeds=None):
        """Draws a function, a call's arguments as text, and the code; see pieces.Function."""
        f = Function(self, batch, feeds)
        f.make()
        return f

    # What is done with the functions.

    def losses(self, f, call):
        """Texts of scalar losses of a batch by that name; f's structure has f.results Values."""
        d = self.draw
        size = f.size
        if d.chance(0.12) and size:
            call, size = self._some_samples(f, call)
        if d.chance(0.12) and f.single:
            call = self._arithmetic(call, size)
        options = {"mean": 5, "sum": 4, "one sample": 2, "samples": 1.5, "sum and mean": 1}
        kind = d.choose("loss", options | {"iterated": 1})
        if size == 0 and kind not in ("mean", "sum", "sum and mean"):
            kind = "sum"
        if kind == "iterated" and size > 20:
            kind = "sum"
        if kind in ("mean", "sum"):
            return self._part(f, f"{call}.{kind}()")
        if kind == "sum and mean":
            return f"{self._part(f, f'{call}.sum()')} + {self._part(f, f'{call}.mean()')}"
        if kind == "one sample":
            return self._part(f, f"{call}[{d.random.randrange(-size, size)}]")
        if kind == "samples":
            a, b = (d.random.randrange(size) for _ in range(2))
            one, other = self._part(f, f"{call}[{a}]"), self._part(f, f"{call}[{b}]")
            return f"{one} + {other} * {d.number()}"
        return f"sum(flat(list({call})))"

    def _part(self, f, structure):
        """A scalar made of one to three of a structure's Values."""
        d = self.draw
        if f.single:
            return structure
        name = self.name("m")
        self.lines.append(f"{name} = flat({structure})")
        some = d.random.sample(range(f.results), d.random.randint(1, min(f.results, 3)))
        if len(some) < f.results:
            d.features["loss: some results only"] += 1
        return " + ".join(
            f"{name}[{i}]" + (f" * {d.number()}" if d.chance(0.4) else "") for i in some
        )

    def _some_samples(self, f, call):
        """(name, size) of a Batch of some samples of another one."""
        d = self.draw
        d.features["batch: some samples of it"] += 1
        kind = d.choose("samples", PICKS)
        if kind == "a list":
            at, size = "[[0, -1, 0]]", 3
        elif kind == "a mask":
            at, size = f"[np.arange({f.size}) % 2 == 0]", (f.size + 1) // 2
        else:
            at, size = kind, len(eval(f"range({f.size}){kind}"))  # a slice's length is Python's
        some = self.name("some")
        self.lines.append(f"{some} = {call}{at}")
        return some, size

    def _arithmetic(self, call, size):
        """The name of a Batch that operators made of another one."""
        d = self.draw
        d.features["batch: arithmetic"] += 1
        text = d.choose(
            "arithmetic",
            ["({} - Y) ** 2", "{} * 2.0 + 1", "-{} * Y", "0.5 - {}", "{} * {}", "{} * P[0]"],
        )
        if "Y" in text:
            self.lines.append(f"Y = rng.normal(size={size})")
        whole = self.name("whole")
        self.lines.append(f"{whole} = {text.replace('{}', call)}")
        self.lines.append(f"show('{whole}', {whole})")
        return whole

    def penalty(self):
        d = self.draw
        kind = d.choose("penalty", {"none": 3, "squares": 2, "abs": 1, "some": 1, "compiled": 1.5})
        if kind == "none":
            return ""
        if kind == "squares":
            return " + 0.01 * sum(p * p for p in P)"
        if kind == "abs":
            return " + 0.1 * sum(abs(p) for p in P[:5])"
        if kind == "some":
            return f" + P[{self.reserve(1)}] ** 2 * 0.5"
        body = d.pick(("p * p", "abs(p)", "p ** 2", "(p * 0.3).exp()", "p.maximum(0.1)"))
        name = self.name("penalty")
        self.lines.append(f"{name} = mg.compile(lambda: 0.1 * sum({body} for p in P))")
        return f" + {name}()"

    def update(self):
        d = self.draw
        kind = d.choose(
            "update", ["scale", "shift", "descent", "one", "zero_grad only", "zeros", "negate"]
        )
        text = {
            "scale": "p.data *= 0.9",
            "shift": "p.data += 0.125",
            "descent": "p.data -= 0.05 * np.clip(p.grad, -1, 1)",
            "negate": "p.data *= -1.0",
            "zeros": "p.data = 0.0",
        }.get(kind)
        if kind == "descent" and self.wild:
            text = "p.data += 0.1"
        if kind == "one":
            self.lines.append(f"P[{self.reserve(1)}].data = {d.pick((0.75, -2.0, 1.0))}")
        elif text:
            self.lines += ["for p in P:", f"    {text}"]
        if self.globals:
            self.lines.append(d.choose("global", ["G[0] = 2.5", "G = [-1.0, 0.25]", "G[1] += 1.0"]))
        if d.chance(0.6):
            self.lines += ["for p in P:", "    p.grad = 0.0"]
        else:
            d.features["grads: kept over steps"] += 1

    def step(self, f, penalty, n):
        """A call, a loss, backward."""
        d = self.draw
        b = self.name("b")
        call = f"{f.call}({f.arguments()})"
        if d.chance(0.08):
            d.features["call: under no_grad first"] += 1
            self.lines += ["with mg.no_grad():", f"    c = {call}"]
            self.lines += [f"    show('quiet {n}', c)"]
            if f.batch and d.chance(0.5):
                self.lines += [f"    show('quiet mean {n}', c.mean())"]
        self.lines.append(f"{b} = {call}")
        self.lines.append(f"show('result {n}', {b})")
        if f.batch:
            loss = self.losses(f, b)
        elif f.single:
            loss = b
        else:
            some = d.random.sample(range(f.results), d.random.randint(1, min(f.results, 3)))
            loss = " + ".join(f"flat({b})[{i}]" for i in some)
        loss += penalty
        if d.chance(0.2):
            loss = f"({loss}) * {d.number()}"
        self.lines.append(f"loss = mg.Value(0.0) + {loss}")
        if d.chance(0.1):
            d.features["parameters: written between call and backward"] += 1
            if not penalty and not self.derived and not f.eager_arguments:
                self.lines += ["kept = [p.data for p in P]", "for p in P:", "    p.data = 7.0"]
                self.lines += ["loss.backward()", "for p, k in zip(P, kept):", "    p.data = k"]
            else:
                self.lines.append("loss.backward()")
        else:
            self.lines.append("loss.backward()")
        self.lines.append(f"show('loss {n}', loss)")
        if d.chance(0.12):
            kind = d.choose("backward: again", ["the same root", "another loss", "a new call"])
            if kind == "the same root":
                self.lines.append("loss.backward()")
            elif f.batch:
                again = b if kind == "another loss" else call
                self.lines.append(f"({self.losses(f, again)}).backward()")
            elif kind == "a new call":
                self.lines.append(f"flat({call})[0].backward()")

    def gradients(self, f, n):
        """value_and_grad, with and without params."""
        d = self.draw
        if not f.single or f.nested:
            return
        if f.arrays and (f.batch or f.first_is_array) and d.chance(0.5):
            d.features["value_and_grad: of arrays"] += 1
            self.lines.append(f"v, g = {f.call}.value_and_grad({f.arguments()})")
            self.lines.append(f"show('value {n}', v)")
            self.lines.append("for k, a in enumerate(g if isinstance(g, tuple) else (g,)):")
            self.lines.append(f"    show(f'array gradient {n} {{k}}', a)")
        if not self.derived and not f.eager_arguments and not f.fed and d.chance(0.5):
            d.features["value_and_grad: of params"] += 1
            some = d.pick(("P", "P[::-1]", "P[:2]", "P[1:]"))
            self.lines.append(f"v, g = {f.call}.value_and_grad({f.arguments()}, params={some})")
            self.lines.append(f"show('mean value {n}', v)")
            self.lines.append(f"show('params gradient {n}', g)")

    def eager(self, f):
        """The same function on plain Values, one sample."""
        if self.wild or f.size == 0 or f.fed:
            return
        d = self.draw
        d.features["call: eagerly"] += 1
        self.lines.append(f"out = f{f.suffix}({f.eager_arguments_text()})")
        self.lines.append("show('eager', out)")
        if d.chance(0.6):
            self.lines.append("flat(out)[0].backward()")
            self.lines.append("grads('grads after eager', P)")

    def make(self):
        d = self.draw
        batch = d.choose("mode", {"batch": 3, "single": 1.3}) == "batch"
        f = self.function(batch)
        functions = [f]
        if batch and d.chance(0.22):
            d.features["call: a batch fed to a batch"] += 1
            functions.append(self.function(True, f))
        penalty = self.penalty()
        steps = d.pick((1, 1, 2, 3))
        for n in range(steps):
            for g in functions:
                if g is not functions[-1] and not g.fed:
                    turned = "[::-1]" if d.chance(0.15) else ""
                    d.features["call: fed with samples turned round"] += bool(turned)
                    self.lines.append(f"fed = {g.call}({g.arguments()}){turned}")
            self.step(functions[-1], penalty, n)
            self.lines.append(f"grads('grads {n}', P)")
            if functions[-1].values:
                self.lines.append(
                    f"grads('argument grads {n}', [{', '.join(functions[-1].values)}])"
                )
            self.gradients(functions[-1], n)
            if n + 1 < steps:
                self.update()
                if d.chance(0.3) and not functions[-1].fed:
                    d.features["call: other numbers of samples"] += 1
                    functions[-1].again()
        if d.chance(0.3):
            self.eager(f)
        return self.text()

    def text(self):
        d = self.draw
        head = [f"rng = np.random.default_rng({self.seed})"]
        if self.threads > 1:
            d.features["threads: more than one"] += 1
            head.append(f"mg.set_num_threads({self.threads})")
        if self.globals:
            head.append("G = [0.5, -1.5]")
        n = max(self.count, 2)
        numbers = f"rng.integers(-2, 3, size={n}) / 2" if self.grid else f"rng.normal(size={n})"
        if self.wild and d.chance(0.4):
            numbers = f"sprinkle({numbers}, 0.1)"
        kind = d.choose(
            "parameters", {"in order": 6, "made backwards": 1, "shuffled": 1, "gaps": 1}
        )
        values = f"({numbers}).tolist()"
        if kind == "in order":
            head.append(f"P = [mg.Value(v) for v in {values}]")
        elif kind == "made backwards":
            head.append(f"P = [mg.Value(v) for v in {values}][::-1]")
        elif kind == "shuffled":
            head.append(f"P = [mg.Value(v) for v in {values}]")
            head.append(f"P = [P[k] for k in rng.permutation({n})]")
        else:
            head.append(f"P = [mg.Value(v) for v in {values} for _ in range(2)][::2]")
        body = "\n".join(self.lines)
        text = "\n".join(head) + "\n" + body + "\n"
        helpers = [code for name, code in HELPERS.items() if f"{name}(" in text]
        for name, code in HELPERS.items():  # helpers of helpers
            if code not in helpers and any(f"{name}(" in h for h in helpers):
                helpers.insert(0, code)
        return "".join(helpers) + text


def program(seed, budget=1.0):
    """(text, Counter of features)"""
    p = Program(seed, budget)
    text = p.make()
    return text, p.draw.features
