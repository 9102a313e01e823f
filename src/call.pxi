# A call of a compiled function, and how its results stand in the eager graph. Needs plan.pxi.
#
# A call makes one hub node over the nodes that it read, and results over the hub. Backward runs the
# results' hooks first, each of which adds its grad to the call's seeds; then the hub's, which
# passes the gradients on. Where there is one output and all samples count alike (a mean, a sum, a
# single call), the gradient was computed together with the value, while the tile was in cache.


cdef class Call:
    """What one call keeps until its gradients are passed on."""
    cdef Plan plan
    cdef list arrays           # per array argument: (first input, number of inputs, buffer)
    cdef list numbers          # per input: a float, a Value, or None for a column
    cdef readonly long n_samples
    cdef bytearray grads       # of uniform slots for a seed of one; None: not computed
    cdef bytearray uniforms    # captured data and numbers of this moment
    cdef bytearray uniform_seeds, seeds
    cdef list sinks            # of gradients of columns: (first input, a Call or a float64 buffer)

    def __init__(self, Plan plan, list arrays, list numbers, long n_samples, list sinks):
        self.plan = plan
        self.arrays = arrays
        self.numbers = numbers
        self.n_samples = n_samples
        self.sinks = sinks

    def run(self, outputs, bint backward, bint column_grads=False):
        """Fills outputs, a float64 buffer of n_samples * n_outputs; with backward, for one output,
        the gradients for a seed of one a sample too; with column_grads also those of columns."""
        self.uniforms = self.read_uniforms()
        if backward:
            self.grads = bytearray(8 * self.plan.plan.n_uniforms)
        if self.n_samples:
            self.replay(outputs, None, backward, column_grads)

    cdef bytearray read_uniforms(self):
        """Data of captured nodes, uniform arguments and numbers, by slot."""
        cdef Plan plan = self.plan
        cdef bytearray block = bytearray(8 * plan.plan.n_uniforms)
        cdef double *u = <double *><char *>block
        cdef int32_t k, slot
        cdef number_slot *pair = <number_slot *>plan.numbers.data
        for k in range(plan.numbers.n):
            u[~pair[k].slot] = pair[k].number
        for k in range(plan.captured_slots.n):
            slot = (<int32_t *>plan.captured_slots.data)[k]
            if slot != MF_NO_SLOT:
                u[~slot] = nodes[(<Value>plan.captured[k]).id].data
        for k in range(plan.input_slots.n):
            slot = (<int32_t *>plan.input_slots.data)[k]
            number = self.numbers[k]
            if slot == MF_NO_SLOT or number is None:
                continue
            u[~slot] = nodes[(<Value>number).id].data if isinstance(number, Value) else number
        return block

    cdef int replay(self, object outputs, object seeds, bint backward, bint column_grads) except -1:
        """One run of the plan. column_grads: the sinks get the gradients of their columns."""
        cdef Plan plan = self.plan
        cdef mf_workspace ws
        cdef mf_job job
        cdef Block columns = Block(sizeof(mf_column))
        cdef list grads = []
        cdef int error
        cdef size_t n_bytes = 8 * <size_t>plan.plan.n_uniforms
        cdef char *saved = <char *>self.uniforms
        cdef const unsigned char[::1] seed_view
        cdef unsigned char[::1] output_view = memoryview(outputs).cast("B")
        self.fill_columns(columns, grads, column_grads)
        job.n_samples = self.n_samples
        job.columns = <mf_column *>columns.data
        job.outputs = <double *>&output_view[0] if len(output_view) else NULL
        job.seeds = NULL
        if seeds is not None:
            seed_view = seeds
            job.seeds = <const double *>&seed_view[0]
        job.backward = backward
        if plan.has_idle:
            ws = plan.idle
            plan.has_idle = False
        elif not make_workspace(&plan.plan, &ws):
            raise MemoryError("no room for the workspace of a compiled function")
        memcpy(ws.uniforms, saved, n_bytes)
        with nogil:
            error = mf_replay(&plan.plan, kernels, &ws, &job)
        if backward and not error:
            memcpy(<char *>self.grads, ws.uniform_grads, n_bytes)
        if plan.has_idle:
            free_workspace(&ws)
        else:
            plan.idle = ws
            plan.has_idle = True
        if error == MF_REPLAY_INDEX:
            raise IndexError("mg.take: an index is out of range or no whole number")
        for call, block in grads:
            (<Call>call).add_seeds(block)
        return 0

    cdef int fill_columns(self, Block columns, list grads, bint column_grads) except -1:
        """A column for each input that is a row, in the order of the rows."""
        cdef mf_column column
        cdef int32_t k, j
        cdef const unsigned char[::1] data
        cdef unsigned char[::1] into
        cdef int32_t *slots = <int32_t *>self.plan.input_slots.data
        memset(&column, 0, sizeof(column))
        for k in range(self.plan.plan.n_columns):
            columns.add(&column)
        for k in range(len(self.arrays)):
            first, width, buffer = self.arrays[k]
            data = memoryview(buffer).cast("B")
            sink = next((s for f, s in self.sinks if f == first), None) if column_grads else None
            if isinstance(sink, Call):
                grads.append((sink, bytearray(len(data))))
                into = grads[len(grads) - 1][1]
            elif sink is not None:
                into = memoryview(sink).cast("B")
            for j in range(width):
                if slots[<int32_t>first + j] == MF_NO_SLOT:
                    continue
                column.data = (<const double *>&data[0]) + j if len(data) else NULL
                column.stride = width
                column.grad = NULL
                if sink is not None:
                    column.grad = (<double *>&into[0]) + j
                (<mf_column *>columns.data)[slots[<int32_t>first + j]] = column
        return 0

    def add_uniform_seed(self, int k, double seed):
        """Output k of every sample counts seed more."""
        if self.uniform_seeds is None:
            self.uniform_seeds = bytearray(8 * self.plan.plan.n_outputs)
        (<double *><char *>self.uniform_seeds)[k] += seed

    def add_seed(self, long sample, int k, double seed):
        """Output k of one sample counts seed more."""
        self.make_seeds()
        (<double *><char *>self.seeds)[sample * self.plan.plan.n_outputs + k] += seed

    def add_seeds(self, block):
        """Every output of every sample counts as much more as a float64 buffer says."""
        cdef const double[::1] more = memoryview(block).cast("B").cast("d")
        cdef double *seeds
        cdef Py_ssize_t k
        self.make_seeds()
        seeds = <double *><char *>self.seeds
        for k in range(len(more)):
            seeds[k] += more[k]

    cdef int make_seeds(self) except -1:
        if self.seeds is None:
            self.seeds = bytearray(8 * self.n_samples * self.plan.plan.n_outputs)
        return 0

    def backward(self):
        """The hub's step: what the seeds are worth goes to every node that the call read."""
        cdef double scale = 1.0
        cdef int32_t k, n_outputs = self.plan.plan.n_outputs
        cdef Py_ssize_t j
        cdef double *seeds
        uniform, self.uniform_seeds = self.uniform_seeds, None
        explicit, self.seeds = self.seeds, None
        if self.n_samples == 0 or (uniform is None and explicit is None):
            return
        if explicit is None and n_outputs == 1 and self.grads is not None and not self.sinks:
            scale = (<double *><char *>uniform)[0]
        else:
            if explicit is None:
                explicit = bytearray(8 * self.n_samples * n_outputs)
            seeds = <double *><char *>explicit
            for j in range(self.n_samples * n_outputs if uniform is not None else 0):
                seeds[j] += (<double *><char *>uniform)[j % n_outputs]
            self.grads = bytearray(8 * self.plan.plan.n_uniforms)
            self.replay(bytearray(8 * self.n_samples * n_outputs), explicit, True, True)
        self.pass_on(scale)
        if n_outputs != 1 or explicit is not None:
            self.grads = None

    cdef int pass_on(self, double scale) except -1:
        cdef double *g = <double *><char *>self.grads
        cdef int32_t k, slot
        for k in range(self.plan.captured_slots.n):
            slot = (<int32_t *>self.plan.captured_slots.data)[k]
            if slot != MF_NO_SLOT:
                nodes[(<Value>self.plan.captured[k]).id].grad += scale * g[~slot]
        for k in range(self.plan.input_slots.n):
            slot = (<int32_t *>self.plan.input_slots.data)[k]
            if slot != MF_NO_SLOT and isinstance(self.numbers[k], Value):
                nodes[(<Value>self.numbers[k]).id].grad += scale * g[~slot]
        return 0

    def gradients(self):
        """(per captured node, per input) the gradients of the last run with backward, as floats."""
        cdef double *g = <double *><char *>self.grads
        cdef int32_t k, slot
        captured, inputs = [], []
        for k in range(self.plan.captured_slots.n):
            slot = (<int32_t *>self.plan.captured_slots.data)[k]
            captured.append(g[~slot] if slot != MF_NO_SLOT else 0.0)
        for k in range(self.plan.input_slots.n):
            slot = (<int32_t *>self.plan.input_slots.data)[k]
            inputs.append(g[~slot] if slot != MF_NO_SLOT and slot < 0 else 0.0)
        return captured, inputs

    def hub(self, batch_hubs):
        """The node through which gradients reach what the call read; a Value."""
        children = [v for v in [*self.plan.captured, *self.numbers, *batch_hubs]
                    if isinstance(v, Value) and (nodes[(<Value>v).id].op != MF_LEAF
                                                 or nodes[(<Value>v).id].flags & MF_F_HOOK)]
        return hooked(0.0, tuple(children), self.backward)


cdef Value hooked(double data, tuple children, object hook):
    """A node whose backward step is a call of hook."""
    cdef Value value = blank_value()
    adopt(value, many_new(data, children, MF_CALL) if children
          else node_new(data, MF_NONE, MF_NONE, MF_CALL))
    state_for(value).hook = hook
    nodes[value.id].flags |= MF_F_HOOK
    hold_result(value)
    return value


@cython.internal
cdef class Seed:
    """The step of a result: its grad becomes a seed of the call."""
    cdef object add        # a function of the grad
    cdef int32_t id

    def __call__(self):
        self.add(nodes[self.id].grad)


def call_result(double data, hub, add):
    """A Value that is a result of a compiled call; add(grad) is called at its turn."""
    cdef Seed seed = Seed()
    cdef Value value = hooked(data, (hub,), seed)
    seed.add = add
    seed.id = value.id
    return value


def grad_enabled() -> bool:
    """False inside no_grad()."""
    return records()
