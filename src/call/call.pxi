# A call of a compiled function: the arguments that it took, its runs, and where gradients go.
#
# Where there is one output and all samples count alike (a mean, a sum, a single call), the gradient
# is computed together with the value, while the tile is in cache: the call is fused. Its results
# pass it on, times their grad. Otherwise results stand over a hub: backward runs their steps first,
# each of which adds its grad to seeds; then the hub's, which runs the call once more (seeds.pxi).
#
# The gradient is that of the numbers that the call saw: it keeps copies of all that it read, and of
# large arrays a seal that breaks when they are written.

from cpython.bytearray cimport PyByteArray_FromStringAndSize

from base.eval cimport MF_LEAF
from base.seal cimport mf_seal
from engine.node cimport MF_F_HOOK, MF_F_TRACED
from plan.step cimport MF_NO_SLOT, mf_plan
from run.replay cimport (MF_REPLAY_INDEX, MF_REPLAY_OK, mf_add_weights, mf_column, mf_job,
                         mf_n_tiles, mf_replay, mf_workspace)

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX

cdef enum:
    LARGEST_COPY = 8388608   # bytes; larger arrays are kept as they are, under a seal


@cython.internal
@cython.freelist(16)
cdef class Call:
    """What one call keeps until its gradients are passed on."""
    cdef Specialization specialization
    cdef bint batched           # whether the rows of arrays are samples
    cdef bint keeps             # whether it may run again
    cdef bint fused             # whether grads are there
    cdef Py_ssize_t n_samples   # -1 until an array tells
    cdef int32_t n_fed, n_fed_arrays, n_fed_lanes
    # The block: what has the same size at every call.
    cdef double *uniforms       # captured data and numbers of this moment
    cdef double *grads          # of uniform slots, for a seed of one a sample
    cdef double *outputs        # of a call that is not batched
    cdef fed_array *arrays
    cdef int32_t *value_slots
    cdef list values            # Value arguments, or None
    cdef list sinks             # per array: the Call that it is a result of, or None; None: no such
    cdef list sink_rows         # per array: which samples of that they are, or None: all in order
    cdef list sink_hubs         # per array: the nodes under the results of that, one a group
    cdef Dependence grouping    # what the hubs of its own results go by, from the first hub on
    cdef double *rows           # copies of the arrays, one after the other; NULL: none
    # Of a fused run that put gradients off, see deferred.pxi.
    cdef bint lacks             # they are missing from grads
    cdef bint holds             # until they are passed on, its workspace and job
    cdef mf_workspace held
    cdef mf_job held_job

    def __dealloc__(self):
        self.release_views(True)
        if self.holds:
            self.let_go()
        free(self.rows)
        # The collector may have taken the trace away.
        if self.specialization is not None and self.specialization.spare is NULL:
            self.specialization.spare = self.uniforms
        else:
            free(self.uniforms)

    # ---- arguments ----

    cdef int take_block(self, Specialization specialization, bint keeps) except -1:
        cdef void *block = specialization.spare
        cdef size_t n = specialization.plan.plan.n_uniforms
        if block is not NULL:
            specialization.spare = NULL
        else:
            block = some_memory(specialization.n_bytes, 1)
        self.specialization = specialization
        self.keeps = keeps
        self.batched = specialization.batch
        self.n_samples = -1 if specialization.batch else 1
        self.uniforms = <double *>block
        self.grads = self.uniforms + n
        self.outputs = self.grads + n
        self.arrays = <fed_array *>(self.outputs + specialization.plan.plan.n_outputs)
        self.value_slots = <int32_t *>(self.arrays + specialization.n_arrays)
        return 0

    cdef inline void put(self, double number) noexcept:
        """The next input, a uniform one."""
        cdef int32_t slot = (<int32_t *>self.specialization.plan.input_slots.data)[self.n_fed]
        if slot != MF_NO_SLOT:
            self.uniforms[~slot] = number
        self.n_fed += 1

    cdef bint take_value(self, Value value) except -1:
        cdef int32_t slot = (<int32_t *>self.specialization.plan.input_slots.data)[self.n_fed]
        if store.nodes[value.id].flags & MF_F_TRACED:
            check_value(value, "an argument")
        if slot != MF_NO_SLOT:
            if self.values is None:
                self.values = []
            self.value_slots[len(self.values)] = ~slot
            self.values.append(value)
        self.put(store.data[value.id])
        return True

    cdef bint take_array(self, const Py_buffer *view, char code, Py_ssize_t width,
                         bint wants) except -1:
        """The next array of a batched call, a row a sample. The view is the call's from now on."""
        self.n_samples = view.shape[0]
        self.arrays[self.n_fed_arrays].view = view[0]
        self.arrays[self.n_fed_arrays].has_view = True
        return self.add_rows(view.buf, code, width, wants)

    cdef bint add_rows(self, const void *data, char code, Py_ssize_t width, bint wants) except -1:
        """The next array of a batched call; its view has been taken, or there is none."""
        cdef fed_array *a = &self.arrays[self.n_fed_arrays]
        cdef size_t n = <size_t>self.n_samples
        cdef size_t k
        cdef double *own
        a.data = <const double *>data
        a.first = self.n_fed
        a.width = <int32_t>width
        a.first_lane = self.n_fed_lanes
        a.wants = wants
        a.kept = self.keeps and code == b"d" and 8 * n * width > LARGEST_COPY
        self.n_fed += a.width
        self.n_fed_lanes += a.width
        self.n_fed_arrays += 1
        if a.kept:
            a.seal = mf_seal(a.data, n * width)
        elif self.keeps or code != b"d":
            if self.rows is NULL:
                self.rows = <double *>some_memory(<uint64_t>n * self.specialization.n_lanes, 8)
            own = self.rows + n * a.first_lane
            if code == b"d" and n * width:   # an empty array may have no memory
                memcpy(own, data, 8 * n * width)
            else:
                for k in range(n * width):
                    own[k] = number_at(data, code, k)
            a.data = own
            release_view(a)
        return True

    cdef bint take_batch(self, Batch batch) except -1:
        """The next array of a batched call: results of another one."""
        self.n_samples = batch.n_samples
        if self.keeps:
            if self.sinks is None:
                self.sinks = [None] * self.specialization.n_arrays
                self.sink_rows = [None] * self.specialization.n_arrays
                self.sink_hubs = [None] * self.specialization.n_arrays
            self.sinks[self.n_fed_arrays] = batch.call
            self.sink_rows[self.n_fed_arrays] = batch.rows
            self.sink_hubs[self.n_fed_arrays] = batch.hubs()
        # Its numbers must stay where they are while the call runs.
        PyObject_GetBuffer(batch.outputs, &self.arrays[self.n_fed_arrays].view, 0)
        self.arrays[self.n_fed_arrays].has_view = True
        return self.add_rows(batch.numbers(), b"d", batch.n_outputs, True)

    cdef int release_views(self, bint kept) except -1:
        """Of the arrays that are not needed any more; with kept, of all."""
        cdef int32_t k
        for k in range(self.n_fed_arrays):
            if kept or not self.arrays[k].kept:
                release_view(&self.arrays[k])
        return 0

    cdef int check_seals(self) except -1:
        """Raises RuntimeError where a large array, of which there is no copy, was written."""
        cdef const fed_array *a
        cdef int32_t k
        for k in range(self.n_fed_arrays):
            a = &self.arrays[k]
            if a.kept and mf_seal(a.data, <size_t>self.n_samples * a.width) != a.seal:
                raise RuntimeError(
                    f"array argument {k} was written after the call, whose gradient needs the "
                    "numbers that it saw: write into a copy, or call backward() before")
        return 0

    # ---- running ----

    cdef int run(self, double *outputs, bint backward, double *column_grads) except -1:
        """Fills outputs, n_samples * n_outputs; with backward, for one output, the gradients for
        a seed of one a sample too. column_grads, n_samples * n_lanes, filled if not NULL."""
        cdef Specialization specialization = self.specialization
        cdef Plan plan = specialization.plan
        cdef const number_slot *number = <number_slot *>plan.numbers.data
        cdef double *u = self.uniforms
        cdef int32_t k
        for k in range(plan.numbers.n):
            u[~number[k].slot] = number[k].number
        specialization.reads.read_data(u)
        if self.n_samples:
            self.lacks = backward and self.can_put_off()
            self.replay(self.n_samples, NULL, outputs, NULL, 0, u,
                        self.grads if backward else NULL, column_grads, self.lacks)
        elif backward:
            memset(self.grads, 0, 8 * <size_t>plan.plan.n_uniforms)
        self.fused = backward
        self.release_views(False)
        return 0

    cdef bint can_put_off(self) noexcept:
        """Whether all that the gradients put off are computed from stays as it is."""
        cdef int32_t k
        if not self.keeps or not self.specialization.defers:
            return False
        for k in range(self.n_fed_arrays):
            if self.arrays[k].kept:
                return False
        return mf_n_tiles(&self.specialization.plan.plan, self.n_samples) == 1

    cdef int replay(self, Py_ssize_t n, const double *rows, double *outputs, const double *seeds,
                    int32_t seed_step, double *uniforms, double *grads, double *column_grads,
                    bint defers=False) except -1:
        """One run of the plan over n samples in rows; NULL: those of the arguments. It fills grads,
        of the uniforms, and column_grads, laid out as rows are, where they are not NULL."""
        cdef Plan plan = self.specialization.plan
        cdef mf_workspace ws
        cdef mf_job job
        cdef int error
        cdef bint hold = False
        job.n_samples = n
        job.outputs = outputs
        job.seeds = seeds
        job.seed_step = seed_step
        job.backward = grads is not NULL
        job.defers = defers
        job.columns = self.columns(n, rows, column_grads)
        if not self.specialization.workspaces.take(plan, &ws):
            free(<void *>job.columns)
            raise MemoryError("no room for the workspace of a compiled function")
        ws.uniforms = uniforms
        ws.uniform_grads = grads
        try:
            error = self.run_plan(&ws, &job)
            hold = defers and error == MF_REPLAY_OK
        finally:
            if hold:
                self.held, self.held_job, self.holds = ws, job, True
            else:
                free(<void *>job.columns)
                self.specialization.workspaces.give_back(&ws)
        if error == MF_REPLAY_INDEX:
            raise IndexError(bad_index(self, n, rows, uniforms))
        return 0

    cdef int let_go(self) noexcept:
        """Of the workspace."""
        self.holds = False
        free(<void *>self.held_job.columns)
        if self.specialization is not None and self.specialization.workspaces is not None:
            self.specialization.workspaces.give_back(&self.held)
        else:   # the collector has taken it away
            free_workspace(&self.held)
        return 0

    cdef int run_plan(self, const mf_workspace *ws, const mf_job *job) except -1:
        """The error of the replay: here, without the GIL where that pays, or on several threads."""
        cdef const mf_plan *plan = &self.specialization.plan.plan
        cdef int32_t n = n_shares(plan, job.n_samples) if n_threads > 1 else 1
        cdef int error
        if n > 1:
            return replay_on_threads(self.specialization.plan, ws, job, n)
        # Some microseconds are not worth another thread's turn.
        if <int64_t>job.n_samples * plan.n_rows + plan.n_uniforms < 4096:
            return mf_replay(plan, kernels, ws, job)
        with nogil:
            error = mf_replay(plan, kernels, ws, job)
        return error

    cdef mf_column *columns(self, Py_ssize_t n, const double *rows, double *grads) except? NULL:
        """A column for each input that is a row, in the order of the rows; to be freed."""
        cdef mf_column *columns
        cdef mf_column *c
        cdef const fed_array *a
        cdef int32_t *slots = <int32_t *>self.specialization.plan.input_slots.data
        cdef int32_t k, j, n_columns = self.specialization.plan.plan.n_columns
        if n_columns == 0:
            return NULL
        columns = <mf_column *>some_memory(n_columns, sizeof(mf_column))
        for k in range(self.n_fed_arrays):
            a = &self.arrays[k]
            for j in range(a.width):
                if slots[a.first + j] == MF_NO_SLOT:
                    continue
                c = &columns[slots[a.first + j]]
                c.data = (rows + n * a.first_lane if rows is not NULL else a.data) + j
                c.stride = a.width
                c.grad = grads + n * a.first_lane + j if grads is not NULL and a.wants else NULL
        return columns

    # ---- results ----

    cdef object results(self, bint grad):
        """Runs the call and returns what the function would."""
        cdef Specialization specialization = self.specialization
        cdef int32_t k, n_outputs = specialization.plan.plan.n_outputs
        cdef bint fused = grad and n_outputs == 1 and self.sinks is None
        cdef Batch batch
        cdef list values, hubs
        if specialization.batch:
            batch = Batch.__new__(Batch)
            batch.outputs = PyByteArray_FromStringAndSize(
                NULL, bytes_of(self.n_samples, n_outputs))
            batch.n_samples = self.n_samples
            batch.n_outputs = n_outputs
            batch.rebuild = specialization.rebuild
            self.run(<double *><char *>batch.outputs, fused, NULL)
            batch.call = self if grad else None
            return batch
        self.run(self.outputs, fused, NULL)
        if not grad:
            values = [leaf_value(self.outputs[k]) for k in range(n_outputs)]
        else:
            hubs = None if fused else self.hubs()
            values = [step_result(self, self.operands(0) if fused else [hubs[self.group(k)]],
                                  self.outputs[k], k, -1, 1.0)
                      for k in range(n_outputs)]
        return values[0] if specialization.rebuild is None else specialization.rebuild(values)

    cdef list operands(self, int32_t output):
        """The Values that the call read, that this output depends on and that pass gradient on
        themselves."""
        return self.operands_of(self.specialization.depends().of(output))

    cdef list operands_of(self, Reached reached):
        cdef list found = reached.captured
        cdef set groups
        if self.values is not None:
            found = found + [self.values[k] for k in reached.values
                             if passes_on((<Value>self.values[k]).id)]
        if self.sinks is None:
            return found
        for k, columns in reached.columns:
            groups = {(<Call>self.sinks[k]).group(j) for j in columns}
            found = found + [self.sink_hubs[k][group] for group in sorted(groups)]
        return found

    cdef int32_t group(self, int32_t output) except -1:
        """Which of its hubs an output stands over."""
        if self.grouping is None:
            self.grouping = self.specialization.depends()
        return self.grouping.group_of[output]

    cdef list hubs(self):
        """A new hub for each group of outputs."""
        if self.grouping is None:
            self.grouping = self.specialization.depends()
        return [hub_of(self, group) for group in range(len(self.grouping.groups))]

    # ---- gradients ----

    cdef int pass_on(self, double scale, const double *grads, IdRuns reads) except -1:
        """Adds scale times these gradients of the uniforms to what the call read."""
        cdef int32_t k
        reads.add_to_grads(scale, grads)
        if self.values is not None:
            for k in range(<int32_t>len(self.values)):
                store.grad[(<Value>self.values[k]).id] += scale * grads[self.value_slots[k]]
        return 0

    cdef int pass_on_own(self, double scale) except -1:
        """The same with the gradients of a fused run."""
        if scale == 0.0:   # which reaches nothing, whatever the gradients are
            return 0
        if self.holds:
            self.pass_on(scale, self.grads, self.specialization.kept)
            mf_add_weights(&self.specialization.plan.plan, kernels, &self.held, &self.held_job,
                           scale, store.grad)
            self.let_go()
            return 0
        if self.lacks:   # passed on once, and now again
            return run_alike(self, &scale, None)
        return self.pass_on(scale, self.grads, self.specialization.reads)

    cdef list input_gradients(self):
        """Per input the gradient of a fused run, 0 for columns."""
        cdef const int32_t *slots = <int32_t *>self.specialization.plan.input_slots.data
        cdef int32_t k, n = self.specialization.plan.input_slots.n
        return [self.grads[~slots[k]] if slots[k] != MF_NO_SLOT and slots[k] < 0 else 0.0
                for k in range(n)]

    cdef list leaf_gradients(self, list leaves):
        """Of these leaf Values that of a fused run. Raises ValueError where the call read a result
        of an op that depends on one: nothing is known of the way from there."""
        cdef dict found = {(<Value?>v).id: 0.0 for v in leaves}
        cdef int32_t k, id
        cdef set behind = set()
        for id, slot in self.specialization.reads.pairs():
            if id in found:
                found[id] += self.grads[<int32_t>slot]
        for k in range(<int32_t>len(self.values or ())):
            id = (<Value>self.values[k]).id
            if id in found:
                found[id] += self.grads[self.value_slots[k]]
        for v in self.operands(0):
            behind |= ids_under((<Value>v).id)
        for k, v in enumerate(leaves):
            if (<Value>v).id in behind:
                raise ValueError(
                    f"value_and_grad: params[{k}] is used through the result of an op that ran "
                    "before: compute that inside the compiled function, or use backward()")
        return [found[(<Value>v).id] for v in leaves]

    cdef list wanted_columns(self, bytearray column_grads):
        """The parts of column_grads whose arrays wanted them."""
        cdef list found = []
        cdef const fed_array *a
        cdef int32_t k
        cdef Py_ssize_t start
        for k in range(self.n_fed_arrays):
            a = &self.arrays[k]
            start = 8 * self.n_samples * a.first_lane
            if a.wants:
                found.append(memoryview(column_grads)[start:start + 8 * self.n_samples * a.width])
        return found


cdef Py_ssize_t bytes_of(Py_ssize_t n_samples, int32_t n) except -1:
    """Of n doubles a sample. Arrays without numbers may have any length."""
    if n and n_samples > PY_SSIZE_T_MAX // 8 // n:
        raise MemoryError(f"no room for the results of {n_samples} samples")
    return 8 * n_samples * n


cdef inline bint passes_on(int32_t id) noexcept nogil:
    return store.nodes[id].op != MF_LEAF or store.nodes[id].flags & MF_F_HOOK
