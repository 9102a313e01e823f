# A Plan: a program laid out in slots, ready for replay.h, with the nodes it reads.
#
# What depends on a sample is a row of lanes; everything else is uniform and computed once a call.
# Values that no gradient is asked for are known beforehand and cost nothing on the way back.

from base.eval cimport (MF_CHAIN, MF_DOT, MF_GATHER, MF_INNER, MF_LARGEST, MF_MATRIX, MF_SMALLEST,
                        MF_TAKE)
from plan.step cimport MF_LANE_BLOCK, MF_NO_SLOT, mf_plan, mf_range, mf_step

cdef enum:
    TILE_BYTES = 65536            # a tile's rows and adjoints: about the first cache level
    LARGE_TILE_BYTES = 2097152    # the second one, for programs with large matrices
    MAX_TILE = 256


cdef class Plan:
    """What compile() runs. kinds: per input of the program, one of 'lane' (a column of an array),
    'lane grad', 'uniform', 'uniform grad'."""
    cdef readonly Program program
    cdef readonly list captured      # Values, by the program's numbering
    cdef mf_plan plan
    cdef Block steps, lane_steps     # in the end all in `steps`, uniform ones first
    cdef Block args, row_wants, uniform_wants, outputs, wanted_rows, summed_uniforms
    cdef Block numbers               # (slot, number) pairs
    cdef Block captured_slots        # per captured node, MF_NO_SLOT if the program lost it
    cdef Block input_slots           # the same per input
    cdef bint valid                  # made and verified

    def __cinit__(self):
        # All but `lane_steps` stay, so that a plan that was never filled is an empty one.
        self.steps = Block(sizeof(mf_step))
        self.lane_steps = Block(sizeof(mf_step))
        self.numbers = Block(sizeof(number_slot))
        self.args = Block(sizeof(int32_t))
        self.outputs = Block(sizeof(int32_t))
        self.captured_slots = Block(sizeof(int32_t))
        self.input_slots = Block(sizeof(int32_t))
        self.row_wants = Block(1)
        self.uniform_wants = Block(1)
        self.wanted_rows = Block(sizeof(mf_range))
        self.summed_uniforms = Block(sizeof(mf_range))

    def __init__(self, Program program not None, list captured not None, list kinds not None):
        if self.program is not None:   # calls may be running on it
            raise TypeError("a Plan is made once")
        program.verify()
        if len(kinds) != program.n_inputs or len(captured) != program.n_params:
            raise ValueError("the program has other inputs or captured nodes than given")
        for v in captured:
            if not isinstance(v, Value):
                raise TypeError(f"captured must be Values, one is {type(v).__name__!r}")
        self.program = program
        self.captured = captured
        Layout(self, separate_dots(program, kinds), kinds).lay_out()
        self.finish()
        self.valid = True

    cdef bint is_used(self, int32_t input) noexcept:
        return (input < self.input_slots.n
                and (<int32_t *>self.input_slots.data)[input] != MF_NO_SLOT)

    cdef int finish(self) except -1:
        cdef int32_t k
        self.find_runs(self.row_wants, self.wanted_rows)
        self.plan.n_uniform_steps = self.steps.n
        for k in range(self.lane_steps.n):
            self.steps.add(self.lane_steps.data + k * sizeof(mf_step))
        self.lane_steps = None
        self.plan.n_steps = self.steps.n
        self.plan.steps = <mf_step *>self.steps.data
        self.plan.args = <int32_t *>self.args.data
        self.plan.n_args = self.args.n
        self.plan.n_rows = self.row_wants.n
        self.plan.n_uniforms = self.uniform_wants.n
        self.plan.row_wants = <uint8_t *>self.row_wants.data
        self.plan.uniform_wants = <uint8_t *>self.uniform_wants.data
        self.plan.wanted_rows = <mf_range *>self.wanted_rows.data
        self.plan.n_wanted_rows = self.wanted_rows.n
        self.plan.summed_uniforms = <mf_range *>self.summed_uniforms.data
        self.plan.n_summed_uniforms = self.summed_uniforms.n
        self.plan.outputs = <int32_t *>self.outputs.data
        self.plan.n_outputs = self.outputs.n
        self.plan.tile = self.best_tile()
        self.plan.partly_used = self.outputs.n > 1 or self.has_step(MF_TAKE)
        return verify_plan(self, None)

    cdef int32_t best_tile(self) except -1:
        """Lanes a row; and the room that matrix steps need for a transposed operand. A matrix is
        read once a tile: a tile has as many lanes as make that as cheap as reading the rows."""
        cdef int64_t tile, bytes_per_lane = 16 * max(<int64_t>self.plan.n_rows, 1), n_weights = 0
        cdef int32_t k
        cdef const mf_step *s = self.plan.steps
        for k in range(self.plan.n_uniform_steps, self.plan.n_steps):
            if s[k].op == MF_MATRIX:
                n_weights += <int64_t>s[k].n * s[k].count
                self.plan.scratch = max(self.plan.scratch, max(s[k].n, s[k].count) + MF_LANE_BLOCK)
        tile = max(TILE_BYTES // bytes_per_lane,
                   min(64 * n_weights // bytes_per_lane, LARGE_TILE_BYTES // bytes_per_lane))
        tile = min(tile, <int64_t>MAX_TILE) // MF_LANE_BLOCK * MF_LANE_BLOCK
        return <int32_t>max(tile, <int64_t>MF_LANE_BLOCK)

    cdef bint has_step(self, int32_t op) noexcept:
        cdef int32_t k
        for k in range(self.plan.n_steps):
            if self.plan.steps[k].op == op:
                return True
        return False

    cdef int find_runs(self, Block flags, Block runs) except -1:
        """The runs of bytes that are not zero."""
        cdef mf_range run
        cdef int32_t k = 0
        cdef uint8_t *flag = <uint8_t *>flags.data
        while k < flags.n:
            run.first = k
            while k < flags.n and flag[k]:
                k += 1
            run.n = k - run.first
            if run.n:
                runs.add(&run)
            k += 1
        return 0

    cdef int find_sole_users(self, const int32_t *uses) except -1:
        """Which matrix steps over lanes may set the adjoints of their weights, and the runs of
        uniform slots where adjoints are summed up: all others. uses: how often each uniform slot
        is an operand or a result of the program; 0 for what only a copy fills."""
        cdef Block summed = Block(1)
        cdef mf_step *s = <mf_step *>self.lane_steps.data
        cdef uint8_t flag = 1
        cdef int32_t i, m, j
        for m in range(self.uniform_wants.n):
            summed.add(&flag)
        for i in range(self.lane_steps.n):
            if s[i].op != MF_MATRIX or not s[i].wants_w or not s[i].wants_gradient:
                continue
            s[i].sole_user = True
            for m in range(s[i].count):
                for j in range(s[i].n):
                    if uses[s[i].w + m * s[i].w_row + j * s[i].w_col] != 1:
                        s[i].sole_user = False
            if s[i].sole_user:
                for m in range(s[i].count):
                    for j in range(s[i].n):
                        summed.data[s[i].w + m * s[i].w_row + j * s[i].w_col] = 0
        return self.find_runs(summed, self.summed_uniforms)

    def describe(self) -> dict:
        """Sizes: steps, matrix steps among them, slots, lanes a tile, bytes of a workspace."""
        cdef int32_t k, n_matrices = 0
        for k in range(self.plan.n_steps):
            n_matrices += self.plan.steps[k].op == MF_MATRIX
        return {"uniform steps": self.plan.n_uniform_steps,
                "lane steps": self.plan.n_steps - self.plan.n_uniform_steps,
                "matrix steps": n_matrices,
                "rows": self.plan.n_rows, "uniform slots": self.plan.n_uniforms,
                "tile": self.plan.tile if self.plan.n_rows else 1,
                "workspace bytes": 8 * (workspace_doubles(&self.plan) + 2 * self.plan.n_uniforms)}

    def _parts(self) -> dict:
        """Test hook: all that the executor knows, as plain data that _plan_fault takes."""
        return plan_parts(self)

    def listing(self) -> str:
        """A line a step: the slots that it fills, r0 a row, u0 a uniform number, and from what."""
        cdef int32_t k
        return "\n".join([step_line(&self.plan.steps[k]) for k in range(self.plan.n_steps)])


cdef str slot_text(int32_t slot, int32_t count=1, int32_t move=1):
    name = f"r{slot}" if slot >= 0 else f"u{~slot}"
    if count == 1 or move == 0:
        return name
    return f"{name}..{name[0]}{int(name[1:]) + (count - 1) * move}"


cdef str step_line(const mf_step *s):
    text = f"{slot_text(s.z, s.count * max(s.n_vectors, 1))} = {step_name(s.op)} "
    bias = f" + {slot_text(s.y, s.count, s.y_move)}" if s.y != MF_NO_SLOT else ""
    if s.op == MF_MATRIX:
        return (text + f"{s.count}x{s.n} at u{s.w} by {s.w_row}, {s.w_col} * "
                + slot_text(s.x, s.n) + bias
                + (f", {s.n_vectors} times by {s.x_step}" if s.n_vectors > 1 else "")
                + (", gradient put off" if s.puts_off else ""))
    if s.op == MF_INNER:
        return text + f"{slot_text(~s.w, s.n, s.w_col)} * {slot_text(s.x, s.n)}" + bias
    if s.op == MF_DOT:
        return text + f"of {s.n_rows + s.n_pairs} products" + bias
    if s.op == MF_CHAIN:
        return text + f"of {s.count} {program_op_name(s.link)} from {slot_text(s.x)}"
    if s.op == MF_TAKE:
        return text + f"of {s.n_rows} by {slot_text(s.y)}"
    if s.op == MF_LARGEST or s.op == MF_SMALLEST:
        return text + f"of {s.n_rows} slots"
    if s.op == MF_GATHER:
        return text + f"of {s.count} slots"
    text += slot_text(s.x, s.count, s.x_move)
    return text + (f" {slot_text(s.y, s.count, s.y_move)}" if s.y != MF_NO_SLOT else "")


cdef str step_name(int32_t op):
    return {MF_MATRIX: "matrix", MF_INNER: "inner", MF_GATHER: "gather",
            MF_CHAIN: "chain"}.get(op) \
        or program_op_name(op)


cdef struct number_slot:
    int32_t slot
    double number


cdef uint64_t workspace_doubles(const mf_plan *p) noexcept nogil:
    return 2 * <uint64_t>p.n_rows * p.tile + <uint64_t>p.scratch * (p.tile + 8) + MF_LANE_BLOCK
