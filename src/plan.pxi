# A Plan: a program laid out in slots, ready for replay.h, with the nodes it reads. Needs store.pxi,
# state.pxi and program.pxi.
#
# What depends on a sample is a row of lanes; everything else is uniform and computed once a call.
# Values that no gradient is asked for are known beforehand and cost nothing on the way back.

cdef extern from "replay.h" nogil:
    enum:
        MF_NO_SLOT
        MF_REPLAY_OK
        MF_REPLAY_INDEX
    ctypedef struct mf_kernels:
        const char *name
    ctypedef struct mf_step:
        int32_t op, z, x, y, args, n_rows, n_pairs
        uint8_t wants_gradient
    ctypedef struct mf_column:
        const double *data
        long stride
        double *grad
    ctypedef struct mf_plan:
        const mf_step *steps
        int32_t n_uniform_steps, n_steps
        const int32_t *args
        int32_t n_rows, n_uniforms
        const uint8_t *row_wants
        const uint8_t *uniform_wants
        int32_t n_columns
        const int32_t *outputs
        int32_t n_outputs
        int32_t tile
    ctypedef struct mf_workspace:
        double *uniforms
        double *uniform_grads
        double *rows
        double *row_grads
    ctypedef struct mf_job:
        long n_samples
        const mf_column *columns
        double *outputs
        const double *seeds
        bint backward
    const mf_kernels *mf_choose_kernels(const char *name)
    int mf_replay(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                  const mf_job *job)

cdef const mf_kernels *kernels = mf_choose_kernels(NULL)

# A tile's rows and their adjoints should stay in the second cache level at most.
cdef enum:
    TILE_BYTES = 262144
    MAX_TILE = 256
    MIN_TILE = 8


def kernel_variant() -> str:
    """The instruction set of the lane kernels in use: avx512, avx2 or portable."""
    return (<bytes>kernels.name).decode()


def _set_kernel_variant(str name) -> bool:
    """Test hook: use the named variant; False where this machine cannot run it."""
    global kernels
    cdef bytes text = name.encode() if name is not None else b""
    cdef const mf_kernels *chosen = mf_choose_kernels(<char *>text if name is not None else NULL)
    if chosen is NULL:
        return False
    kernels = chosen
    return True


@cython.internal
cdef class Block:
    """A growing block of memory that goes with its owner."""
    cdef char *data
    cdef int32_t n, cap
    cdef size_t size

    def __cinit__(self, size_t size):
        self.size = size

    def __dealloc__(self):
        free(self.data)

    cdef int32_t add(self, const void *item) except -1:
        if self.n == self.cap:
            self.data = <char *>grown(self.data, &self.cap, self.size)
        memcpy(self.data + self.n * self.size, item, self.size)
        self.n += 1
        return self.n - 1

    cdef int32_t add_int(self, int32_t item) except -1:
        return self.add(&item)


cdef class Plan:
    """What compile() runs. kinds: per input of the program, one of 'lane' (a column of an array),
    'lane grad', 'uniform', 'uniform grad'."""
    cdef readonly Program program
    cdef readonly list captured      # Values, by the program's numbering
    cdef mf_plan plan
    cdef Block steps, uniform_steps, args, row_wants, uniform_wants, outputs
    cdef Block numbers               # (slot, number) pairs
    cdef Block captured_slots        # per captured node, MF_NO_SLOT if the program lost it
    cdef Block input_slots           # the same per input
    cdef mf_workspace idle           # a workspace that no call uses right now
    cdef bint has_idle

    def __init__(self, Program program, list captured, list kinds):
        program.verify()
        if len(kinds) != program.n_inputs or len(captured) != program.n_params:
            raise ValueError("the program has other inputs or captured nodes than given")
        self.program = program
        self.captured = captured
        self.steps = Block(sizeof(mf_step))
        self.uniform_steps = Block(sizeof(mf_step))
        self.numbers = Block(sizeof(number_slot))
        self.args = Block(sizeof(int32_t))
        self.outputs = Block(sizeof(int32_t))
        self.captured_slots = Block(sizeof(int32_t))
        self.input_slots = Block(sizeof(int32_t))
        self.row_wants = Block(1)
        self.uniform_wants = Block(1)
        Layout(self, kinds).lay_out()
        self.finish()

    def __dealloc__(self):
        if self.has_idle:
            free_workspace(&self.idle)

    cdef int finish(self) except -1:
        cdef int32_t k
        cdef int64_t rows = self.row_wants.n
        for k in range(self.steps.n):
            self.uniform_steps.add(self.steps.data + k * sizeof(mf_step))
        self.plan.n_uniform_steps = self.uniform_steps.n - self.steps.n
        self.plan.n_steps = self.uniform_steps.n
        self.plan.steps = <mf_step *>self.uniform_steps.data
        self.plan.args = <int32_t *>self.args.data
        self.plan.n_rows = self.row_wants.n
        self.plan.n_uniforms = self.uniform_wants.n
        self.plan.row_wants = <uint8_t *>self.row_wants.data
        self.plan.uniform_wants = <uint8_t *>self.uniform_wants.data
        self.plan.outputs = <int32_t *>self.outputs.data
        self.plan.n_outputs = self.outputs.n
        self.plan.tile = MAX_TILE
        while self.plan.tile > MIN_TILE and rows * self.plan.tile * 16 > TILE_BYTES:
            self.plan.tile //= 2
        if rows == 0:
            self.plan.tile = 1
        return 0

    def describe(self) -> dict:
        """Sizes: steps, slots, lanes a tile, bytes of a workspace."""
        cdef size_t doubles = 2 * (<size_t>self.plan.n_rows * self.plan.tile + self.plan.n_uniforms)
        return {"uniform steps": self.plan.n_uniform_steps,
                "lane steps": self.plan.n_steps - self.plan.n_uniform_steps,
                "rows": self.plan.n_rows, "uniform slots": self.plan.n_uniforms,
                "tile": self.plan.tile, "workspace bytes": doubles * 8}


