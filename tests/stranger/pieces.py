"""The pieces that generator.py makes functions of; written from the documentation alone."""

HELPERS = {
    "dot_sum": """def dot_sum(w, x, b):
    return sum(a * c for a, c in zip(w, x)) + b
""",
    "dot_first": """def dot_first(w, x, b):
    return sum((a * c for a, c in zip(w, x)), b)
""",
    "dot_loop": """def dot_loop(w, x, b):
    s = b
    for a, c in zip(w, x):
        s += c * a
    return s
""",
    "dot_zero": """def dot_zero(w, x, b):
    s = 0
    for a, c in zip(w, x):
        s = s + a * c
    return b + s
""",
    "dot_left": """def dot_left(w, x, b):
    s = b
    for a, c in zip(w, x):
        s = a * c + s
    return s
""",
    "dot_back": """def dot_back(w, x, b):
    return sum(a * c for a, c in reversed(list(zip(w, x)))) + b
""",
    "dot_middle": """def dot_middle(w, x, b):
    terms = [a * c for a, c in zip(w, x)]
    terms.insert(len(terms) // 2, b)
    return sum(terms[1:], terms[0])
""",
    "dot_pairs": """def dot_pairs(w, x, b):
    terms = [a * c for a, c in zip(w, x)] + [b]
    while len(terms) > 1:
        terms = [sum(terms[k : k + 2]) for k in range(0, len(terms), 2)]
    return terms[0]
""",
    "dot_minus": """def dot_minus(w, x, b):
    s = b
    for k, (a, c) in enumerate(zip(w, x)):
        s = s - a * c if k % 2 else s + a * c
    return s
""",
    "dot_library": """def dot_library(w, x, b):
    return mg.functional.dot(w, x) + b
""",
    "dot_numpy": """def dot_numpy(w, x, b):
    return np.dot(np.array(w, dtype=object), np.array(x, dtype=object)) + b
""",
    "dot_over": """def dot_over(w, x, b):
    s = b
    for a, c in zip(w, x):
        s += a / (c * c + 1.5)
    return s
""",
    "frozen": """def frozen(a):
    a.flags.writeable = False
    return a
""",
    "unaligned": """def unaligned(a):
    b = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    b[...] = a
    return b
""",
    "sprinkle": """def sprinkle(a, p):
    a = np.array(a, dtype=float)
    odd = [np.inf, -np.inf, np.nan, 0.0, -0.0, 1e300, -1e-300, 5e-324, 1e160, -1e-160, 1.0, -1.0]
    here = rng.random(a.shape) < p
    a[here] = rng.choice(odd, size=int(here.sum()))
    return a
""",
    "by_hand": """def by_hand(z):
    top = mg.maximum(*z).detach()
    e = [(v - top).exp() for v in z]
    total = sum(e)
    return [v / total for v in e]
""",
    "rms": """def rms(x):
    scale = (sum(v * v for v in x) / len(x) + 1e-5) ** -0.5
    return [v * scale for v in x]
""",
}
DOTS = [name for name in HELPERS if name.startswith("dot_")]
PLAIN = ["tanh", "sigmoid", "relu", "sin", "cos", "abs"]


