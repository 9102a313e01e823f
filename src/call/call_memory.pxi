# The memory of a call: a block of parts, which one function sizes and carves.
#
# A call has a block from its arguments on. A run for a backward() has another one: the call's
# uniforms stay as they were, and another thread may run the same call at the same time.

from run.executor cimport mf_column, mf_workspace

cdef struct call_memory:
    double *uniforms         # inputs, captured data and numbers, as a run reads them
    double *grads            # of the uniforms
    double *outputs          # of a call that is not batched
    double *rows             # of the samples that run, where those are some of the call's
    double *column_grads     # of the arrays' rows, laid out as they are
    mf_column *columns       # what the executor is told of the arrays' columns
    array_argument *arrays
    Py_ssize_t *picked       # the samples that run
    int32_t *value_slots     # the uniforms that are Value arguments

cdef struct memory_sizes:    # how many of each
    size_t uniforms, outputs, rows, column_grads, columns, arrays, picked, values


cdef size_t carve(call_memory *m, void *block, const memory_sizes *n) noexcept nogil:
    """Places the parts one after the other from a block's start; returns how many bytes they take.
    """
    cdef uintptr_t start = <uintptr_t>block
    cdef uintptr_t at = start
    m.uniforms = <double *>at
    at += n.uniforms * sizeof(double)
    m.grads = <double *>at
    at += n.uniforms * sizeof(double)
    m.outputs = <double *>at
    at += n.outputs * sizeof(double)
    m.rows = <double *>at
    at += n.rows * sizeof(double)
    m.column_grads = <double *>at
    at += n.column_grads * sizeof(double)
    m.columns = <mf_column *>at
    at += n.columns * sizeof(mf_column)
    m.arrays = <array_argument *>at
    at += n.arrays * sizeof(array_argument)
    m.picked = <Py_ssize_t *>at
    at += n.picked * sizeof(Py_ssize_t)
    m.value_slots = <int32_t *>at
    return at + n.values * sizeof(int32_t) - start


cdef void *allot(call_memory *m, const memory_sizes *n) except NULL:
    """A block of these parts, to be freed."""
    cdef void *block = some_memory(carve(m, NULL, n), 1)
    carve(m, block, n)
    return block


cdef inline void free_call_memory(call_memory *m) noexcept:
    free(m.uniforms)   # which carve() puts first


@cython.internal
cdef class PlanMemory:
    """What the calls of a plan work in. A block and a workspace that none of them uses right now
    are kept for the next one."""
    cdef memory_sizes sizes       # of a call's block
    cdef int32_t n_lanes          # numbers a sample that its arrays hold
    cdef void *idle_block
    cdef mf_workspace idle
    cdef bint has_idle

    def __dealloc__(self):
        free(self.idle_block)
        if self.has_idle:
            free_workspace(&self.idle)

    cdef inline int take_block(self, call_memory *m) except -1:
        cdef void *block = self.idle_block
        if block is NULL:
            allot(m, &self.sizes)
        else:
            self.idle_block = NULL
            carve(m, block, &self.sizes)
        return 0

    cdef inline void give_block_back(self, call_memory *m) noexcept:
        if self.idle_block is NULL:
            self.idle_block = m.uniforms
        else:
            free_call_memory(m)

    cdef inline bint take_workspace(self, Plan plan, mf_workspace *ws) noexcept:
        """False when memory has run out."""
        if not self.has_idle:
            return make_workspace(&plan.plan, ws)
        ws[0] = self.idle
        self.has_idle = False
        return True

    cdef inline void give_workspace_back(self, mf_workspace *ws) noexcept:
        if self.has_idle:
            free_workspace(ws)
        else:
            self.idle = ws[0]
            self.has_idle = True
