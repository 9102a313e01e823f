# Plans as Python objects: a program laid out in slots, with the Values that it reads. What a plan
# is, and how it is made, stands in plan/.

from base.arena cimport mf_arena, mf_arena_free
from plan.plan cimport (MF_INPUT_IS_ROW, MF_INPUT_WANTS, mf_facts, mf_facts_of, mf_has_mixed_dots,
                        mf_plan_program, mf_plan_result, mf_plan_values, mf_separate_dots)
from plan.step cimport (MF_NO_SLOT, MF_N_STEP_KINDS, MF_STEP_CHAIN, MF_STEP_DETACH, MF_STEP_DOT,
                        MF_STEP_EXTREME, MF_STEP_GATHER, MF_STEP_INNER, MF_STEP_OPS,
                        MF_STEP_MATRIX, MF_STEP_TAKE, mf_n_results, mf_plan, mf_plan_free, mf_range,
                        mf_step)
from plan.verify cimport mf_mark_given, mf_plan_fault, mf_values_fault
from run.executor cimport mf_workspace_doubles

cdef tuple STEP_KINDS = ("ops", "detach", "dot", "matrix", "inner", "gather", "chain", "take",
                         "extreme")

PlanStep = namedtuple("PlanStep", "kind op results operands sizes lanes gradient deferred",
                      module="micrograd_fast._core")
PlanStep.__doc__ = """A step of a Plan. A slot is a row (number >= 0) or a uniform number
(~number, so < 0).

kind: "ops" (equal ops side by side), "detach", "dot", "matrix", "inner" (a dot of uniform
    numbers side by side), "gather" (copies), "chain" (ops each of which takes the result of the
    one before), "take" or "extreme".
op: of kinds "ops", "chain" and "extreme", as Program has it; of others None.
results: the slots that it fills, a range.
operands: slots by what they are for, a range where they lie side by side: "x" and "y"; "w", "x"
    and "bias"; "choices" and "index". Of a matrix the first row of "w" and the first vector "x".
sizes: "count" of results (of a matrix: for each vector), "products" of a dot, "choices"; of a
    matrix "rows", "columns", "vectors", and how far they lie apart: "w_row", "w_col",
    "vector_move".
lanes: whether it runs for every sample; if not, once a call.
gradient: whether gradient goes through it.
deferred: whether the gradient of its weights is put off to backward()."""