cdef struct number_slot:
    int32_t slot
    double number


@cython.internal
cdef class Layout:
    """Gives every value of a program a slot and every instruction its step."""
    cdef Plan plan
    cdef Program program
    cdef list kinds
    cdef bytearray slot_of, wanted
    cdef int32_t *slots    # by value: a row >= 0 or a uniform slot < 0
    cdef char *wants       # by value: whether its adjoint is needed

    def __init__(self, Plan plan, list kinds):
        cdef int32_t k
        self.plan = plan
        self.program = plan.program
        self.kinds = kinds
        self.slot_of = bytearray(4 * (len(plan.program) + 1))
        self.wanted = bytearray(len(plan.program) + 1)
        self.slots = <int32_t *><char *>self.slot_of
        self.wants = <char *>self.wanted
        for k in range(plan.program.n_params):
            plan.captured_slots.add_int(MF_NO_SLOT)
        for k in range(plan.program.n_inputs):
            plan.input_slots.add_int(MF_NO_SLOT)

    cdef int32_t new_slot(self, bint row, bint wants) except? -1:
        cdef uint8_t flag = wants
        if row:
            return self.plan.row_wants.add(&flag)
        return ~self.plan.uniform_wants.add(&flag)

    cdef int lay_out(self) except -1:
        cdef int32_t k
        cdef instruction i
        # Rows 0, 1, ... are the columns that the inputs load.
        for k in range(len(self.program)):
            i = self.program.code[k]
            if i.op == MF_INPUT and self.kinds[i.x].startswith("lane"):
                self.place_input(k, i.x)
        self.plan.plan.n_columns = self.plan.row_wants.n
        for k in range(len(self.program)):
            i = self.program.code[k]
            if i.op == MF_INPUT:
                if not self.kinds[i.x].startswith("lane"):
                    self.place_input(k, i.x)
            elif i.op == MF_CAPTURED or i.op == MF_NUMBER:
                self.place_uniform(k, i)
            elif i.op == MF_DOT:
                self.place_dot(k, i)
            else:
                self.place_step(k, i)
        for v in self.program.outputs:
            self.plan.outputs.add_int(self.slots[<int32_t>v])
        return 0

    cdef int place_input(self, int32_t k, int32_t which) except -1:
        kind = self.kinds[which]
        self.wants[k] = kind.endswith("grad")
        self.slots[k] = self.new_slot(kind.startswith("lane"), self.wants[k])
        (<int32_t *>self.plan.input_slots.data)[which] = self.slots[k]
        return 0

    cdef int place_uniform(self, int32_t k, instruction i) except -1:
        cdef number_slot pair
        self.wants[k] = i.op == MF_CAPTURED
        self.slots[k] = self.new_slot(False, self.wants[k])
        if i.op == MF_CAPTURED:
            (<int32_t *>self.plan.captured_slots.data)[i.x] = self.slots[k]
        else:
            pair.slot = self.slots[k]
            pair.number = self.program.numbers[i.x]
            self.plan.numbers.add(&pair)
        return 0

    cdef int add_step(self, mf_step *step, bint row) except -1:
        (self.plan.steps if row else self.plan.uniform_steps).add(step)
        return 0

    cdef int place_step(self, int32_t k, instruction i) except -1:
        """An op of the table, take or detach."""
        cdef mf_step step
        cdef bint row, wants
        cdef int32_t j, from_
        memset(&step, 0, sizeof(step))
        step.op = i.op
        step.x = step.y = MF_NO_SLOT
        if i.op == MF_TAKE:
            step.y = self.slots[i.y]
            row = step.y >= 0
            wants = False
            step.args = self.plan.args.n
            step.n_rows = i.n
            for j in range(i.n):
                from_ = self.program.args[i.x + j]
                self.plan.args.add_int(self.slots[from_])
                row = row or self.slots[from_] >= 0
                wants = wants or self.wants[from_]
        else:
            step.x = self.slots[i.x]
            row = step.x >= 0
            wants = self.wants[i.x] and i.op != MF_DETACH
            if has_y(i.op):
                step.y = self.slots[i.y]
                row = row or step.y >= 0
                wants = wants or self.wants[i.y]
        self.wants[k] = wants
        self.slots[k] = step.z = self.new_slot(row, wants)
        step.wants_gradient = wants
        return self.add_step(&step, row)

    cdef int place_dot(self, int32_t k, instruction i) except -1:
        """Products of two uniforms make a uniform dot of their own, the bias of the lanes' dot."""
        cdef mf_step step
        cdef int32_t j, a, b
        cdef list uniform = [], mixed = [], rows = []
        cdef bint wants = i.y >= 0 and self.wants[i.y]
        for j in range(i.n):
            a = self.program.args[i.x + 2 * j]
            b = self.program.args[i.x + 2 * j + 1]
            wants = wants or self.wants[a] or self.wants[b]
            if self.slots[a] >= 0 and self.slots[b] >= 0:
                rows.append((a, b))
            elif self.slots[a] < 0 and self.slots[b] < 0:
                uniform.append((a, b))
            else:
                mixed.append((a, b) if self.slots[a] < 0 else (b, a))
        memset(&step, 0, sizeof(step))
        step.op = MF_DOT
        step.x = MF_NO_SLOT
        step.y = self.slots[i.y] if i.y >= 0 else MF_NO_SLOT
        step.wants_gradient = wants
        self.wants[k] = wants
        if uniform:
            if i.y >= 0 and step.y >= 0 and (mixed or rows):
                self.fill_dot(&step, [], uniform, MF_NO_SLOT)
            else:
                self.fill_dot(&step, [], uniform, step.y if step.y < 0 else MF_NO_SLOT)
            step.z = self.new_slot(False, wants)
            self.add_step(&step, False)
            if not mixed and not rows and (i.y < 0 or self.slots[i.y] < 0):
                self.slots[k] = step.z
                return 0
            return self.place_rest(k, i, step.z, mixed, rows, wants)
        self.fill_dot(&step, mixed, rows, step.y)
        self.slots[k] = step.z = self.new_slot(True, wants)
        return self.add_step(&step, True)

    cdef int fill_dot(self, mf_step *step, list mixed, list pairs, int32_t bias) except -1:
        step.y = bias
        step.args = self.plan.args.n
        step.n_rows = <int32_t>len(mixed)
        step.n_pairs = <int32_t>len(pairs)
        for a, b in mixed + pairs:
            self.plan.args.add_int(self.slots[<int32_t>a])
            self.plan.args.add_int(self.slots[<int32_t>b])
        return 0

    cdef int place_rest(self, int32_t k, instruction i, int32_t uniform_sum, list mixed, list rows,
                        bint wants) except -1:
        """The lanes' part of a dot whose uniform part stands in uniform_sum."""
        cdef mf_step step
        cdef bint row_bias = i.y >= 0 and self.slots[i.y] >= 0
        memset(&step, 0, sizeof(step))
        step.op = MF_DOT
        step.x = MF_NO_SLOT
        step.wants_gradient = wants
        if row_bias:
            # row bias + uniform sum: an add of its own
            step.op = MF_ADD
            step.x = self.slots[i.y]
            step.y = uniform_sum
            step.z = self.new_slot(True, wants)
            self.add_step(&step, True)
            uniform_sum = step.z
            step.op = MF_DOT
            step.x = MF_NO_SLOT
        if not mixed and not rows:
            self.slots[k] = uniform_sum
            return 0
        self.fill_dot(&step, mixed, rows, uniform_sum)
        self.slots[k] = step.z = self.new_slot(True, wants)
        return self.add_step(&step, True)


cdef bint make_workspace(const mf_plan *p, mf_workspace *ws) noexcept nogil:
    """False when memory has run out."""
    cdef size_t rows = <size_t>p.n_rows * p.tile
    cdef double *block = <double *>resized(NULL, (2 * (rows + p.n_uniforms) + 8) * sizeof(double))
    if block is NULL:
        return False
    ws.uniforms = block
    ws.uniform_grads = block + p.n_uniforms
    ws.rows = block + 2 * p.n_uniforms
    ws.row_grads = ws.rows + rows
    return True


cdef void free_workspace(mf_workspace *ws) noexcept nogil:
    free(ws.uniforms)
