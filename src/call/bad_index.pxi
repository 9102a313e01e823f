# What to say of an index of take() that is none of its values'.

from libc.math cimport floor

from plan.step cimport mf_plan, mf_step
from run.replay cimport mf_column, mf_job, mf_replay_start, mf_replay_tiles, mf_workspace

cdef extern from *:
    """
    /* The first take of these steps whose index, known by now, is out of range; NULL: none. */
    static const mf_step *mf_bad_take(const mf_plan *p, const mf_workspace *ws, int32_t first,
                                      int32_t end, double *index) {
        for (int32_t k = first; k < end; k++) {
            const mf_step *s = &p->steps[k];
            if (s->op != MF_TAKE) continue;
            *index = s->y >= 0 ? ws->rows[(size_t)s->y * mf_whole_blocks(1)]
                               : ws->uniforms[~s->y];
            if (!mf_is_whole(*index, s->n_rows)) return s;
        }
        return NULL;
    }
    """
    const mf_step *mf_bad_take(const mf_plan *p, const mf_workspace *ws, int32_t first,
                               int32_t end, double *index) nogil


cdef str bad_index(Call call, Py_ssize_t n, const double *rows, double *uniforms):
    """The index of a run that MF_REPLAY_INDEX has ended: one sample after the other runs again."""
    cdef const mf_plan *plan = &call.specialization.plan.plan
    cdef mf_workspace ws
    cdef mf_job job
    cdef Py_ssize_t sample, k
    cdef double index = 0.0
    cdef const mf_step *step = NULL
    cdef mf_column *columns
    memset(&job, 0, sizeof(job))
    job.n_samples = 1
    columns = call.columns(n, rows, NULL)
    job.columns = columns
    if not call.specialization.workspaces.take(call.specialization.plan, &ws):
        free(columns)
        return "mg.take: an index is out of range or no whole number"
    ws.uniforms, ws.uniform_grads = uniforms, NULL
    where = ""
    if mf_replay_start(plan, kernels, &ws, &job):
        step = mf_bad_take(plan, &ws, 0, plan.n_uniform_steps, &index)
    for sample in range(n if step is NULL else 0):
        if mf_replay_tiles(plan, kernels, &ws, &job, 0, 1):
            step = mf_bad_take(plan, &ws, plan.n_uniform_steps, plan.n_steps, &index)
            where = f" of sample {sample}" if call.specialization.batch else ""
            break
        for k in range(plan.n_columns):
            columns[k].data += columns[k].stride
    free(columns)
    call.specialization.workspaces.give_back(&ws)
    if step is NULL:   # numbers of the arguments were changed by another thread
        return "mg.take: an index is out of range or no whole number"
    if index != floor(index):
        return f"mg.take: index {index}{where} is not a whole number"
    return f"mg.take: index {index:.0f}{where} is out of range for {step.n_rows} values"