cdef class Plan:
    """What compile() runs. kinds: per input of the program, one of 'lane' (a column of an array),
    'lane grad', 'uniform', 'uniform grad'."""
    cdef readonly Program program
    cdef readonly list captured      # Values, by the program's numbering
    cdef mf_plan plan
    cdef bint valid                  # made and verified
    cdef mf_plan values              # for runs without backward; empty: not made, or of no use
    cdef bint has_values             # whether it was tried to make it
    cdef Deferral deferral           # for the listing: what a Specialization puts off; or None

    def __dealloc__(self):
        mf_plan_free(&self.plan)
        mf_plan_free(&self.values)

    def __init__(self, Program program not None, list captured not None, list kinds not None):
        cdef mf_plan_result result
        cdef bytearray inputs, places
        if self.program is not None:   # calls may be running on it
            raise TypeError("a Plan is made once")
        program.verify()
        if len(kinds) != program.p.n_inputs or len(captured) != program.p.n_params:
            raise ValueError("the program has other inputs or captured nodes than given")
        inputs, places = input_flags(kinds), places_of(captured)
        self.program = program
        self.captured = captured
        result = mf_plan_program(&program.p, <const uint8_t *><char *>inputs,
                                 <const int32_t *><char *>places, &self.plan)
        if result.no_memory:
            raise MemoryError("no room to compile the function")
        if result.fault is not NULL:
            self.report(result.step, result.fault)
        self.valid = True

    cdef inline const mf_plan *for_run(self, bint backward) except NULL:
        """The plan itself, or the one for values alone, which the first run without backward makes.
        """
        if not backward and not self.has_values:
            self.make_values()
        return &self.values if not backward and self.values.n_steps else &self.plan

    cdef int make_values(self) except -1:
        cdef int32_t step = -1
        cdef const char *fault = mf_plan_values(&self.plan, &self.values, &step)
        if fault is not NULL:
            mf_plan_free(&self.values)
            self.report(step, fault)
        self.has_values = True
        return 0

    cdef int report(self, int32_t step, const char *fault) except -1:
        """Raises for a mistake of the compiler, whatever the traced function does."""
        line = f"step {step} ({self.line(step)})" if step >= 0 else "the plan"
        raise RuntimeError("micrograd_fast compiled a function wrongly, please report it: "
                           f"{line}: {fault.decode()}")

    cdef bint is_used(self, int32_t input) noexcept:
        return input < self.plan.n_inputs and self.plan.input_slots[input] != MF_NO_SLOT

    def describe(self) -> dict:
        """Sizes: steps, matrix steps among them, slots, lanes a tile, bytes of a workspace."""
        cdef int32_t k, n_matrices = 0
        for k in range(self.plan.n_steps):
            n_matrices += self.plan.steps[k].kind == MF_STEP_MATRIX
        return {"uniform steps": self.plan.n_uniform_steps,
                "lane steps": self.plan.n_steps - self.plan.n_uniform_steps,
                "matrix steps": n_matrices,
                "rows": self.plan.n_rows,
                "rows of values alone": self.for_run(False).n_rows,
                "uniform slots": self.plan.n_uniforms,
                "tile": self.plan.tile if self.plan.n_rows else 1,
                "workspace bytes": 8 * (mf_workspace_doubles(&self.plan)
                                        + 2 * self.plan.n_uniforms)}

    def _parts(self) -> dict:
        """Test hook: all that the executor knows, as plain data that _plan_fault takes."""
        return plan_parts(&self.plan)

    def _value_parts(self):
        """Test hook: the same of the plan for values alone; None where that is of no use."""
        return plan_parts(&self.values) if self.for_run(False) == &self.values else None

    def steps(self) -> list:
        """The plan as data: a PlanStep for each line of the listing, in order."""
        if not self.valid:   # its args may be anything
            return []
        return [step_data(&self.plan, k, self.is_deferred(k)) for k in range(self.plan.n_steps)]

    cdef bint is_deferred(self, int32_t k):
        return self.deferral is not None and self.deferral.marks[k]

    def listing(self) -> str:
        """A line a step: the slots that it fills, r0 a row, u0 a uniform number, and from what."""
        cdef int32_t k
        return "\n".join([self.line(k) for k in range(self.plan.n_steps)])

    cdef str line(self, int32_t k):
        text = step_line(&self.plan.steps[k])
        if self.is_deferred(k):
            text += ", gradient put off"
        return text


cdef bytearray input_flags(list kinds):
    cdef bytearray flags = bytearray(len(kinds))
    for k, kind in enumerate(kinds):
        flags[k] = ((MF_INPUT_IS_ROW if kind.startswith("lane") else 0)
                    | (MF_INPUT_WANTS if kind.endswith("grad") else 0))
    return flags


cdef bytearray places_of(list captured):
    """Where the data of each of these Values lies, as int32: in the order of their making."""
    cdef bytearray places = bytearray(4 * len(captured))
    cdef int32_t *place = <int32_t *><char *>places
    for k, v in enumerate(captured):
        if not isinstance(v, Value):
            raise TypeError(f"captured must be Values, one is {type(v).__name__!r}")
        place[<Py_ssize_t>k] = (<Value>v).id
    return places


def separate_dots(Program program not None, list kinds not None) -> Program:
    """The program with dots of one kind each, as a plan lays it out: products of uniform numbers,
    of a uniform and a row, or of two rows. Where it has no others, it comes back as it is. kinds:
    as a Plan takes them."""
    return separated(program, kinds, NULL)


cdef Program separated(Program program, list kinds, int32_t *moved):
    """moved: filled with the value there of each value, where it does not come back as it is; NULL:
    not wanted."""
    cdef Program made = Program()
    cdef mf_arena memory
    cdef mf_facts facts
    cdef bytearray inputs
    cdef bint mixed = False
    if len(kinds) != program.p.n_inputs:
        raise ValueError("kinds must name a kind for each input of the program")
    inputs = input_flags(kinds)
    memset(&memory, 0, sizeof(memory))
    facts = mf_facts_of(&program.p, <const uint8_t *><char *>inputs, &memory)
    made.p.failed = memory.failed
    if not memory.failed:
        mixed = mf_has_mixed_dots(&facts)
    if mixed:
        mf_separate_dots(&facts, &made.p, moved)
    mf_arena_free(&memory)
    made.check_memory()
    return made if mixed else program


