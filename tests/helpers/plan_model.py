"""What a plan may do, written down once more and naively: sets of slots that each step reads and
writes, from the parts of a plan (Plan._parts) alone. The verifier in C must agree with it.

A slot is a row of lanes (>= 0) or a uniform number (~number). A step is what it reads for each of
its results: (slot, whether it must be a row, a number or either, whether it gets gradient).
"""

from micrograd_fast import _core

NO_SLOT = -(2**31)
BLOCK = 8
ROW, NUMBER, EITHER = "row", "number", "either"
UNARY = {op.name: op.kind == "unary" for op in _core.OPS}


class Invalid(Exception):
    pass


def require(condition):
    if not condition:
        raise Invalid


class Model:
    """names: op codes by name, as the tests found them in plans."""

    def __init__(self, parts, names):
        self.parts, self.names = parts, {code: name for name, code in names.items()}
        self.n_rows, self.n_uniforms = len(parts["row_wants"]), len(parts["uniform_wants"])

    def is_valid(self):
        try:
            self.check()
        except Invalid:
            return False
        return True

    def exists(self, slot):
        return slot < self.n_rows if slot >= 0 else ~slot < self.n_uniforms

    def wants(self, slot):
        return self.parts["row_wants"][slot] if slot >= 0 else self.parts["uniform_wants"][~slot]

    def check(self):
        p = self.parts
        require(0 <= p["n_columns"] <= self.n_rows and 0 <= p["n_uniform_steps"] <= len(p["steps"]))
        require(p["tile"] > 0 and p["tile"] % BLOCK == 0)
        cleared = self.cleared()
        written = {*range(p["n_columns"]), *(~k for k, g in enumerate(p["given"]) if g)}
        steps = []
        for k, s in enumerate(p["steps"]):
            lanes = k >= p["n_uniform_steps"]
            results = self.results(s, lanes)
            reads = [self.reads(s, lanes, i) for i in range(len(results))]
            for z, operands in zip(results, reads, strict=True):
                for slot, kind, _ in operands:
                    before = results[: results.index(z)] if s["kind"] == "chain" else ()
                    require(slot in written or slot in before)
                    require(kind == EITHER or (kind == ROW) == (slot >= 0))
            require(not written & set(results))
            written |= set(results)
            steps.append((s, lanes, results, reads))
        require(set(p["outputs"]) <= written)
        self.check_gradients(steps)
        self.check_sole_users(steps, cleared)

    def cleared(self):
        found = set()
        for name, n, sign in (
            ("wanted_rows", self.n_rows, 0),
            ("summed_uniforms", self.n_uniforms, 1),
        ):
            for run in self.parts[name]:
                require(run["n"] >= 0)
                if run["n"]:
                    require(run["first"] >= 0 and run["first"] + run["n"] <= n)
                found |= {~k if sign else k for k in range(run["first"], run["first"] + run["n"])}
        require(all(k in found for k in range(self.n_rows) if self.parts["row_wants"][k]))
        return found

    def op(self, s):
        """The name of a step's op."""
        require(s["op"] in self.names)
        return self.names[s["op"]]

    def results(self, s, lanes):
        n = s["count"] * (s["n_vectors"] if s["kind"] == "matrix" else 1)
        require(s["count"] > 0 and 0 < n <= self.n_rows + self.n_uniforms)
        require((s["z"] >= 0) == lanes)
        found = [s["z"] + i if lanes else s["z"] - i for i in range(n)]
        require(all(map(self.exists, found)))
        return found

    def args(self, s, n):
        require(n > 0 and s["args"] >= 0 and s["args"] + n <= len(self.parts["args"]))
        return self.parts["args"][s["args"] : s["args"] + n]

    def at(self, slot, j):
        """The slot j further on, which is there."""
        found = slot + j if slot >= 0 else slot - j
        require((found >= 0) == (slot >= 0) and self.exists(found))
        return found

    def reads(self, s, lanes, i):
        """Operands of result i, after a look at the fields."""
        own, either = (ROW, EITHER) if lanes else (NUMBER, NUMBER)
        read = getattr(self, f"reads_of_{s['kind']}", None)
        require(read is not None)
        found = read(s, lanes, i, own, either)
        return [(self.at(slot, 0), kind, gets) for slot, kind, gets in found]

    def bias(self, s, i, kind):
        if s["bias"] == NO_SLOT:
            return []
        return [(self.at(s["bias"], i * s.get("bias_move", 0)), kind, True)]

    def reads_of_ops(self, s, lanes, i, own, either):
        unary = UNARY.get(self.op(s), self.op(s) in ("neg", "square"))
        require(self.op(s) not in ("detach", "largest", "smallest"))
        require(s["x_move"] in (0, 1) and s["y_move"] in (0, 1))
        require((s["y"] == NO_SLOT) == unary)
        if not lanes and s["count"] > 1:
            require(s["x_move"] or (not unary and s["y_move"]))
        if lanes:
            require(s["x"] >= 0 or (not unary and s["y"] >= 0))
        x = [(self.at(s["x"], i * s["x_move"]), either, True)]
        return x if unary else [*x, (self.at(s["y"], i * s["y_move"]), either, True)]

    def reads_of_detach(self, s, lanes, i, own, either):
        require(s["x_move"] in (0, 1) and (lanes or s["count"] == 1 or s["x_move"]))
        return [(self.at(s["x"], i * s["x_move"]), own, False)]

    def reads_of_gather(self, s, lanes, i, own, either):
        return [(self.args(s, s["count"])[i], either, True)]

    def reads_of_take(self, s, lanes, i, own, either):
        require(s["count"] == 1)
        choices = [(slot, either, True) for slot in self.args(s, s["n"])]
        return [(s["index"], either, False), *choices]

    def reads_of_extreme(self, s, lanes, i, own, either):
        require(s["count"] == 1 and self.op(s) in ("largest", "smallest"))
        return [(slot, either, True) for slot in self.args(s, s["n"])]

    def reads_of_dot(self, s, lanes, i, own, either):
        require(s["count"] == 1 and s["n_rows"] >= 0 and s["n_pairs"] >= 0)
        require(lanes or s["n_rows"] == 0)
        args = self.args(s, 2 * (s["n_rows"] + s["n_pairs"]))
        kinds = [NUMBER, own] * s["n_rows"] + [own, own] * s["n_pairs"]
        return self.bias(s, 0, either) + [(a, k, True) for a, k in zip(args, kinds, strict=True)]

    def reads_of_inner(self, s, lanes, i, own, either):
        require(not lanes and s["count"] == 1 and s["n"] > 0 and s["w_move"] in (0, 1))
        require(s["w"] >= 0 and s["n"] <= self.n_uniforms)
        pairs = [(self.at(~s["w"], j * s["w_move"]), self.at(s["x"], j)) for j in range(s["n"])]
        return self.bias(s, 0, own) + [(slot, NUMBER, True) for pair in pairs for slot in pair]

    def reads_of_chain(self, s, lanes, i, own, either):
        require(self.op(s) in ("mul", "maximum", "minimum", "add", "sub", "div", "vpow"))
        args = self.args(s, s["count"])
        require(not lanes or s["x"] >= 0 or args[0] >= 0)
        x = (self.at(s["z"], i - 1), own, True) if i else (s["x"], either, True)
        return [x, (args[i], either, True)]

    def reads_of_matrix(self, s, lanes, i, own, either):
        m, v = i % s["count"], i // s["count"]
        require(s["w"] >= 0 and 0 < s["n"] <= self.n_rows + self.n_uniforms)
        require(s["n_vectors"] == 1 or (not lanes and s["vector_move"] >= s["n"]))
        by_rows = s["w_col"] == 1 and s["w_row"] >= s["n"]
        require(by_rows or (s["w_row"] == 1 and s["w_col"] >= s["count"]))
        require(not s["sole_user"] or (lanes and s["wants_w"] and s["wants_gradient"]))
        if lanes:
            require(self.parts["scratch"] >= max(s["n"], s["count"]) + BLOCK)
        found = self.bias(s, m, either)
        for j in range(s["n"]):
            found.append((self.at(~s["w"], m * s["w_row"] + j * s["w_col"]), NUMBER, True))
            found.append((self.at(s["x"], v * s["vector_move"] + j), own, True))
        return found

    def check_gradients(self, steps):
        """Backward runs for what an output depends on and what wants; for whole steps."""
        reached = set(self.parts["outputs"])
        for s, lanes, results, reads in reversed(steps):
            self.check_factors(s, reads)
            way, any_reached, any_wants = False, False, False
            for z, operands in reversed(list(zip(results, reads, strict=True))):
                wants = any(gets and self.wants(slot) for slot, _, gets in operands)
                any_wants |= wants
                any_reached |= z in reached
                way = z in reached or (way and s["kind"] == "chain")
                require(not (way and wants) or s["wants_gradient"])
                require(not (z in reached and wants) or self.wants(z))
                require(not self.wants(z) or s["wants_gradient"])
                require(not lanes or not s["wants_gradient"] or self.wants(z))
            if s["wants_gradient"]:
                require(any_reached and any_wants)
                reached |= {slot for operands in reads for slot, _, gets in operands if gets}

    def check_factors(self, s, reads):
        if s["kind"] not in ("matrix", "inner"):
            return
        pairs = [operands[s["bias"] != NO_SLOT :] for operands in reads]
        w = any(self.wants(slot) for operands in pairs for slot, _, _ in operands[::2])
        x = any(self.wants(slot) for operands in pairs for slot, _, _ in operands[1::2])
        require((bool(s["wants_w"]), bool(s["wants_x"])) == (w, x))

    def check_sole_users(self, steps, cleared):
        """Adjoints of numbers start from zero, or one step over lanes alone sets them."""
        readers = list(self.parts["outputs"])
        for s, lanes, _, reads in steps:
            if lanes and s["wants_gradient"]:
                # A matrix reads its inputs once for all of its results.
                readers += [slot for operands in reads for slot, _, gets in operands if gets]
        for s, _, _, reads in steps:
            if s.get("sole_user"):
                pairs = [operands[s["bias"] != NO_SLOT :] for operands in reads]
                weights = [slot for operands in pairs for slot, _, _ in operands[::2]]
                require(all(readers.count(slot) == 1 for slot in weights))
                cleared |= set(weights)
        require(all(~k in cleared for k in range(self.n_uniforms)))


