"""Expressions and statements of drawn functions; written from the documentation alone."""

from spellings import HELPERS

DOTS = [name for name in HELPERS if name.startswith("dot_")]
# A name that is there twice is drawn twice as often.
PLAIN = ["tanh", "sigmoid", "relu", "sin", "cos", "abs"]
UNARY = [*PLAIN, "neg", "exp", "log", "sqrt", "log1p", "reciprocal", "detach", "pow", "pow"]
UNARY += ["abs()"]
# fmt: off
POWERS = ["2", "3", "2.0", "1", "0", "4", "-1", "-2", "0.5", "1.5", "-0.5", "7", "-1.0",
          "np.float64(2.0)", "np.int64(3)", "1.0", "0.0", "-3", "2.5", "1/3"]
WHOLE_POWERS = {"2", "3", "2.0", "1", "0", "4", "np.float64(2.0)", "np.int64(3)", "1.0", "0.0"}
# fmt: on
WITH_ONE = {
    "k **": "{base} ** (({a}) * 0.5)",
    "+ k": "({a} + {k})",
    "* k": "({a}) * {k}",
    "k -": "({k} - ({a}))",
    "/ k": "({a}) / {k}",
    "k +": "({k} + {a})",
    "k *": "{k} * ({a})",
    "- k": "({a} - {k})",
    "x - x": "({a} - ({a}))",
    "x * x": "({a}) * ({a})",
}
BINARY = ["+", "+", "-", "*", "*", "/", "max", "min", "maximum of many", "minimum of many", "**"]
BINARY += WITH_ONE


class Statements:
    """What functions are made of: each statement adds a name that later ones may use.

    The class that draws a function has: program, draw, and the names drawn so far, as text
    (scalars) or with their sizes (vectors, rows, indices).
    """

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
        if x < 0.92 and d.chance(0.3):
            d.features["global: a number that may change"] += 1
            p.globals = True
            return f"(G[{d.random.randrange(2)}] * P[{p.reserve(1)}])"
        return f"P[{p.reserve(1)}]"

    def safe(self, text):
        """Kept away from poles, unless the program is a wild one."""
        if self.program.wild and self.draw.chance(0.7):
            return f"({text})"
        return self.draw.pick((f"(({text}) ** 2 + 0.3)", f"(abs({text}) + 0.5)", f"({text}).exp()"))

    def unary(self, a):
        d = self.draw
        op = d.choose("op", UNARY)
        if op == "neg":
            return f"-({a})"
        if op == "exp":
            return f"({a}).exp()" if d.chance(0.3) else f"(({a}) * 0.3).exp()"
        if op in ("log", "sqrt", "log1p"):
            return f"{self.safe(a)}.{op}()"
        if op == "reciprocal":
            return f"{d.number()} / {self.safe(a)}"
        if op == "abs()":
            return f"abs({a})"
        if op == "pow":
            return self._power(a)
        return f"({a}).{op}()"

    def _power(self, a):
        k = self.draw.choose("power", POWERS)
        base = f"({a})" if k in WHOLE_POWERS else self.safe(a)
        return f"{base} ** {k if k.isdigit() else f'({k})'}"

    def expression(self, depth):
        d = self.draw
        self.cost += 1
        if depth <= 0 or d.chance(0.1):
            return self.atom()
        if d.chance(0.4):
            return self.unary(self.expression(depth - 1))
        op = d.choose("op", BINARY)
        a = self.expression(depth - 1)
        k = d.number()
        while k == "True" or ("Value" in k and op == "/ k"):
            k = d.number()
        base = d.pick(("2", "0.5", "1.5", "np.float64(3.0)", "1"))
        if op in WITH_ONE:
            return WITH_ONE[op].format(a=a, k=k, base=base)
        b = self.expression(depth - 1)
        return self._of_two(op, a, b) or self._of_many(op, a, b, k, depth)

    def _of_two(self, op, a, b):
        if op == "*":
            return f"({a}) * ({b})"
        if op in ("+", "-"):
            return f"({a} {op} ({b}))"
        if op == "/":
            return f"({a}) / {self.safe(b)}"
        if op in ("max", "min"):
            return f"({a}).{op}imum({b})"
        return f"{self.safe(a)} ** ({b})" if op == "**" else None

    def _of_many(self, op, a, b, k, depth):
        d = self.draw
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
        each = f"for w, b in zip({w}, {p.vector(rows)})" if bias == "vector" else f"for w in {w}"
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
            target = f"({target}).sigmoid()" if self.scalars else target
            self._put("s", f"mg.functional.binary_cross_entropy_with_logits({name}[0], {target})")
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
            f"{k}, {q}, {v} = [[{dot}(w, {name}, 0.0) for w in m] "
            f"for m in ({keys}, {queries}, {values})]",
            f"{s} = [{soft}([a * b / 1.5 for b in {k}]) for a in {q}]",
        ]
        self._put("h", f"[sum(a * b for a, b in zip(row, {v})) for row in {s}]", m)

    def _take(self):
        d, p = self.draw, self.program
        if not self.indices:
            name, n = self.vector()
            self._put("s", f"mg.take({name}, {d.random.randrange(n)})")
            return
        # A plain number that is taken is a plain number, unless a Value is added.
        index, classes = self.indices[0]
        kind = d.choose("take", ["of parameters", "of results", "of rows", "of mixed"])
        many = [v for v in self.vectors if v[1] >= classes]
        if kind == "of results" and many:
            self._put("s", f"mg.take({d.pick(many)[0]}, {index})")
        elif kind == "of rows":
            m = d.random.randint(1, 4)
            rows = p.matrix(classes, m)
            row = f"mg.take({rows}, {index})"
            if rows in p.plain:
                row = f"[v + P[{p.reserve(1)}] for v in {row}]"
            self._put("h", row, m)
        elif kind == "of mixed":
            items = [self.atom() if d.chance(0.8) else "0.5" for _ in range(classes)]
            items[0] = f"P[{p.reserve(1)}]"
            plus = f" + {items[0]}" if "0.5" in items else ""
            self._put("s", f"mg.take([{', '.join(items)}], {index}){plus}")
        else:
            self._put("s", f"mg.take({p.vector(classes)}, {index})")

    def _detach(self):
        name, n = self.vector()
        self._put("h", f"[v.detach() * v for v in {name}]", n)

    def _sum(self):
        d = self.draw
        name, _ = self.vector()
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
        name, _ = self.vector()
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
