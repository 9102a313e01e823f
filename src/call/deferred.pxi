# Gradients of large weight matrices, put off until they are passed on.
#
# Where the weights of a matrix are captured nodes that no other step uses, a fused run over one
# tile leaves their gradients out and keeps its rows; backward then adds the product of the rows
# straight to the nodes' grads. A pass over so many numbers costs as much as the memory that it
# moves: a step of mnist_size took 780 us, now 744.
#
# A plan says who the sole user of its weights is; which nodes they are, a call's side knows.

from plan.step cimport MF_STEP_MATRIX, mf_matrix_step, mf_plan, mf_step

cdef enum:
    LEAST_PUT_OFF = 16384   # weights; fewer are in cache, and the rows kept would outweigh them

cdef int64_t least_put_off = LEAST_PUT_OFF


def _set_least_put_off(n=None) -> None:
    """Test hook: from n weights on, LEAST_PUT_OFF if None, in what is traced from now on."""
    global least_put_off
    least_put_off = LEAST_PUT_OFF if n is None else n


cdef struct deferred_step:
    int32_t step   # its number
    int32_t node   # of W[0][0]; those of the rest lie as the slots do

cdef struct slot_range:
    int32_t first, last


@cython.internal
cdef class Deferral:
    """The steps of a plan that put the gradients of their weights off."""
    cdef Block found       # deferred_step each
    cdef bytearray marks   # by step, as mf_job takes them
    cdef IdRuns kept       # the captured nodes whose gradients are not put off

    cdef inline const uint8_t *by_step(self) noexcept:
        return <const uint8_t *><const char *>self.marks


cdef Deferral deferral_of(const mf_plan *p, IdRuns reads):
    """None where no step puts off. reads: the captured nodes, by their uniform slots."""
    cdef Deferral made = Deferral.__new__(Deferral)
    cdef deferred_step step
    cdef bytearray weights = bytearray(p.n_uniforms)   # 1 where the gradient of a slot is put off
    cdef int32_t k
    made.found = Block(sizeof(deferred_step))
    made.marks = bytearray(p.n_steps)
    for k in range(p.n_uniform_steps, p.n_steps):
        step.step, step.node = k, first_weight(&p.steps[k], reads)
        if step.node >= 0:
            made.found.add(&step)
            made.marks[k] = True
            mark_weights(&p.steps[k], <char *>weights)
    if made.found.n == 0:
        return None
    made.kept = runs_without(reads, <const char *>weights)
    return made


cdef int32_t first_weight(const mf_step *s, IdRuns reads) noexcept:
    """The node of a step's first weight where the step may put off: its weights are one run of
    nodes. Else MF_NONE."""
    cdef const mf_matrix_step *matrix = &s.matrix
    cdef const id_run *run
    cdef int32_t k
    cdef slot_range weights
    if s.kind != MF_STEP_MATRIX or not matrix.sole_user:
        return MF_NONE
    if <int64_t>s.count * matrix.n < least_put_off:
        return MF_NONE
    weights = slots_of_weights(s)
    for k in range(reads.block.n):
        run = reads.runs() + k
        if run.first <= weights.first and weights.last < run.first + run.n:
            return run.id + matrix.w - run.first
    return MF_NONE


cdef slot_range slots_of_weights(const mf_step *s) noexcept:
    """The uniforms that a matrix step's weights lie among."""
    cdef const mf_matrix_step *m = &s.matrix
    cdef slot_range found
    found.first = m.w + min(0, (s.count - 1) * m.w_row) + min(0, (m.n - 1) * m.w_col)
    found.last = m.w + max(0, (s.count - 1) * m.w_row) + max(0, (m.n - 1) * m.w_col)
    return found


cdef void mark_weights(const mf_step *s, char *weights) noexcept:
    cdef const mf_matrix_step *matrix = &s.matrix
    cdef int32_t m, j
    for m in range(s.count):
        for j in range(matrix.n):
            weights[matrix.w + m * matrix.w_row + j * matrix.w_col] = True


cdef IdRuns runs_without(IdRuns reads, const char *left_out):
    """Those of the nodes whose slots are not left out."""
    cdef IdRuns kept = IdRuns()
    cdef id_run run
    cdef int32_t k, j
    for k in range(reads.block.n):
        run = reads.runs()[k]
        for j in range(run.n):
            if not left_out[run.first + j]:
                kept.add(run.id + j, run.first + j)
    return kept