ROW_FIELDS = {
    "ops": {"x", "y"},
    "detach": {"x"},
    "dot": {"bias"},
    "matrix": {"x", "bias"},
    "chain": {"x"},
    "take": {"index"},
}


class ValuesModel:
    """What a plan for values alone may do: the steps of a valid plan, with other names for rows.
    Each row stands for the one whose number it holds."""

    def __init__(self, parts, value_parts, names):
        self.whole, self.values = Model(parts, names), Model(value_parts, names)

    def is_valid(self):
        try:
            self.check()
        except Invalid:
            return False
        return True

    def check(self):
        p, q = self.whole.parts, self.values.parts
        for name in ("n_uniform_steps", "n_columns"):
            require(p[name] == q[name])
        for name in ("steps", "args", "outputs"):
            require(len(p[name]) == len(q[name]))
        require(self.whole.n_uniforms == self.values.n_uniforms)
        require(q["n_columns"] <= self.values.n_rows and q["tile"] > 0 and q["tile"] % BLOCK == 0)
        require(self.values.n_rows * q["tile"] <= 2 * self.whole.n_rows * p["tile"])
        self.holds = {k: k for k in range(q["n_columns"])}
        for k, (s, t) in enumerate(zip(p["steps"], q["steps"], strict=True)):
            if k < p["n_uniform_steps"]:
                require(s == t)
            else:
                self.check_step(s, t)
        for a, b in zip(p["outputs"], q["outputs"], strict=True):
            require(self.stands_for(b) == a)

    def stands_for(self, slot):
        return self.holds.get(slot) if slot >= 0 else slot

    def check_step(self, s, t):
        fields = {"z", *ROW_FIELDS.get(s["kind"], ())}
        require(s.keys() == t.keys() and all(s[f] == t[f] for f in s.keys() - fields))
        before, after = self.whole.results(s, True), self.values.results(t, True)
        one_by_one = s["kind"] == "chain"
        read = set() if one_by_one else self.read_alike(s, t, range(len(before)))
        for i, (a, b) in enumerate(zip(before, after, strict=True)):
            if one_by_one:
                read |= self.read_alike(s, t, [i])
            require(b not in read)
            self.holds[b] = a

    def read_alike(self, s, t, results):
        """The slots that these results read, which hold the same numbers."""
        found = set()
        for i in results:
            pairs = zip(self.whole.reads(s, True, i), self.values.reads(t, True, i), strict=True)
            for (a, kind, _), (b, _, _) in pairs:
                require(kind == EITHER or (kind == ROW) == (b >= 0))
                require(self.stands_for(b) == a)
                found.add(b)
        return found
