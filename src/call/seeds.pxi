# Seeds: what the outputs of a call count for in one backward(), and the run that passes it on.
#
# Seeds belong to the walk in which results added them, not to the call: one that an exception ends,
# in a custom step above the hub, takes its own along, and those of a walk inside a custom step, or
# in another thread, are no business of anybody else's.


@cython.internal
@cython.freelist(8)
cdef class Seeds:
    """Of one call."""
    cdef double *each    # per sample and output, or NULL
    cdef double *alike   # per output, for all samples, or NULL

    def __dealloc__(self):
        free(self.each)
        free(self.alike)

    cdef int add(self, Call call, Py_ssize_t sample, bytes rows, int32_t output,
                 double seed) except -1:
        """That output of a sample (-1: of these rows, or of each if None) counts seed more."""
        cdef int32_t n_outputs = call.specialization.plan.plan.n_outputs
        cdef const Py_ssize_t *row = numbers_of(rows)
        cdef Py_ssize_t k
        if row is not NULL:
            self.make_each(call)
            for k in range(len(rows) // <Py_ssize_t>sizeof(Py_ssize_t)):
                self.each[row[k] * n_outputs + output] += seed
            return 0
        if sample >= 0:
            self.make_each(call)
            self.each[sample * n_outputs + output] += seed
            return 0
        if self.alike is NULL:
            self.alike = zeros(n_outputs)
        self.alike[output] += seed
        return 0

    cdef int make_each(self, Call call) except -1:
        if self.each is NULL:
            self.each = zeros(<uint64_t>call.n_samples * call.specialization.plan.plan.n_outputs)
        return 0


cdef inline const Py_ssize_t *numbers_of(bytes rows) noexcept:
    return <const Py_ssize_t *><const char *>rows if rows is not None else NULL


cdef Seeds seeds_of(Walk walk, Call call):
    """Those of a call in this walk."""
    if walk.call is call:
        return <Seeds>walk.first
    if walk.others is not None:
        seeds = walk.others.get(call)
        if seeds is not None:
            return <Seeds>seeds
    seeds = Seeds.__new__(Seeds)
    if walk.call is None:
        walk.call, walk.first = call, seeds
    elif walk.others is None:
        walk.others = {call: seeds}
    else:
        walk.others[call] = seeds
    return <Seeds>seeds


cdef Seeds taken_seeds(Walk walk, Call call):
    """The same, which are no longer the walk's; None: there are none."""
    if walk.call is call:
        seeds = walk.first
        walk.call = walk.first = None
        return <Seeds>seeds
    return <Seeds>walk.others.pop(call, None) if walk.others is not None else None


cdef int spread(Call call, Walk walk) except -1:
    """The hub's step: what the seeds are worth goes to every node that the call read."""
    cdef int32_t k, n_outputs = call.specialization.plan.plan.n_outputs
    cdef Py_ssize_t b
    cdef Seeds seeds = taken_seeds(walk, call)
    if seeds is None or call.n_samples == 0:
        return 0
    call.check_seals()
    if seeds.each is NULL:
        return run_alike(call, seeds.alike, walk)
    if seeds.alike is not NULL:
        for b in range(call.n_samples):
            for k in range(n_outputs):
                seeds.each[b * n_outputs + k] += seeds.alike[k]
    return run_seeded(call, seeds.each, walk)


cdef int spread_by_hand(Call call, Py_ssize_t sample, bytes rows, int32_t output,
                        double seed) except -1:
    """A result's _backward, called outside of its turn: its share goes all the way to what the call
    read, and the calls whose results that was. Nothing waits for a hub."""
    cdef Walk own = Walk()
    seeds_of(own, call).add(call, sample, rows, output, seed)
    while own.call is not None or own.others:
        spread(<Call>(own.call if own.call is not None else next(iter(own.others))), own)
    return 0


cdef double *room_to_run(Call call, uint64_t n) except NULL:
    """For uniforms, as they were at the call, their gradients and n numbers more: another thread
    may run the call at the same time."""
    cdef size_t n_uniforms = call.specialization.plan.plan.n_uniforms
    cdef void *block = some_memory(2 * n_uniforms + n, 8)
    memcpy(block, call.uniforms, 8 * n_uniforms)
    return <double *>block


cdef int run_alike(Call call, const double *seeds, Walk walk) except -1:
    """All samples run, with the same seeds."""
    cdef size_t n_uniforms = call.specialization.plan.plan.n_uniforms
    cdef size_t n_lanes = call.specialization.n_lanes
    cdef size_t n_columns = 0 if call.sinks is None else call.n_samples * n_lanes
    cdef double *block = room_to_run(call, n_columns)
    cdef double *grads = block + n_uniforms
    cdef double *column_grads = grads + n_uniforms if n_columns else NULL
    try:
        memset(grads + n_uniforms, 0, 8 * n_columns)
        call.replay(call.n_samples, NULL, NULL, seeds, 0, block, grads, column_grads)
        call.pass_on(1.0, grads, call.specialization.reads)
        if n_columns:
            seed_sinks(call, column_grads, NULL, call.n_samples, walk)
    finally:
        free(block)
    return 0


cdef int run_seeded(Call call, double *seeds, Walk walk) except -1:
    """Only the samples that have a seed run: another's inf or nan times zero would be nan."""
    cdef const mf_plan *plan = &call.specialization.plan.plan
    cdef size_t n_lanes = call.specialization.n_lanes, n_outputs = plan.n_outputs
    cdef size_t n_uniforms = plan.n_uniforms
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t *picked = <Py_ssize_t *>some_memory(call.n_samples, sizeof(Py_ssize_t))
    cdef double *block = NULL
    cdef double *grads
    cdef double *rows
    cdef double *column_grads
    try:
        n = pick_seeded(seeds, call.n_samples, n_outputs, picked)
        if n == 0:
            return 0
        block = room_to_run(call, 2 * <uint64_t>n * n_lanes)
        grads = block + n_uniforms
        rows = grads + n_uniforms
        column_grads = rows + n * n_lanes if call.sinks is not None else NULL
        if column_grads is not NULL:
            memset(column_grads, 0, 8 * n * n_lanes)
        if n < call.n_samples:
            pick_rows(call, rows, picked, n)
        else:
            rows = NULL
        call.replay(n, rows, NULL, seeds, n_outputs, block, grads, column_grads)
        call.pass_on(1.0, grads, call.specialization.reads)
        if call.sinks is not None:
            seed_sinks(call, column_grads, picked, n, walk)
    finally:
        free(picked)
        free(block)
    return 0


cdef Py_ssize_t pick_seeded(double *seeds, Py_ssize_t n_samples, size_t n_outputs,
                            Py_ssize_t *picked) noexcept nogil:
    """The samples with a seed that is not zero; their seeds move to the front."""
    cdef Py_ssize_t b, n = 0
    cdef size_t k
    for b in range(n_samples):
        for k in range(n_outputs):
            if seeds[b * n_outputs + k] != 0.0:
                break
        else:
            continue
        if n < b:
            memcpy(seeds + n * n_outputs, seeds + b * n_outputs, 8 * n_outputs)
        picked[n] = b
        n += 1
    return n


cdef int pick_rows(Call call, double *rows, const Py_ssize_t *picked, Py_ssize_t n) except -1:
    """The rows of the picked samples alone."""
    cdef const fed_array *a
    cdef int32_t k
    cdef Py_ssize_t b
    for k in range(call.n_fed_arrays):
        a = &call.arrays[k]
        for b in range(n):
            memcpy(rows + n * a.first_lane + b * a.width, a.data + picked[b] * a.width,
                   8 * a.width)
    return 0


cdef int seed_sinks(Call call, const double *column_grads, const Py_ssize_t *picked,
                    Py_ssize_t n, Walk walk) except -1:
    """Gradients of arrays that are results of other calls become seeds there. picked: which
    samples were run; NULL: all."""
    cdef Call sink
    cdef Seeds seeds
    cdef const fed_array *a
    cdef const double *g
    cdef const Py_ssize_t *rows
    cdef int32_t k, j
    cdef Py_ssize_t b, sample
    for k in range(call.n_fed_arrays):
        if call.sinks[k] is None:
            continue
        sink = <Call>call.sinks[k]
        rows = numbers_of(call.sink_rows[k])
        seeds = seeds_of(walk, sink)
        seeds.make_each(sink)
        a = &call.arrays[k]
        for b in range(n):
            g = column_grads + n * a.first_lane + b * a.width
            sample = picked[b] if picked is not NULL else b
            if rows is not NULL:
                sample = rows[sample]
            for j in range(a.width):
                seeds.each[sample * a.width + j] += g[j]
    return 0
