# Seeds: what the outputs of a call count for in one backward(). While they are few, each is an
# entry of a list: those of one sample of many, or of one output, do not cost what all would.
#
# They belong to the walk in which results added them, not to the call: one that an exception ends,
# in a custom step on its way, takes its own along, and those of a walk inside a custom step, or in
# another thread, are no business of anybody else's.


cdef struct seed_entry:
    Py_ssize_t sample
    int32_t output
    double seed

cdef enum:
    FEW = 8   # entries are few up to so many, and up to one in so many of all that could be


cdef int compare_entries(const void *pa, const void *pb) noexcept nogil:
    cdef const seed_entry *a = <const seed_entry *>pa
    cdef const seed_entry *b = <const seed_entry *>pb
    if a.sample != b.sample:
        return (a.sample > b.sample) - (a.sample < b.sample)
    return (a.output > b.output) - (a.output < b.output)


@cython.internal
@cython.freelist(8)
cdef class Seeds:
    """Of one call."""
    cdef Block few       # seed_entry each, or None
    cdef double *each    # per sample and output, or NULL: what were few once is here
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
            for k in range(len(samples) // <Py_ssize_t>sizeof(Py_ssize_t)):
                self.add_one(number[k], output, seed)
        elif sample >= 0 or self.n_samples == 1:
            self.add_one(max(sample, 0), output, seed)
        else:
            if self.alike is NULL:
                self.alike = zeros(self.n_outputs)
            self.alike[output] += seed
        return 0

    cdef int add_one(self, Py_ssize_t sample, int32_t output, double seed) except -1:
        cdef seed_entry entry
        if seed == 0.0:   # which reaches nothing
            return 0
        if self.each is NULL and self.n_few() >= FEW:
            if <int64_t>self.n_few() * FEW >= <int64_t>self.n_samples * self.n_outputs:
                self.make_each()
        if self.each is not NULL:
            self.each[sample * self.n_outputs + output] += seed
            return 0
        if self.few is None:
            self.few = Block(sizeof(seed_entry))
        entry.sample, entry.output, entry.seed = sample, output, seed
        self.few.add(&entry)
        return 0

    cdef inline int32_t n_few(self) noexcept:
        return self.few.n if self.few is not None else 0

    cdef inline const seed_entry *entries(self) noexcept:
        return <const seed_entry *>self.few.data

    cdef int make_each(self) except -1:
        """A number for each sample and output, in place of the entries."""
        cdef int32_t k
        cdef double *each
        if self.each is NULL:
            each = zeros(<uint64_t>self.n_samples * self.n_outputs)
            for k in range(self.n_few()):
                each[self.entries()[k].sample * self.n_outputs
                     + self.entries()[k].output] += self.entries()[k].seed
            self.each, self.few = each, None
        return 0

    cdef bint are_alike(self) noexcept:
        """Whether there are those of all samples and no others."""
        return self.each is NULL and self.n_few() == 0

    cdef int join(self) except -1:
        """Those of all samples are added to each one's."""
        cdef Py_ssize_t b
        cdef int32_t k
        if self.alike is NULL:
            return 0
        self.make_each()
        for b in range(self.n_samples):
            for k in range(self.n_outputs):
                self.each[b * self.n_outputs + k] += self.alike[k]
        return 0

    cdef Py_ssize_t most_samples(self) noexcept:
        """No more than so many have seeds."""
        return self.n_samples if self.each is not NULL else min(self.n_samples, self.n_few())

    cdef Py_ssize_t pick(self, Py_ssize_t *picked) except -1:
        """Finds the samples that have a seed, moves their seeds to the front of `each` and counts
        them; picked has room for most_samples()."""
        cdef Py_ssize_t b, n_rows, n = 0
        cdef size_t k, n_outputs = self.n_outputs
        if self.each is NULL:
            n_rows = self.make_rows(picked)
        else:
            n_rows = self.n_samples
            for b in range(n_rows):
                picked[b] = b
        for b in range(n_rows):
            for k in range(n_outputs):
                if self.each[b * n_outputs + k] != 0.0:
                    break
            else:
                continue
            if n < b:
                memcpy(self.each + n * n_outputs, self.each + b * n_outputs, 8 * n_outputs)
            picked[n] = picked[b]
            n += 1
        return n

    cdef Py_ssize_t make_rows(self, Py_ssize_t *picked) except -1:
        """`each` of the samples that entries name alone, which picked says; their number."""
        cdef const seed_entry *entry
        cdef Py_ssize_t n = 0
        cdef int32_t k
        self.few.sort(compare_entries)
        self.each = zeros(<uint64_t>self.n_few() * self.n_outputs)
        for k in range(self.n_few()):
            entry = self.entries() + k
            if n == 0 or picked[n - 1] != entry.sample:
                picked[n] = entry.sample
                n += 1
            self.each[(n - 1) * self.n_outputs + entry.output] += entry.seed
        self.few = None
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
