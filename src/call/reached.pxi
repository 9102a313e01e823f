# Backward from some results of a call without samples: the steps that these reach run, over the
# numbers that the call left behind.

from base.absent cimport mf_present
from plan.step cimport MF_NO_SLOT, mf_range
from run.reached cimport (mf_is_without_lanes, mf_reached, mf_reached_clear, mf_reached_free,
                          mf_reached_make, mf_reached_run, mf_reached_seed)

cdef enum:
    NOBODY = -1   # a uniform that is no captured node and no Value argument


@cython.internal
cdef class Reaching:
    """Of one plan: what such a walk works in. Nothing else runs from the first seed to the end."""
    cdef mf_reached walk
    cdef Plan plan
    cdef int32_t *owners   # by uniform: the captured node; -2 - k of the k-th Value argument

    def __dealloc__(self):
        mf_reached_free(&self.walk)
        free(self.owners)

    cdef int begin(self, Plan plan, IdRuns reads, list value_inputs) except -1:
        cdef const mf_plan *p = &plan.plan
        cdef int32_t k
        self.owners = <int32_t *>some_memory(p.n_uniforms, sizeof(int32_t))
        for k in range(p.n_uniforms):
            self.owners[k] = NOBODY
        for id, place in reads.pairs():
            self.owners[<int32_t>place] = <int32_t>id
        for k, input in enumerate(value_inputs):
            self.owners[~p.input_slots[<int32_t>input]] = -2 - k
        if not mf_reached_make(&self.walk, p):
            raise MemoryError("no room for the gradient of a compiled function")
        self.plan = plan
        return 0

    cdef inline bint seed(self, int32_t output, double seed) noexcept:
        """Whether it is one: 0 passes nothing on."""
        if seed != 0.0:
            mf_reached_seed(&self.walk, output, seed)
        return seed != 0.0

    cdef void pull_back(self, double *uniforms, list values) noexcept:
        """What the seeds are worth is added to the grads of what the call read."""
        cdef mf_range ends
        cdef const double *grads = self.walk.grads
        cdef int32_t k, u, owner
        mf_reached_run(&self.walk, kernels, uniforms)
        for k in range(self.walk.n_ends):
            ends = self.walk.ends[k]
            for u in range(ends.first, ends.first + ends.n):
                owner = self.owners[u]
                if owner >= 0:
                    store.grad[owner] = mf_present(store.grad[owner] + grads[u])
                elif owner != NOBODY:
                    owner = (<Value>values[-2 - owner]).id
                    store.grad[owner] = mf_present(store.grad[owner] + grads[u])
                self.walk.grads[u] = 0.0   # it may be among the ends again
        mf_reached_clear(&self.walk)
