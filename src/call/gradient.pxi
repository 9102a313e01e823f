# The gradient of a call: the way from the adjoints of its results to those of what it read.
#
# Where there is one output and all samples count alike (a mean, a sum, a single call), adjoints are
# computed together with the value, while the tile is in cache: the call is fused. Its results add
# them to the graph, times their grad. Otherwise results stand over a pullback: backward runs their
# steps first, each of which adds its grad to seeds; then the pullback's, which runs the plan once
# more (results.pxi has these steps). A call without lanes runs no more than the steps that are
# reached (reached.pxi), and a result that depends on what no other does needs no pullback there.

from libc.math cimport isfinite

from base.absent cimport mf_present
from base.eval cimport MF_LEAF
from engine.modes cimport mf_anomaly_here, mf_n_modes


cdef class Gradient


@cython.internal
cdef class Upstream:
    """Results of another call that are an array argument: its gradient goes on there."""
    cdef Gradient gradient
    cdef bytes samples     # which of that call's, Py_ssize_t; None: all in order
    cdef list pullbacks    # the nodes under its results, one a group


@cython.internal
@cython.freelist(16)
cdef class Gradient:
    """What a call keeps for its results until their adjoints have gone on."""
    cdef Specialization specialization
    cdef Arguments arguments
    cdef bint fused             # the call's memory has adjoints, for a seed of one a sample
    cdef DeferredRun deferred   # the run, where some of them were put off; or None
    cdef Dependence dependence  # what its pullbacks go by, from the first one on

    cdef inline Py_ssize_t n_samples(self) noexcept:
        return self.arguments.n_samples

    cdef inline int32_t n_outputs(self) noexcept:
        return self.specialization.plan.plan.n_outputs

    # ---- what it reaches ----

    cdef list operands(self, int32_t output):
        """The Values that the call read, that this output depends on and that have a step."""
        return self.operands_of(self.specialization.depends().of(output))

    cdef list operands_of(self, Reached reached):
        cdef Upstream upstream
        cdef list found = operands_reached(reached, self.arguments.values)
        cdef set groups
        if self.arguments.upstream is None:
            return found
        for k, columns in reached.columns:
            upstream = <Upstream>self.arguments.upstream[k]
            groups = {upstream.gradient.group(j) for j in columns}
            found = found + [upstream.pullbacks[group] for group in sorted(groups)]
        return found

    cdef list leaves_with_steps(self, int32_t output, list through):
        """Leaves that an output depends on and that have a step; `through` gets the (Gradient,
        output) that it depends on by way of other calls."""
        cdef Reached reached = self.specialization.depends().of(output)
        cdef list values = self.arguments.values
        if self.arguments.upstream is not None:
            through += [((<Upstream>self.arguments.upstream[k]).gradient, j)
                        for k, columns in reached.columns for j in columns]
        return [v for v in reached.captured + [values[k] for k in reached.values]
                if store.nodes[(<Value>v).id].op == MF_LEAF and has_step((<Value>v).id)]

    cdef Reached group_reached(self, int32_t group):
        return <Reached>self.settled().groups[group]

    cdef int32_t group(self, int32_t output) except -1:
        """Which of its pullbacks an output stands over."""
        return self.settled().group_of[output]

    cdef Dependence settled(self):
        """The dependence as it was when the first pullback was made: operands may get steps later,
        the groups of outputs must not change."""
        if self.dependence is None:
            self.dependence = self.specialization.depends()
        return self.dependence

    # ---- adjoints to the graph ----

    cdef int accumulate(self, double scale, const double *grads, IdRuns reads) except -1:
        """Adds scale times these adjoints of the uniforms to the grads of what the call read."""
        cdef list values = self.arguments.values
        cdef const int32_t *slots = self.arguments.memory.value_slots
        cdef int32_t k, id
        reads.add_to_grads(scale, grads)
        if values is not None:
            for k in range(<int32_t>len(values)):
                id = (<Value>values[k]).id
                store.grad[id] = mf_present(store.grad[id] + scale * grads[slots[k]])
        return 0

    cdef int accumulate_nothing(self) except -1:
        """The gradient of what the call read is there, though all that arrives is 0."""
        self.specialization.reads.reach_grads()
        for v in self.arguments.values or ():
            store.grad[(<Value>v).id] = mf_present(store.grad[(<Value>v).id])
        return 0

    cdef int accumulate_fused(self, double scale) except -1:
        """Adds scale times the adjoints of the fused run."""
        cdef double *grads = self.arguments.memory.grads
        if scale == 0.0:   # which passes nothing on, whatever the adjoints are
            return self.accumulate_nothing()
        if self.deferred is None:
            return self.accumulate(scale, grads, self.specialization.reads)
        if not self.deferred.run.is_open:   # they went on once, and now again
            return self.run_alike(&scale, None)
        self.accumulate(scale, grads, self.specialization.deferral.kept)
        self.deferred.add_weights(self.specialization, scale)
        self.deferred.end()
        return 0

    # ---- seeds to adjoints ----

    cdef int add_seed(self, Walk walk, Py_ssize_t sample, bytes samples, int32_t output,
                      double seed) except -1:
        return seeds_in(walk, self, self.n_samples(), self.n_outputs()).add(
            sample, samples, output, seed)

    cdef int pull_back(self, Walk walk) except -1:
        """What the seeds of a walk are worth goes to every node that the call read."""
        cdef Seeds seeds = taken_seeds(walk, self)
        if seeds is None or self.n_samples() == 0:
            return 0
        if self.is_without_lanes():
            return self.run_reached(seeds)
        self.arguments.check_seals()
        if seeds.are_alike():
            if seeds.alike is not NULL:
                return self.run_alike(seeds.alike, walk)
            return self.accumulate_nothing()
        seeds.join()
        return self.run_seeded(seeds, walk)

    cdef inline bint is_without_lanes(self) noexcept:
        """Whether its results can be told apart: the call is over one sample, uniform numbers."""
        return (not self.arguments.batched and self.arguments.upstream is None
                and mf_is_without_lanes(&self.specialization.plan.plan))

    cdef bint stands_alone(self, int32_t output) except -1:
        """Whether a result needs no pullback: no other of the call's depends on the same."""
        if self.fused or not self.is_without_lanes():
            return False
        return self.settled().sizes[self.group(output)] == 1

    cdef int pull_back_one(self, int32_t output, double seed) except -1:
        """As a pullback would, for one result of a call without lanes."""
        cdef Reaching reaching = self.specialization.reaching_of()
        if not reaching.seed(output, seed):
            return self.accumulate_nothing()
        reaching.pull_back(self.arguments.memory.uniforms, self.arguments.values)
        return 0

    cdef int run_reached(self, Seeds seeds) except -1:
        """The steps that the seeds reach run backward, over the numbers of the call's own run."""
        cdef Reaching reaching = self.specialization.reaching_of()
        cdef int32_t k
        cdef bint found = False
        for k in range(seeds.n_few()):
            found |= reaching.seed(seeds.entries()[k].output, seeds.entries()[k].seed)
        for k in range(seeds.n_outputs if seeds.each is not NULL else 0):
            found |= reaching.seed(k, seeds.each[k])
        if not found:
            return self.accumulate_nothing()
        reaching.pull_back(self.arguments.memory.uniforms, self.arguments.values)
        return 0

    cdef int run_alike(self, const double *seeds, Walk walk) except -1:
        """All samples run, with the same seeds."""
        cdef Arguments arguments = self.arguments
        cdef memory_sizes sizes
        cdef call_memory m
        cdef double *column_grads = NULL
        memset(&sizes, 0, sizeof(sizes))
        if arguments.upstream is not None:
            sizes.column_grads = <size_t>self.n_samples() * arguments.plan_memory.n_lanes
        self.allot_run(&m, &sizes)
        try:
            if sizes.column_grads:
                column_grads = m.column_grads
                memset(column_grads, 0, 8 * sizes.column_grads)
            point_columns(arguments, m.columns, self.n_samples(), NULL, column_grads)
            self.run_backward(&m, self.n_samples(), seeds, 0)
            if sizes.column_grads:
                self.seed_upstream(column_grads, NULL, self.n_samples(), walk)
        finally:
            free_call_memory(&m)
        return 0

    cdef int run_seeded(self, Seeds seeds, Walk walk) except -1:
        """Only the samples that have a seed run: another's inf or nan times zero would be nan."""
        cdef memory_sizes sizes
        cdef call_memory m
        cdef Py_ssize_t n
        memset(&sizes, 0, sizeof(sizes))
        sizes.picked = seeds.most_samples()
        allot(&m, &sizes)
        try:
            n = seeds.pick(m.picked)
            if n:
                self.run_picked(seeds, m.picked, n, walk)
            else:
                self.accumulate_nothing()
        finally:
            free_call_memory(&m)
        return 0

    cdef int run_picked(self, Seeds seeds, const Py_ssize_t *picked, Py_ssize_t n,
                        Walk walk) except -1:
        cdef Arguments arguments = self.arguments
        cdef memory_sizes sizes
        cdef call_memory m
        cdef double *rows = NULL
        cdef double *column_grads = NULL
        memset(&sizes, 0, sizeof(sizes))
        if n < self.n_samples():
            sizes.rows = <size_t>n * arguments.plan_memory.n_lanes
        if arguments.upstream is not None:
            sizes.column_grads = <size_t>n * arguments.plan_memory.n_lanes
        self.allot_run(&m, &sizes)
        try:
            if n < self.n_samples():
                rows = m.rows
                arguments.pick_rows(rows, picked, n)
            if arguments.upstream is not None:
                column_grads = m.column_grads
                memset(column_grads, 0, 8 * sizes.column_grads)
            point_columns(arguments, m.columns, n, rows, column_grads)
            self.run_backward(&m, n, seeds.each, seeds.n_outputs)
            if arguments.upstream is not None:
                self.seed_upstream(column_grads, picked, n, walk)
        finally:
            free_call_memory(&m)
        return 0

    cdef int allot_run(self, call_memory *m, memory_sizes *sizes) except -1:
        """Memory for one more run: the uniforms are as they were at the call."""
        cdef const memory_sizes *own = &self.arguments.plan_memory.sizes
        sizes.uniforms, sizes.columns = own.uniforms, own.columns
        allot(m, sizes)
        memcpy(m.uniforms, self.arguments.memory.uniforms, own.uniforms * sizeof(double))
        return 0

    cdef int run_backward(self, call_memory *m, Py_ssize_t n, const double *seeds,
                          int32_t seed_move) except -1:
        """Runs n samples; the adjoints of the uniforms go to the graph."""
        cdef plan_run run
        memset(&run.job, 0, sizeof(run.job))
        run.job.n_samples = n
        run.job.seeds = seeds
        run.job.seed_move = seed_move
        run.job.backward = True
        run.is_open = False
        execute(self.arguments, &run, m)
        return self.accumulate(1.0, m.grads, self.specialization.reads)

    cdef int seed_upstream(self, const double *column_grads, const Py_ssize_t *picked,
                           Py_ssize_t n, Walk walk) except -1:
        """Adjoints of arrays that are results of other calls become seeds there. picked: which
        samples were run; NULL: all."""
        cdef Upstream upstream
        cdef Seeds seeds
        cdef const array_argument *a
        cdef const double *g
        cdef const Py_ssize_t *samples
        cdef int32_t k, j
        cdef Py_ssize_t b, sample
        for k in range(self.arguments.n_arrays):
            if self.arguments.upstream[k] is None:
                continue
            upstream = <Upstream>self.arguments.upstream[k]
            samples = numbers_of(upstream.samples)
            seeds = seeds_in(walk, upstream.gradient, upstream.gradient.n_samples(),
                             upstream.gradient.n_outputs())
            a = &self.arguments.memory.arrays[k]
            for b in range(n):
                g = column_grads + n * a.first_lane + b * a.width
                sample = picked[b] if picked is not NULL else b
                if samples is not NULL:
                    sample = samples[sample]
                for j in range(a.width):
                    if mf_n_modes and not isfinite(g[j]) and mf_anomaly_here():
                        raise_of_call("backward", self.specialization, g[j], sample)
                    seeds.add_one(sample, j, g[j])
        return 0