# ---- steps as data ----


cdef object slots(int32_t slot, int64_t count=1, int64_t move=1):
    """A range of slots, which runs down where they are uniform numbers."""
    cdef int64_t step = move if slot >= 0 else -move
    if move == 0:
        return range(slot, slot + 1)
    return range(slot, slot + count * step, step)


cdef dict weighted(object w, object x, object bias):
    return {"w": w, "x": x} if bias is None else {"w": w, "x": x, "bias": bias}


cdef dict step_operands(const mf_plan *p, const mf_step *s):
    cdef const int32_t *args = p.args
    if s.kind == MF_STEP_DOT:
        pairs = integers(args + s.dot.args, 2 * (s.dot.n_rows + s.dot.n_pairs))
        bias = slots(s.dot.bias) if s.dot.bias != MF_NO_SLOT else None
        return weighted(pairs[::2], pairs[1::2], bias)
    if s.kind == MF_STEP_MATRIX:
        bias = (slots(s.matrix.bias, s.count, s.matrix.bias_move)
                if s.matrix.bias != MF_NO_SLOT else None)
        return weighted(slots(~s.matrix.w, s.matrix.n, s.matrix.w_col),
                        slots(s.matrix.x, s.matrix.n), bias)
    if s.kind == MF_STEP_INNER:
        bias = slots(s.inner.bias) if s.inner.bias != MF_NO_SLOT else None
        return weighted(slots(~s.inner.w, s.inner.n, s.inner.w_move),
                        slots(s.inner.x, s.inner.n), bias)
    if s.kind == MF_STEP_GATHER:
        return {"x": integers(args + s.gather.args, s.count)}
    if s.kind == MF_STEP_CHAIN:
        return {"x": slots(s.chain.x), "y": integers(args + s.chain.args, s.count)}
    if s.kind == MF_STEP_TAKE:
        return {"choices": integers(args + s.take.args, s.take.n), "index": slots(s.take.index)}
    if s.kind == MF_STEP_EXTREME:
        return {"choices": integers(args + s.extreme.args, s.extreme.n)}
    x = slots(s.ops.x, s.count, s.ops.x_move)
    if s.ops.y == MF_NO_SLOT:
        return {"x": x}
    return {"x": x, "y": slots(s.ops.y, s.count, s.ops.y_move)}


cdef dict step_sizes(const mf_step *s):
    if s.kind == MF_STEP_DOT:
        return {"count": s.count, "products": s.dot.n_rows + s.dot.n_pairs}
    if s.kind == MF_STEP_MATRIX:
        return {"count": s.count, "rows": s.count, "columns": s.matrix.n,
                "vectors": s.matrix.n_vectors, "w_row": s.matrix.w_row, "w_col": s.matrix.w_col,
                "vector_move": s.matrix.vector_move}
    if s.kind == MF_STEP_INNER:
        return {"count": s.count, "products": s.inner.n}
    if s.kind == MF_STEP_TAKE:
        return {"count": s.count, "choices": s.take.n}
    if s.kind == MF_STEP_EXTREME:
        return {"count": s.count, "choices": s.extreme.n}
    return {"count": s.count}


cdef object step_data(const mf_plan *p, int32_t k, bint deferred):
    cdef const mf_step *s = &p.steps[k]
    op = None
    if s.kind == MF_STEP_OPS:
        op = program_op_name(s.ops.op)
    elif s.kind == MF_STEP_CHAIN:
        op = program_op_name(s.chain.op)
    elif s.kind == MF_STEP_EXTREME:
        op = program_op_name(s.extreme.op)
    return PlanStep(STEP_KINDS[s.kind], op, slots(s.z, mf_n_results(s)), step_operands(p, s),
                    step_sizes(s), k >= p.n_uniform_steps, bool(s.wants_gradient), deferred)


# ---- listings ----


cdef str slot_text(int32_t slot, int64_t count=1, int32_t move=1):
    name = f"r{slot}" if slot >= 0 else f"u{~slot}"
    if count == 1 or move == 0:
        return name
    return f"{name}..{name[0]}{int(name[1:]) + (count - 1) * move}"


