# One run of a plan: its job, the workspace that it borrows, and what it leaves in a call's memory.

from libc.math cimport floor, isfinite

from engine.modes cimport mf_anomaly_here, mf_n_modes
from plan.step cimport MF_NO_SLOT, mf_number_slot, mf_plan
from run.executor cimport (MF_REPLAY_INDEX, mf_bad_index, mf_column, mf_executor, mf_job,
                           mf_workspace)

cdef struct plan_run:
    mf_job job
    mf_workspace workspace
    bint is_open   # the workspace has what the job deferred, and is to be given back


@cython.internal
cdef class DeferredRun:
    """A run that stays open until what it deferred has gone on."""
    cdef plan_run run
    cdef PlanMemory plan_memory

    def __dealloc__(self):
        self.end()

    cdef void add_weights(self, Specialization specialization, double scale) noexcept:
        """Adds scale times the adjoints that were deferred to the grads of their nodes."""
        cdef Block found = specialization.deferral.found
        cdef const deferred_step *step = <const deferred_step *>found.data
        cdef int32_t k
        for k in range(found.n):
            executor.add_weights(&executor, &specialization.plan.plan, &self.run.workspace,
                                 &self.run.job, step[k].step, scale, store.grad + step[k].node)

    cdef void end(self) noexcept:
        """The workspace is free."""
        if not self.run.is_open:
            return
        self.run.is_open = False
        if self.plan_memory is not None:
            self.plan_memory.give_workspace_back(&self.run.workspace)
        else:   # the collector has taken it away
            free_workspace(&self.run.workspace)


cdef DeferredRun deferred_run(const plan_run *run, PlanMemory plan_memory):
    """Keeps an open run; without memory it ends."""
    cdef mf_workspace workspace = run.workspace
    cdef DeferredRun kept
    try:
        kept = DeferredRun.__new__(DeferredRun)
    except MemoryError:
        plan_memory.give_workspace_back(&workspace)
        raise
    kept.run = run[0]
    kept.plan_memory = plan_memory
    return kept


cdef inline void fill_uniforms(Specialization specialization, double *u) noexcept:
    """What a run reads beside its arguments: the program's numbers, and the captured data."""
    cdef const mf_number_slot *number = specialization.plan.plan.numbers
    cdef int32_t k
    for k in range(specialization.plan.plan.n_numbers):
        u[~number[k].slot] = number[k].number
    specialization.reads.read_data(u)


cdef int first_run(Specialization specialization, Arguments arguments, plan_run *run,
                   double *outputs, bint backward, double *column_grads) except -1:
    """The run of a call, in its own memory. It fills outputs, n_samples * n_outputs; with backward,
    for one output, the gradients for a seed of one a sample too, and column_grads, n_samples *
    n_lanes, where they are not NULL."""
    cdef Plan plan = specialization.plan
    fill_uniforms(specialization, arguments.memory.uniforms)
    run.job.n_samples = arguments.n_samples
    run.job.outputs = outputs
    run.job.seeds = NULL
    run.job.seed_move = 0
    run.job.backward = backward
    run.job.deferred = NULL
    if backward and specialization.deferral is not None and may_defer(arguments):
        run.job.deferred = specialization.deferral.by_step()
    run.is_open = False
    if arguments.n_samples:
        point_columns(arguments, arguments.memory.columns, arguments.n_samples, NULL, column_grads)
        execute(arguments, run, &arguments.memory)
    elif backward:
        memset(arguments.memory.grads, 0, 8 * <size_t>plan.plan.n_uniforms)
    arguments.release_views(False)
    if mf_n_modes and mf_anomaly_here():
        check_results(specialization, arguments.n_samples, outputs)
    return 0


