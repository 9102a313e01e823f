# Seeds: what the outputs of a call count for in one backward().
#
# They belong to the walk in which results added them, not to the call: one that an exception ends,
# in a custom step on its way, takes its own along, and those of a walk inside a custom step, or in
# another thread, are no business of anybody else's.


@cython.internal
@cython.freelist(8)
cdef class Seeds:
    """Of one call."""
    cdef double *each    # per sample and output, or NULL
    cdef double *alike   # per output, for all samples, or NULL
    cdef Py_ssize_t n_samples
    cdef int32_t n_outputs

    def __dealloc__(self):
        free(self.each)
        free(self.alike)

    cdef int add(self, Py_ssize_t sample, bytes samples, int32_t output, double seed) except -1:
        """That output of a sample (-1: of these samples, or of each if None) counts seed more."""
        cdef const Py_ssize_t *number = numbers_of(samples)
        cdef Py_ssize_t k
        if number is not NULL:
            self.make_each()
            for k in range(len(samples) // <Py_ssize_t>sizeof(Py_ssize_t)):
                self.each[number[k] * self.n_outputs + output] += seed
            return 0
        if sample >= 0:
            self.make_each()
            self.each[sample * self.n_outputs + output] += seed
            return 0
        if self.alike is NULL:
            self.alike = zeros(self.n_outputs)
        self.alike[output] += seed
        return 0

    cdef int make_each(self) except -1:
        if self.each is NULL:
            self.each = zeros(<uint64_t>self.n_samples * self.n_outputs)
        return 0

    cdef int join(self) except -1:
        """Those of all samples are added to each one's."""
        cdef Py_ssize_t b
        cdef int32_t k
        for b in range(self.n_samples if self.alike is not NULL else 0):
            for k in range(self.n_outputs):
                self.each[b * self.n_outputs + k] += self.alike[k]
        return 0

    cdef Py_ssize_t pick(self, Py_ssize_t *picked) noexcept:
        """Finds the samples that have a seed, moves their seeds to the front and counts them."""
        cdef Py_ssize_t b, n = 0
        cdef size_t k, n_outputs = self.n_outputs
        for b in range(self.n_samples):
            for k in range(n_outputs):
                if self.each[b * n_outputs + k] != 0.0:
                    break
            else:
                continue
            if n < b:
                memcpy(self.each + n * n_outputs, self.each + b * n_outputs, 8 * n_outputs)
            picked[n] = b
            n += 1
        return n


cdef inline const Py_ssize_t *numbers_of(bytes samples) noexcept:
    """The numbers of samples, or NULL for None."""
    return <const Py_ssize_t *><const char *>samples if samples is not None else NULL


cdef Seeds seeds_in(Walk walk, object gradient, Py_ssize_t n_samples, int32_t n_outputs):
    """Those of a call in this walk."""
    cdef Seeds seeds
    if walk.call is gradient:
        return <Seeds>walk.first
    if walk.others is not None:
        found = walk.others.get(gradient)
        if found is not None:
            return <Seeds>found
    seeds = Seeds.__new__(Seeds)
    seeds.n_samples = n_samples
    seeds.n_outputs = n_outputs
    if walk.call is None:
        walk.call, walk.first = gradient, seeds
    elif walk.others is None:
        walk.others = {gradient: seeds}
    else:
        walk.others[gradient] = seeds
    return seeds


cdef Seeds taken_seeds(Walk walk, object gradient):
    """The seeds of a call, which are the walk's no more; None: there are none."""
    if walk.call is gradient:
        seeds = walk.first
        walk.call = walk.first = None
        return <Seeds>seeds
    return <Seeds>walk.others.pop(gradient, None) if walk.others is not None else None
