/* The interpreter of plans (replay.h) as an executor. */
#ifndef MF_INTERPRETER_H
#define MF_INTERPRETER_H

#include <string.h>

#include "run/executor.h"
#include "run/replay.h"

static ptrdiff_t mf_interpreter_n_tiles(const mf_plan *p, ptrdiff_t n_samples) {
    return mf_n_tiles(p, n_samples);
}

static int mf_interpreter_start(const mf_executor *e, const mf_plan *p, const mf_workspace *ws,
                                const mf_job *job) {
    return mf_replay_start(p, e->kernels, ws, job);
}

static int mf_interpreter_tiles(const mf_executor *e, const mf_plan *p, const mf_workspace *ws,
                                const mf_job *job, ptrdiff_t first, ptrdiff_t end) {
    return mf_replay_tiles(p, e->kernels, ws, job, first, end);
}

static void mf_interpreter_finish(const mf_executor *e, const mf_plan *p, const mf_workspace *ws,
                                  const mf_job *job) {
    mf_replay_finish(p, e->kernels, ws, job);
}

static int mf_interpreter_run(const mf_executor *e, const mf_plan *p, const mf_workspace *ws,
                              const mf_job *job) {
    return mf_replay(p, e->kernels, ws, job);
}

static void mf_interpreter_add_weights(const mf_executor *e, const mf_plan *p,
                                       const mf_workspace *ws, const mf_job *job, int32_t step,
                                       double scale, double *dw) {
    mf_add_weights(p, e->kernels, ws, job, step, scale, dw);
}

/* The first take of these steps whose index, known by now, is out of range; NULL: none. */
static const mf_step *mf_bad_take(const mf_plan *p, const mf_workspace *ws, int32_t first,
                                  int32_t end, double *index) {
    for (int32_t k = first; k < end; k++) {
        const mf_step *s = &p->steps[k];
        if (s->kind != MF_STEP_TAKE) continue;
        const int32_t slot = s->take.index;
        *index = slot >= 0 ? ws->rows[(size_t)slot * mf_whole_blocks(1)] : ws->uniforms[~slot];
        if (!mf_is_whole(*index, s->take.n)) return s;
    }
    return NULL;
}

static mf_bad_index mf_interpreter_bad_index(const mf_executor *e, const mf_plan *p,
                                             const mf_workspace *ws, mf_column *columns,
                                             ptrdiff_t n_samples) {
    mf_bad_index found = {-1, 0.0, 0};
    mf_job one;
    const mf_step *step = NULL;
    memset(&one, 0, sizeof one);
    one.n_samples = 1;
    one.columns = columns;
    if (mf_replay_start(p, e->kernels, ws, &one))
        step = mf_bad_take(p, ws, 0, p->n_uniform_steps, &found.index);
    for (ptrdiff_t b = 0; step == NULL && b < n_samples; b++) {
        if (mf_replay_tiles(p, e->kernels, ws, &one, 0, 1)) {
            step = mf_bad_take(p, ws, p->n_uniform_steps, p->n_steps, &found.index);
            found.sample = b;
            break;
        }
        for (int32_t k = 0; k < p->n_columns; k++) columns[k].data += columns[k].stride;
    }
    found.n_choices = step == NULL ? 0 : step->take.n;
    return found;
}

static mf_executor mf_interpreter(const mf_kernels *kernels) {
    return (mf_executor){kernels,
                         mf_interpreter_n_tiles,
                         mf_interpreter_start,
                         mf_interpreter_tiles,
                         mf_interpreter_finish,
                         mf_interpreter_run,
                         mf_interpreter_add_weights,
                         mf_interpreter_bad_index};
}

#endif