cdef int check_results(Specialization specialization, Py_ssize_t n_samples,
                       const double *outputs) except -1:
    """In detect_anomaly: raises AnomalyError where a result is not finite."""
    cdef Py_ssize_t k, n_outputs = specialization.plan.plan.n_outputs
    for k in range(n_samples * n_outputs):
        if not isfinite(outputs[k]):
            raise_of_call("forward", specialization, outputs[k],
                          k // n_outputs if specialization.batch else -1)
    return 0


cdef int raise_of_call(str direction, Specialization specialization, double number,
                       Py_ssize_t sample) except -1:
    from micrograd_fast.anomaly import anomaly_of_call

    frame = user_frame()
    raise anomaly_of_call(direction, specialization.name, number, sample,
                          frame.f_code.co_filename, frame.f_lineno)


cdef bint may_defer(Arguments arguments) noexcept:
    """Whether all that deferred gradients are computed from stays as it is."""
    return ((arguments.at_once or arguments.differentiable and not arguments.is_sealed())
            and executor.n_tiles(&arguments.plan.plan, arguments.n_samples) == 1)


cdef int execute(Arguments arguments, plan_run *run, call_memory *m) except -1:
    """Runs the job over m's uniforms and columns; with backward it fills m's grads. Where it defers
    the run stays open. Raises IndexError for a bad index of take."""
    cdef PlanMemory plan_memory = arguments.plan_memory
    run.job.columns = m.columns
    if not plan_memory.take_workspace(arguments.plan, &run.workspace):
        raise MemoryError("no room for the workspace of a compiled function")
    run.workspace.uniforms = m.uniforms
    run.workspace.uniform_grads = m.grads if run.job.backward else NULL
    try:
        if run_job(arguments.plan, &run.workspace, &run.job) == MF_REPLAY_INDEX:
            raise IndexError(bad_index(arguments, run, m.columns))
        run.is_open = run.job.deferred is not NULL
    finally:
        if not run.is_open:
            plan_memory.give_workspace_back(&run.workspace)
    return 0


cdef int run_job(Plan plan, const mf_workspace *ws, const mf_job *job) except -1:
    """The error of the run: here, without the GIL where that pays, or on several threads."""
    cdef const mf_plan *p = plan.for_run(job.backward)
    cdef int64_t n_values = <int64_t>job.n_samples * plan.plan.n_rows
    cdef int32_t n = n_shares(p, job.n_samples, n_values) if n_threads > 1 else 1
    cdef int error
    if n > 1:
        return run_on_threads(p, ws, job, n)
    # Some microseconds are not worth another thread's turn.
    if n_values + p.n_uniforms < 4096:
        return executor.run(&executor, p, ws, job)
    with nogil:
        error = executor.run(&executor, p, ws, job)
    return error


cdef void point_columns(Arguments arguments, mf_column *columns, Py_ssize_t n, const double *rows,
                        double *grads) noexcept:
    """A column for each input that is a row, in the order of the rows: n samples in `rows`, NULL:
    those of the arguments. grads: where the columns' gradients go, laid out as rows, or NULL."""
    cdef mf_column *c
    cdef const array_argument *a
    cdef const int32_t *slots = arguments.plan.plan.input_slots
    cdef int32_t k, j
    for k in range(arguments.n_arrays):
        a = &arguments.memory.arrays[k]
        for j in range(a.width):
            if slots[a.first + j] == MF_NO_SLOT:
                continue
            c = &columns[slots[a.first + j]]
            c.data = (rows + n * a.first_lane if rows is not NULL else a.data) + j
            c.stride = a.width
            c.grad = grads + n * a.first_lane + j if grads is not NULL and a.wants else NULL


cdef str bad_index(Arguments arguments, const plan_run *run, mf_column *columns):
    """What to say of an index of take() that is none of its values', which has ended the run."""
    cdef mf_bad_index found = executor.bad_index(&executor, &arguments.plan.plan, &run.workspace,
                                                 columns, run.job.n_samples)
    if found.n_choices == 0:   # numbers of the arguments were changed by another thread
        return "mg.take: an index is out of range or no whole number"
    where = f" of sample {found.sample}" if found.sample >= 0 and arguments.batched else ""
    if found.index != floor(found.index):
        return f"mg.take: index {found.index}{where} is not a whole number"
    return f"mg.take: index {found.index:.0f}{where} is out of range for {found.n_choices} values"
