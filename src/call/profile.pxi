# What explain() is made from: the time that each step of a call takes, and which values of the
# program a step computes. No other call comes here.

from libc.stdlib cimport free

from base.memory cimport mf_resized
from plan.plan cimport mf_slots_of_values
from plan.step cimport mf_plan
from run.executor cimport MF_MAX_BLENDED, MF_REPLAY_INDEX
from run.profile cimport mf_is_small_exponent, mf_profile, mf_profile_run

Profile = namedtuple("Profile", "n_samples n_tiles n_runs outputs backward forward_seconds "
                     "backward_seconds", module="micrograd_fast._core")
Profile.__doc__ = """The runs of a call on a clock.

n_samples, n_tiles: of the call. n_runs: how often it was run; 0: of no samples.
outputs: the results' float64 numbers, sample by sample; bytes.
backward: whether a gradient was computed, of the sum of all results.
forward_seconds, backward_seconds: of each step the least over the runs; last, what is no step."""


cdef class ProfiledCall:
    """A call whose arguments were read, ready to run over and over."""
    cdef Specialization specialization
    cdef Arguments arguments
    cdef plan_run run
    cdef bytearray outputs
    cdef Block seeds
    cdef bint ready

    def __init__(self, Specialization specialization not None, tuple args not None,
                 dict kwargs not None):
        cdef const mf_plan *p = &specialization.plan.plan
        cdef int32_t k
        cdef double one = 1.0
        if self.specialization is not None:   # runs write where its job says
            raise TypeError("a ProfiledCall is made once")
        self.specialization = specialization
        self.arguments = specialization.read(args, kwargs, True)
        if self.arguments is None:
            raise TypeError("an argument changed while it was read")
        self.outputs = bytearray(bytes_of(self.arguments.n_samples, p.n_outputs))
        self.seeds = Block(sizeof(double))
        for k in range(p.n_outputs):
            self.seeds.add(&one)
        memset(&self.run, 0, sizeof(self.run))
        self.prepare()

    cdef int prepare(self) except -1:
        """The job: as that of the call, for a gradient of all results."""
        cdef const mf_plan *p = &self.specialization.plan.plan
        cdef mf_job *job = &self.run.job
        cdef call_memory *m = &self.arguments.memory
        cdef int32_t k
        fill_uniforms(self.specialization, m.uniforms)
        job.n_samples = self.arguments.n_samples
        job.outputs = <double *><char *>self.outputs
        job.seeds = <double *>self.seeds.data
        for k in range(p.n_steps):
            job.backward = job.backward or p.steps[k].wants_gradient
        point_columns(self.arguments, m.columns, job.n_samples, NULL, NULL)
        job.columns = m.columns
        self.ready = True
        return 0

    cdef int take_time(self, list forward, list backward) except -1:
        """A run; what a step takes less than it did before is put in the lists."""
        cdef const mf_plan *p = self.specialization.plan.for_run(self.run.job.backward)
        cdef PlanMemory memory = self.arguments.plan_memory
        cdef mf_profile times
        cdef int32_t k, n = p.n_steps + 1
        cdef int error
        cdef double *seconds = <double *>zeros(2 * n)
        times.forward, times.backward = seconds, seconds + n
        if not memory.take_workspace(self.specialization.plan, &self.run.workspace):
            free(seconds)
            raise MemoryError("no room for the workspace of a compiled function")
        self.run.workspace.uniforms = self.arguments.memory.uniforms
        self.run.workspace.uniform_grads = self.arguments.memory.grads
        try:
            with nogil:
                error = mf_profile_run(p, kernels, &self.run.workspace, &self.run.job, &times)
            if error == MF_REPLAY_INDEX:
                raise IndexError(bad_index(self.arguments, &self.run,
                                           self.arguments.memory.columns))
            for k in range(n):
                forward[k] = min(<double>forward[k], max(seconds[k], 0.0))
                backward[k] = min(<double>backward[k], max(seconds[n + k], 0.0))
        finally:
            memory.give_workspace_back(&self.run.workspace)
            free(seconds)
        return 0

    def profile(self, double seconds, int max_runs) -> Profile:
        """The Profile of runs that take about so many seconds together: at least one."""
        cdef int n_runs = 0
        cdef Py_ssize_t n_samples
        cdef const mf_plan *p
        cdef list forward, backward
        if not self.ready:
            raise TypeError("this ProfiledCall was not made")
        n_samples, p = self.arguments.n_samples, &self.specialization.plan.plan
        forward = [float("inf")] * (p.n_steps + 1)
        backward = list(forward)
        end = time.perf_counter() + seconds
        while n_samples and n_runs < max_runs and (not n_runs or time.perf_counter() < end):
            self.take_time(forward, backward)
            n_runs += 1
        if n_runs == 0:
            forward = backward = [0.0] * len(forward)
        return Profile(n_samples, executor.n_tiles(p, n_samples) if n_samples else 0, n_runs,
                       bytes(self.outputs), bool(self.run.job.backward), forward, backward)


def is_made_of_products(double exponent) -> bool:
    """Whether a power with that number as exponent is products and roots, and no call of pow."""
    return mf_is_small_exponent(exponent)


def is_blended(int n_choices) -> bool:
    """Whether a take of so many values goes over the lanes, and not from one sample to the next."""
    return n_choices <= MF_MAX_BLENDED


def placed_values(Plan plan not None, list kinds not None) -> tuple:
    """(program with dots of one kind each, by value of the plan's program the value there, by value
    there its slot). kinds: as the Plan was given."""
    cdef Py_ssize_t n = plan.program.p.code.n
    cdef bytearray inputs = input_flags(kinds), places = places_of(plan.captured)
    cdef bytearray moved = bytearray(4 * n), found
    cdef Program program = separated(plan.program, kinds, <int32_t *><char *>moved)
    values = (list(range(n)) if program is plan.program
              else list(integers(<int32_t *><char *>moved, <int32_t>n)))
    found = bytearray(4 * program.p.code.n)
    if not mf_slots_of_values(&program.p, <const uint8_t *><char *>inputs,
                              <const int32_t *><char *>places, <int32_t *><char *>found):
        raise MemoryError("no room to lay out the program")
    return program, values, list(integers(<int32_t *><char *>found, program.p.code.n))
