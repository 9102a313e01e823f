# Gradients of large weight matrices, put off until they are passed on.
#
# Where the weights of a matrix are captured nodes that no other step uses, a fused run over one
# tile leaves their gradients out and keeps its rows; backward then adds the product of the rows
# straight to the nodes' grads. A pass over so many numbers costs as much as the memory that it
# moves: a step of mnist_size took 780 us, now 744.

from base.eval cimport MF_MATRIX
from plan.step cimport mf_step

cdef enum:
    LEAST_PUT_OFF = 16384   # weights; fewer are in cache, and the rows kept would outweigh them

cdef int64_t least_put_off = LEAST_PUT_OFF


def _set_least_put_off(n=None) -> None:
    """Test hook: from n weights on, LEAST_PUT_OFF if None, in what is traced from now on."""
    global least_put_off
    least_put_off = LEAST_PUT_OFF if n is None else n


cdef IdRuns put_off(Plan plan, IdRuns reads):
    """Marks the steps of the plan that put off. Returns what is left of the reads; None: all."""
    cdef mf_step *s = <mf_step *>plan.steps.data
    cdef IdRuns kept
    cdef Block is_put_off = None
    cdef id_run run
    cdef uint8_t flag = 0
    cdef int32_t i, j, k
    for k in range(plan.plan.n_uniform_steps, plan.plan.n_steps):
        if not find_weights(&s[k], reads):
            continue
        if is_put_off is None:
            is_put_off = Block(1)
            for j in range(plan.plan.n_uniforms):
                is_put_off.add(&flag)
        for i in range(s[k].count):
            for j in range(s[k].n):
                is_put_off.data[s[k].w + i * s[k].w_row + j * s[k].w_col] = 1
    if is_put_off is None:
        return None
    kept = IdRuns()
    for k in range(reads.block.n):
        run = reads.runs()[k]
        for j in range(run.n):
            if not is_put_off.data[run.first + j]:
                kept.add(run.id + j, run.first + j)
    verify_plan(plan, reads)
    return kept


cdef bint find_weights(mf_step *s, IdRuns reads) noexcept:
    """Whether the step may put off: then it knows the node of its first weight."""
    cdef int32_t first, last, k
    cdef id_run run
    if s.op != MF_MATRIX or not s.sole_user or not s.wants_gradient:
        return False
    if <int64_t>s.count * s.n < least_put_off:
        return False
    first = s.w + min(0, (s.count - 1) * s.w_row) + min(0, (s.n - 1) * s.w_col)
    last = s.w + max(0, (s.count - 1) * s.w_row) + max(0, (s.n - 1) * s.w_col)
    for k in range(reads.block.n):
        run = reads.runs()[k]
        if run.first <= first and last < run.first + run.n:
            s.w_node = run.id + s.w - run.first
            s.puts_off = True
            return True
    return False