class Function:
    """Draws one function of Values, its arguments, and the line that compiles it."""

    def __init__(self, program, batch, feeds):
        self.program, self.draw, self.batch, self.feeds = program, program.draw, batch, feeds
        self.fed = feeds is not None
        self.scalars, self.vectors, self.rows, self.indices = [], [], [], []
        self.parameters, self.given, self.eager_text = [], [], []
        self.specs = []  # (name, shape, classes or None) of arrays
        self.values, self.eager_arguments, self.arrays = [], False, False
        self.first_is_array = False
        self.body, self.cost = [], 0
        self.size = feeds.size if feeds else program.size() if batch else 1

    # Arguments.

    def _array(self, stem, shape, classes=None):
        p = self.program
        name = p.name(stem.upper())
        self.specs.append((name, shape, classes))
        self._fill(name, shape, classes)
        self.parameters.append(stem)
        self.given.append(name)
        if classes is None:
            self.arrays = True
            self.first_is_array |= len(self.parameters) == 1
        row = f"{name}[0]" if self.batch else name
        if classes is not None:
            self.eager_text.append(f"int({row})")
        elif not shape:
            self.eager_text.append(f"mg.Value(float({row}))")
        elif len(shape) == 1:
            self.eager_text.append(f"[mg.Value(float(v)) for v in {row}]")
        else:
            self.eager_text.append(f"[[mg.Value(float(v)) for v in r] for r in {row}]")

    def _fill(self, name, shape, classes):
        p, d = self.program, self.draw
        full = (self.size, *shape) if self.batch else shape
        if classes is not None:
            kind = d.pick(("int64", "int64", "int32", "uint8"))
            p.lines.append(f"{name} = rng.integers(0, {classes}, size={full}).astype(np.{kind})")
            if not self.batch:
                p.lines[-1] = f"{name} = np.int64(rng.integers(0, {classes}))"
        elif not full:
            kind = d.choose("argument", ["float", "np.float64", "np.float32"])
            p.lines.append(f"{name} = {kind}(rng.normal())")
        elif p.wild and d.chance(0.6):
            p.lines.append(f"{name} = sprinkle(rng.normal(size={full}), {d.pick((0.05, 0.3))})")
        else:
            p.lines.append(f"{name} = {p.array(full)}")

    def make(self):
        d, p = self.draw, self.program
        if self.fed:
            self.parameters.append("z")
            self.given.append("fed")
            self.body.append("z = flat(z)")
            self.vectors.append(("z", self.feeds.results))
        if not self.fed or d.chance(0.4):
            n = d.pick((1, 2, 3, 3, 4, 5, 8)) if p.budget >= 0.5 else d.pick((1, 2, 3))
            self._array("x", (n,))
            self.vectors.append(("x", n))
        if d.chance(0.55):
            self._array("t", ())
            self.scalars.append("t")
        if d.chance(0.12):
            r, c = d.random.randint(1, 4), d.random.randint(1, 4)
            self._array("rows", (r, c))
            self.rows.append(("rows", r, c))
            d.features["argument: array of three axes"] += self.batch
        if d.chance(0.25):
            classes = d.random.randint(2, 5)
            self._array("k", (), classes)
            self.indices.append(("k", classes))
            d.features["argument: integers as an index"] += 1
        if d.chance(0.12):
            self._plain("u", "rng.normal()", "float", "mg.Value({})")
        if d.chance(0.15):
            self._value()
        if d.chance(0.06):
            name = d.pick(PLAIN)
            d.features["argument: text"] += 1
            self.parameters.append("how")
            self.given.append(repr(name))
            self.eager_text.append(repr(name))
        if d.chance(0.06):
            n = d.random.randint(1, 3)
            d.features["argument: int"] += 1
            self.parameters.append("n")
            self.given.append(str(n))
            self.eager_text.append(str(n))
        if d.chance(0.05):
            d.features["argument: list of floats"] += 1
            self.parameters.append("c")
            self.given.append("[0.25, -1.5]")
            self.eager_text.append("[mg.Value(0.25), mg.Value(-1.5)]")
            self.vectors.append(("c", 2))
        for _ in range(d.random.randint(1, 5)):
            self.statement()
        self._return()
        self._emit()

    def _plain(self, stem, text, kind, eager):
        p, d = self.program, self.draw
        name = p.name(stem.upper())
        kind = d.choose("argument", ["float for all samples", "np.float64 for all samples"])
        p.lines.append(f"{name} = {kind.split()[0]}({text})")
        self.parameters.append(stem)
        self.given.append(name)
        self.eager_text.append(eager.format(f"float({name})"))
        self.scalars.append(stem)

    def _value(self):
        p, d = self.program, self.draw
        kind = d.choose("argument", ["parameter", "new Value", "result of an eager op"])
        name = p.name("V")
        if kind == "parameter":
            p.lines.append(f"{name} = P[{p.reserve(1)}]")
        elif kind == "new Value":
            p.lines.append(f"{name} = mg.Value({d.pick((0.5, -1.25, 2.0))})")
        else:
            p.lines.append(f"{name} = {p.eager_value()} * 0.5")
            self.eager_arguments = True
        if d.chance(0.2):
            self.parameters.append("vs")
            self.given.append(f"[{name}, {name}]")
            self.vectors.append(("vs", 2))
            self.eager_text.append(f"[{name}, {name}]")
        else:
            self.parameters.append("v")
            self.given.append(name)
            self.scalars.append("v")
            self.eager_text.append(name)
        self.values.append(name)

    def arguments(self):
        return ", ".join(self.given)

    def eager_arguments_text(self):
        return ", ".join(self.eager_text)

    def again(self):
        """The arrays anew, another number of samples."""
        if self.batch and not self.fed:
            self.size = self.program.size()
        for spec in self.specs:
            self._fill(*spec)

    # Expressions.

    def atom(self):
        d, p = self.draw, self.program
        x = d.random.random()
        if self.scalars and x < 0.4:
            return d.pick(self.scalars[-6:])
        if self.vectors and x < 0.8:
            name, n = d.pick(self.vectors[-4:])
            return f"{name}[{d.random.randrange(n)}]"
        if self.rows and x < 0.85:
            name, r, c = d.pick(self.rows)
            return f"{name}[{d.random.randrange(r)}][{d.random.randrange(c)}]"
        if self.indices and x < 0.88:
            d.features["index: used as a number"] += 1
            return f"({self.indices[0][0]} + P[{p.reserve(1)}])"
        if x < 0.9 and d.chance(0.15):
            return p.eager_value()
        return f"P[{p.reserve(1)}]"

    def safe(self, text):
        """Kept away from poles, unless the program is a wild one."""
        if self.program.wild and self.draw.chance(0.7):
            return f"({text})"
        return self.draw.pick((f"(({text}) ** 2 + 0.3)", f"(abs({text}) + 0.5)", f"({text}).exp()"))

    def unary(self, a):
        d = self.draw
        op = d.choose(
            "op",
            [
                *PLAIN,
                "neg",
                "exp",
                "log",
                "sqrt",
                "log1p",
                "reciprocal",
                "detach",
                "pow",
                "pow",
                "abs()",
            ],
        )
        if op == "neg":
            return f"-({a})"
        if op == "exp":
            return f"({a}).exp()" if d.chance(0.3) else f"(({a}) * 0.3).exp()"
        if op in ("log", "sqrt"):
            return f"{self.safe(a)}.{op}()"
        if op == "log1p":
            return f"{self.safe(a)}.log1p()"
        if op == "reciprocal":
            return f"{d.number()} / {self.safe(a)}"
        if op == "abs()":
            return f"abs({a})"
        if op == "pow":
            k = d.choose(
                "power",
                ["2", "3", "2.0", "1", "0", "4", "-1", "-2", "0.5", "1.5", "-0.5", "7", "-1.0"]
                + ["np.float64(2.0)", "np.int64(3)", "1.0", "0.0", "-3", "2.5", "1/3"],
            )
            whole = k in (
                "2",
                "3",
                "2.0",
                "1",
                "0",
                "4",
                "np.float64(2.0)",
                "np.int64(3)",
                "1.0",
                "0.0",
            )
            base = f"({a})" if whole else self.safe(a)
            return f"{base} ** {f'({k})' if not k.isdigit() else k}"
        return f"({a}).{op}()"

    def expression(self, depth):
        d = self.draw
        self.cost += 1
        if depth <= 0 or d.chance(0.1):
            return self.atom()
        if d.chance(0.4):
            return self.unary(self.expression(depth - 1))
        op = d.choose(
            "op",
            ["+", "+", "-", "*", "*", "/", "max", "min", "maximum of many", "minimum of many"]
            + ["**", "k **", "+ k", "* k", "k -", "/ k", "k +", "k *", "- k", "x - x", "x * x"],
        )
        a = self.expression(depth - 1)
        k = d.number()
        while k == "True" or ("Value" in k and op == "/ k"):
            k = d.number()
        simple = {
            "+ k": f"({a} + {k})",
            "* k": f"({a}) * {k}",
            "k -": f"({k} - ({a}))",
            "/ k": f"({a}) / {k}",
            "k +": f"({k} + {a})",
            "k *": f"{k} * ({a})",
            "- k": f"({a} - {k})",
            "k **": f"{d.pick(('2', '0.5', '1.5', 'np.float64(3.0)', '1'))} ** (({a}) * 0.5)",
            "x - x": f"({a} - ({a}))",
            "x * x": f"({a}) * ({a})",
        }
        if op in simple:
            return simple[op]
        b = self.expression(depth - 1)
        if op in ("+", "-", "*"):
            return f"({a} {op} ({b}))" if op != "*" else f"({a}) * ({b})"
        if op == "/":
            return f"({a}) / {self.safe(b)}"
        if op in ("max", "min"):
            return f"({a}).{op}imum({b})"
        if op == "**":
            return f"{self.safe(a)} ** ({b})"
        c = self.expression(depth - 2) if d.chance(0.7) else k
        more = f", {self.atom()}" if d.chance(0.4) else ""
        return f"mg.{op.split()[0]}({a}, {b}, {c}{more})"

    # Statements: each adds a name.

    def statement(self):
        d = self.draw
        options = {
            "layer": 4,
            "scalars": 3,
            "elementwise": 2,
            "pair": 1.5,
            "softmax": 1,
            "norm": 0.5,
            "loss": 0.7,
            "convolution": 0.8,
            "recurrence": 1,
            "attention": 0.7,
            "take": 1.5 if self.indices else 0.3,
            "detach": 0.4,
            "sum": 1.5,
            "uniform": 0.7,
            "mlp": 0.4,
            "times matrix argument": 1.5 if self.rows else 0,
            "two layers": 1,
            "product": 0.5,
            "loop": 0.6,
            "text": 2 if "how" in self.parameters else 0,
            "repeat": 2 if "n" in self.parameters else 0,
        }
        if not self.vectors:
            options = {"scalars": 1}
        kind = d.choose("statement", options)
        getattr(self, "_" + kind.replace(" ", "_"))()

    def _put(self, stem, text, n=None):
        name = self.local(stem)
        self.body.append(f"{name} = {text}")
        if n is None:
            self.scalars.append(name)
        else:
            self.vectors.append((name, n))
        return name

    def local(self, stem):
        self.program.names["local " + stem] += 1
        return f"{stem}{self.program.names['local ' + stem]}"

    def _scalars(self):
        self._put("s", self.expression(self.draw.random.randint(1, 3)))

    def vector(self):
        return self.draw.pick(self.vectors[-3:])

    def _activation(self, a="v"):
        d = self.draw
        kind = d.choose(
            "activation", ["none", "tanh", "relu", "sigmoid", "sin", "square", "scaled exp"]
        )
        return {
            "none": a,
            "square": f"({a}) ** 2",
            "scaled exp": f"(({a}) * 0.2).exp()",
        }.get(kind, f"({a}).{kind}()")

    def _layer(self, x=None):
        d, p = self.draw, self.program
        name, n = x or self.vector()
        most = 8 if p.budget >= 0.5 else 4
        rows = d.random.randint(1, most) if d.chance(0.93) else d.pick((16, 17, 24))
        w = p.matrix(rows, n)
        dot = d.choose("sum", DOTS)
        bias = d.choose("bias", {"vector": 5, "one": 1, "none": 1, "constant": 1, "sample": 0.6})
        b = {
            "vector": "b",
            "one": f"P[{p.reserve(1)}]",
            "none": "0.0",
            "constant": "0.125",
            "sample": self.scalars[-1] if self.scalars else "0.5",
        }[bias]
        act = self._activation(f"{dot}(w, {name}, {b})")
        if bias == "vector":
            each = f"for w, b in zip({w}, {p.vector(rows)})"
        else:
            each = f"for w in {w}"
        self.cost += rows * n
        return self._put("h", f"[{act} {each}]", rows), rows

    def _two_layers(self):
        x = self.vector()
        for _ in range(2):
            x = self._layer(x)

    def _elementwise(self):
        name, n = self.vector()
        op = self.unary("v")
        self._put("h", f"[{op} for v in {name}]", n)

    def _pair(self):
        d = self.draw
        a, n = self.vector()
        b, m = self.vector()
        form = d.choose(
            "pairs",
            ["a + b", "a - b", "a * b", "a.maximum(b)", "a.minimum(b)", "a * b + a", "a - b * 0.5"],
        )
        self._put("h", f"[{form} for a, b in zip({a}, {b})]", min(n, m))

    def _softmax(self):
        name, n = self.vector()
        how = self.draw.choose(
            "softmax", ["mg.functional.softmax", "mg.functional.log_softmax", "by_hand"]
        )
        self._put("h", f"{how}({name})", n)

    def _norm(self):
        name, n = self.vector()
        self._put("h", f"rms({name})", n)

    def _loss(self):
        d, p = self.draw, self.program
        name, n = self.vector()
        target = self.scalars[-1] if self.scalars else "0.5"
        kind = d.choose("loss function", ["mse", "hinge", "binary", "mean", "cross entropy"])
        if kind == "mse":
            self._put("s", f"mg.functional.mse_loss({name}, {p.vector(n)})")
        elif kind == "hinge":
            self._put("s", f"mg.functional.hinge_loss({name}, [{target}] * {n})")
        elif kind == "binary":
            self._put("s", f"mg.functional.binary_cross_entropy({name}[0], {target})")
        elif kind == "mean":
            self._put("s", f"mg.functional.mean({name})")
        else:
            at = [k for k, classes in self.indices if classes <= n]
            self._put("s", f"mg.functional.cross_entropy({name}, {at[0] if at else n - 1})")

    def _convolution(self):
        d, p = self.draw, self.program
        name, n = self.vector()
        width = d.random.randint(1, min(3, n))
        step = d.pick((1, 1, 2))
        taps = p.vector(width)
        out = len(range(0, n - width + 1, step))
        text = f"sum(a * {name}[i + j] for j, a in enumerate({taps}))"
        self._put(
            "h", f"[{self._activation(text)} for i in range(0, {n - width + 1}, {step})]", out
        )

    def _recurrence(self):
        d, p = self.draw, self.program
        name, n = self.vector()
        m = d.random.randint(1, 4)
        w, u, b = p.matrix(m, m), p.vector(m), p.vector(m)
        dot = d.choose("sum", DOTS)
        h = self.local("h")
        start = d.pick(("0.0", f"P[{p.reserve(1)}]", f"{name}[0] * 0.5"))
        act = d.pick(("tanh", "sigmoid", "relu", "sin"))
        self.body += [
            f"{h} = [{start}] * {m}",
            f"for x_t in {name}:",
            f"    {h} = [{dot}(w, {h}, a * x_t + b).{act}() for w, a, b in zip({w}, {u}, {b})]",
        ]
        self.cost += n * m * m
        self.vectors.append((h, m))

    def _attention(self):
        d, p = self.draw, self.program
        name, n = self.vector()
        m = d.random.randint(1, 3)
        keys, queries, values = p.matrix(m, n), p.matrix(m, n), p.matrix(m, n)
        dot = d.choose("sum", DOTS[:5])
        k, q, v, s = (self.local(stem) for stem in "kqva")
        soft = d.pick(("mg.functional.softmax", "by_hand"))
        self.body += [
            f"{k}, {q}, {v} = [[{dot}(w, {name}, 0.0) for w in m] for m in ({keys}, {queries}, {values})]",
            f"{s} = [{soft}([a * b / 1.5 for b in {k}]) for a in {q}]",
        ]
        self._put("h", f"[sum(a * b for a, b in zip(row, {v})) for row in {s}]", m)

    def _take(self):
        d, p = self.draw, self.program
        if not self.indices:
            name, n = self.vector()
            self._put("s", f"mg.take({name}, {d.random.randrange(n)})")
            return
        index, classes = self.indices[0]
        kind = d.choose("take", ["of parameters", "of results", "of rows", "of mixed"])
        many = [v for v in self.vectors if v[1] >= classes]
        if kind == "of results" and many:
            self._put("s", f"mg.take({d.pick(many)[0]}, {index})")
        elif kind == "of rows":
            m = d.random.randint(1, 4)
            self._put("h", f"mg.take({p.matrix(classes, m)}, {index})", m)
        elif kind == "of mixed":
            items = [self.atom() if d.chance(0.8) else "0.5" for _ in range(classes)]
            items[0] = f"P[{p.reserve(1)}]"
            self._put("s", f"mg.take([{', '.join(items)}], {index})")
        else:
            self._put("s", f"mg.take({p.vector(classes)}, {index})")

    def _detach(self):
        name, n = self.vector()
        self._put("h", f"[v.detach() * v for v in {name}]", n)

    def _sum(self):
        d = self.draw
        name, n = self.vector()
        kind = d.choose(
            "sums", ["sum", "library", "max", "min", "squares", "numpy", "np.mean", "loop"]
        )
        if kind == "loop":
            s = self.local("s")
            self.body += [f"{s} = 0.0", f"for v in {name}:", f"    {s} += v * v - v"]
            self.scalars.append(s)
            return
        self._put(
            "s",
            {
                "sum": f"sum({name})",
                "library": f"mg.functional.sum({name})",
                "max": f"mg.maximum(*{name}, 0.1)",
                "min": f"mg.minimum(*{name}, {self.atom()})",
                "squares": f"sum(v * v for v in {name})",
                "numpy": f"np.sum(np.array({name}, dtype=object))",
                "np.mean": f"np.mean({name})",
            }[kind],
        )

    def _uniform(self):
        """What does not depend on the sample, alone and added to what does."""
        d, p = self.draw, self.program
        i, j, k = p.reserve(1), p.reserve(1), p.reserve(1)
        text = d.pick(
            (f"P[{i}] * P[{j}]", f"P[{i}] + P[{j}] + P[{k}]", f"sum(p * p for p in {p.vector(4)})")
        )
        if d.chance(0.6):
            text = f"{self.atom()} {d.pick('+-*')} ({text})"
        if d.chance(0.4):
            text = f"{self.atom()} + P[{i}] + P[{j}] + P[{k}]"
            d.features["uniform: a row and uniform terms"] += 1
        self._put("s", text)

    def _mlp(self):
        d, p = self.draw, self.program
        name, n = self.vector()
        sizes = [*([d.random.randint(2, 5)] if d.chance(0.5) else []), d.random.randint(1, 4)]
        act = d.pick(("relu", "tanh", "sigmoid"))
        model = p.name("model")
        p.lines.append(f"random.seed({d.random.randrange(1000)})")
        p.lines.append(f"{model} = mg.nn.MLP({n}, {sizes}, activation={act!r})")
        p.lines.append(f"P = P + {model}.parameters()")
        if sizes[-1] == 1:
            self._put("s", f"{model}({name})")
        else:
            self._put("h", f"{model}({name})", sizes[-1])

    def _times_matrix_argument(self):
        d = self.draw
        rows, r, c = self.rows[0]
        fits = [v for v in self.vectors if v[1] == c]
        name = d.pick(fits)[0] if fits else self.program.vector(c)
        self._put("h", f"[{d.choose('sum', DOTS)}(w, {name}, 0.5) for w in {rows}]", r)

    def _product(self):
        name, n = self.vector()
        s = self.local("s")
        self.body += [f"{s} = 1.0", f"for v in {name}:", f"    {s} = {s} * v"]
        self.scalars.append(s)

    def _loop(self):
        """A map applied again and again."""
        d = self.draw
        s = self._put("s", self.atom())
        step = self._activation(f"{s} * {d.number()} + {self.atom()}")
        self.body += [f"for _ in range({d.random.randint(1, 6)}):", f"    {s} = {step}"]

    def _text(self):
        self._put("s", f"getattr({self.atom()}, how)()")

    def _repeat(self):
        self._put("s", f"{self.atom()} * n + n")

    # The end.

    def _return(self):
        d = self.draw
        names = [s for s in self.scalars if s not in self.parameters] or self.scalars
        kind = d.choose(
            "returns",
            {"one": 6, "list": 1.5, "tuple": 1.2, "nested": 1, "a vector": 1, "the same twice": 0.3}
            | {"an argument": 0.2, "a parameter": 0.15, "list of one": 0.2},
        )
        last = self.vectors[-1]
        self.single = False
        if names and d.chance(0.6):
            one = names[-1]
        else:
            one = d.pick((f"sum({last[0]})", f"{last[0]}[0]", f"sum(v * v for v in {last[0]})"))
        two = d.pick(names) if names else f"{last[0]}[-1]"
        if kind == "one":
            text, self.results, self.single = one, 1, True
        elif kind == "list":
            text, self.results = f"[{one}, {two}]", 2
        elif kind == "tuple":
            text, self.results = f"{one}, {two}, {last[0]}[0]", 3
        elif kind == "nested":
            text, self.results = f"({one}, [{two}, [{last[0]}[0]]], {last[0]})", 3 + last[1]
        elif kind == "a vector":
            text, self.results = last
        elif kind == "the same twice":
            text, self.results = f"[{one}, {two}, {one}]", 3
        elif kind == "an argument":
            text, self.results = f"{one}, {self.atom()}", 2
        elif kind == "a parameter":
            text, self.results = f"[P[{self.program.reserve(1)}], {one}]", 2
        else:
            text, self.results = f"[{one}]", 1
        self.body.append(f"return {text}")

    def _emit(self):
        p = self.program
        name = p.name("f")
        self.suffix = name[1:]
        self.call = name.upper()
        p.lines.append(f"def {name}({', '.join(self.parameters)}):")
        p.lines += ["    " + line for line in self.body]
        p.lines.append(f"{self.call} = mg.compile({name}{', batch=True' if self.batch else ''})")