cdef str bias_text(int32_t bias, int32_t count=1, int32_t move=0):
    return f" + {slot_text(bias, count, move)}" if bias != MF_NO_SLOT else ""


cdef str step_line(const mf_step *s):
    return f"{slot_text(s.z, mf_n_results(s))} = {step_text(s)}"


cdef str step_text(const mf_step *s):
    if s.kind == MF_STEP_MATRIX:
        times = (f", {s.matrix.n_vectors} times by {s.matrix.vector_move}"
                 if s.matrix.n_vectors > 1 else "")
        return (f"matrix {s.count}x{s.matrix.n} at u{s.matrix.w} by {s.matrix.w_row}, "
                f"{s.matrix.w_col} * {slot_text(s.matrix.x, s.matrix.n)}"
                + bias_text(s.matrix.bias, s.count, s.matrix.bias_move) + times)
    if s.kind == MF_STEP_INNER:
        return (f"inner {slot_text(~s.inner.w, s.inner.n, s.inner.w_move)} * "
                + slot_text(s.inner.x, s.inner.n) + bias_text(s.inner.bias))
    if s.kind == MF_STEP_DOT:
        return f"dot of {s.dot.n_rows + s.dot.n_pairs} products" + bias_text(s.dot.bias)
    if s.kind == MF_STEP_CHAIN:
        return (f"chain of {s.count} {program_op_name(s.chain.op)} "
                f"from {slot_text(s.chain.x)}")
    if s.kind == MF_STEP_TAKE:
        return f"take of {s.take.n} by {slot_text(s.take.index)}"
    if s.kind == MF_STEP_EXTREME:
        return f"{program_op_name(s.extreme.op)} of {s.extreme.n} slots"
    if s.kind == MF_STEP_GATHER:
        return f"gather of {s.count} slots"
    text = f"{program_op_name(s.ops.op)} {slot_text(s.ops.x, s.count, s.ops.x_move)}"
    if s.ops.y == MF_NO_SLOT:
        return text
    return f"{text} {slot_text(s.ops.y, s.count, s.ops.y_move)}"


# ---- for tests: plans as plain data ----


cdef dict step_fields(const mf_step *s):
    """Those that a step of its kind has."""
    if s.kind == MF_STEP_OPS or s.kind == MF_STEP_DETACH:
        return s.ops
    if s.kind == MF_STEP_DOT:
        return s.dot
    if s.kind == MF_STEP_MATRIX:
        return s.matrix
    if s.kind == MF_STEP_INNER:
        return s.inner
    if s.kind == MF_STEP_GATHER:
        return s.gather
    if s.kind == MF_STEP_CHAIN:
        return s.chain
    if s.kind == MF_STEP_TAKE:
        return s.take
    return s.extreme


cdef mf_step step_from(dict parts) except *:
    cdef mf_step s
    memset(&s, 0, sizeof(s))
    s.kind = STEP_KINDS.index(parts["kind"]) if parts["kind"] in STEP_KINDS else MF_N_STEP_KINDS
    s.count, s.z, s.wants_gradient = parts["count"], parts["z"], parts["wants_gradient"]
    if s.kind == MF_STEP_OPS or s.kind == MF_STEP_DETACH:
        s.ops = parts
    elif s.kind == MF_STEP_DOT:
        s.dot = parts
    elif s.kind == MF_STEP_MATRIX:
        s.matrix = parts
    elif s.kind == MF_STEP_INNER:
        s.inner = parts
    elif s.kind == MF_STEP_GATHER:
        s.gather.args = parts["args"]
    elif s.kind == MF_STEP_CHAIN:
        s.chain = parts
    elif s.kind == MF_STEP_TAKE:
        s.take = parts
    elif s.kind == MF_STEP_EXTREME:
        s.extreme = parts
    return s


cdef list flags(const uint8_t *items, int32_t n):
    """Of a plan for values alone there are none."""
    return [items[k] if items is not NULL else 0 for k in range(n)]


