"""Draws a function, its arguments and results; written from the documentation alone."""

from statements import PLAIN, Statements


class Function(Statements):
    """Draws one function of Values, its arguments, and the line that compiles it."""

    def __init__(self, program, batch, feeds):
        self.program, self.draw, self.batch, self.feeds = program, program.draw, batch, feeds
        self.fed = feeds is not None
        self.scalars, self.vectors, self.rows, self.indices = [], [], [], []
        self.parameters, self.given, self.eager_text = [], [], []
        self.specs = []  # (name, shape, classes or None) of arrays
        self.values, self.eager_arguments, self.arrays = [], False, False
        self.first_is_array = self.nested = False
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
            self._dict()
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
        if d.chance(0.05) and self.size != 2:  # beside two samples it would be taken for them
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

    def _dict(self):
        """A dict and a tuple with an array in it: arguments may be nested."""
        self.draw.features["argument: dict"] += 1
        self.nested = True
        self._array("d", (2,))
        array, eager = self.given.pop(), self.eager_text.pop()
        self.given.append(f"{{'x': ({array}, 0.5), 'y': 1.5}}")
        self.eager_text.append(f"{{'x': ({eager}, mg.Value(0.5)), 'y': mg.Value(1.5)}}")
        self.scalars += ["d['x'][0][1]", "d['y']"]

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
            if "c" in self.parameters and self.size == 2:
                self.size = 3
        for spec in self.specs:
            self._fill(*spec)

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