cdef dict plan_parts(const mf_plan *p):
    cdef bytearray slots = bytearray(p.n_rows + p.n_uniforms)
    mf_mark_given(p, <uint8_t *><char *>slots)
    return {
        "steps": [{"kind": STEP_KINDS[p.steps[k].kind], "count": p.steps[k].count,
                   "z": p.steps[k].z, "wants_gradient": p.steps[k].wants_gradient,
                   **step_fields(&p.steps[k])} for k in range(p.n_steps)],
        "n_uniform_steps": p.n_uniform_steps,
        "args": list(integers(p.args, p.n_args)),
        "row_wants": flags(p.row_wants, p.n_rows),
        "uniform_wants": flags(p.uniform_wants, p.n_uniforms),
        "given": list(slots[p.n_rows:]),
        "wanted_rows": [p.wanted_rows[k] for k in range(p.n_wanted_rows)],
        "summed_uniforms": [p.summed_uniforms[k] for k in range(p.n_summed_uniforms)],
        "n_columns": p.n_columns,
        "outputs": list(integers(p.outputs, p.n_outputs)),
        "tile": p.tile,
        "scratch": p.scratch,
    }


cdef Block filled(size_t size):
    """An empty block that has memory, for items of that size."""
    cdef Block block = Block(size)
    cdef char nothing[256]
    memset(nothing, 0, sizeof(nothing))
    block.add(nothing)
    block.n = 0
    return block


cdef Block block_of(list items, size_t size):
    """Of integers: bytes or int32."""
    cdef Block block = filled(size)
    cdef uint8_t byte
    for item in items:
        if size == 1:
            byte = item
            block.add(&byte)
        else:
            block.add_int(item)
    return block


cdef Block ranges_of(list items):
    cdef Block block = filled(sizeof(mf_range))
    cdef mf_range run
    for item in items:
        run = item
        block.add(&run)
    return block


@cython.internal
cdef class PlanOfParts:
    """A plan that is given as data, whatever that says."""
    cdef mf_plan p
    cdef Block steps, wanted_rows, summed_uniforms, args, outputs, row_wants, uniform_wants

    def __init__(self, dict parts):
        cdef mf_plan *p = &self.p
        cdef mf_step step
        self.steps = filled(sizeof(mf_step))
        for item in parts["steps"]:
            step = step_from(item)
            self.steps.add(&step)
        self.args, self.outputs = block_of(parts["args"], 4), block_of(parts["outputs"], 4)
        self.row_wants = block_of(parts["row_wants"], 1)
        self.uniform_wants = block_of(parts["uniform_wants"], 1)
        self.wanted_rows = ranges_of(parts["wanted_rows"])
        self.summed_uniforms = ranges_of(parts["summed_uniforms"])
        p.steps, p.n_steps = <mf_step *>self.steps.data, self.steps.n
        p.n_uniform_steps = parts["n_uniform_steps"]
        p.args, p.n_args = <int32_t *>self.args.data, self.args.n
        p.n_rows, p.row_wants = self.row_wants.n, <uint8_t *>self.row_wants.data
        p.n_uniforms, p.uniform_wants = self.uniform_wants.n, <uint8_t *>self.uniform_wants.data
        p.wanted_rows = <mf_range *>self.wanted_rows.data
        p.n_wanted_rows = self.wanted_rows.n
        p.summed_uniforms = <mf_range *>self.summed_uniforms.data
        p.n_summed_uniforms = self.summed_uniforms.n
        p.n_columns, p.tile, p.scratch = parts["n_columns"], parts["tile"], parts["scratch"]
        p.outputs, p.n_outputs = <int32_t *>self.outputs.data, self.outputs.n


def _plan_fault(dict parts not None):
    """Test hook: what the verifier says of a plan that is given as data, (step, fault) or None."""
    cdef PlanOfParts plan = PlanOfParts(parts)
    cdef int32_t number = -1
    cdef bytearray slots = bytearray(plan.p.n_rows) + bytes(parts["given"])
    cdef const char *fault = mf_plan_fault(&plan.p, <uint8_t *><char *>slots, &number)
    return None if fault is NULL else (number, fault.decode())


def _values_fault(dict parts not None, dict value_parts not None):
    """Test hook: the same of a plan for values alone, beside the valid plan that it is made of."""
    cdef PlanOfParts whole = PlanOfParts(parts), values = PlanOfParts(value_parts)
    cdef mf_arena memory
    cdef int32_t number = -1
    cdef const char *fault
    memset(&memory, 0, sizeof(memory))
    fault = mf_values_fault(&whole.p, &values.p, &memory, &number)
    mf_arena_free(&memory)
    return None if fault is NULL else (number, fault.decode())
