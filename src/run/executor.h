/* What runs a plan: the job, the memory that the caller lends, and a struct of functions that any
 * executor fills in. The interpreter (interpreter.h) is the one that there is. */
#ifndef MF_EXECUTOR_H
#define MF_EXECUTOR_H

#include <stddef.h>

#include "plan/step.h"
#include "run/kernel_types.h"

typedef struct {
    const double *data; /* sample b is data[b * stride] */
    ptrdiff_t stride;
    double *grad;       /* where its gradient goes, laid out alike, or NULL */
} mf_column;

typedef struct {
    double *uniforms, *uniform_grads; /* the caller's, who fills in inputs, captured data, numbers */
    double *rows, *row_grads;         /* tile lanes a row, from an address that is one of a line */
    double *scratch;
    void *block;                      /* what to free */
} mf_workspace;

typedef struct {
    ptrdiff_t n_samples;
    const mf_column *columns;
    double *outputs;     /* sample b's output k is outputs[b * n_outputs + k]; NULL: not wanted */
    const double *seeds; /* their adjoints; NULL: one for output 0 of each sample */
    int32_t seed_move;   /* from a sample's seeds to the next one's: n_outputs, or 0: all alike */
    int backward;
    const uint8_t *deferred; /* by step: whether it leaves the adjoints of its weights out; or NULL */
} mf_job;

/* Of so many values a take goes over the lanes once for each; of more each lane fetches its own. */
enum { MF_MAX_BLENDED = 4 };

/* The room that a workspace takes, uniforms aside; it starts at a cache line. */
static inline uint64_t mf_workspace_doubles(const mf_plan *p) {
    return 2 * (uint64_t)p->n_rows * (uint64_t)p->tile +
           (uint64_t)p->scratch * (uint64_t)(p->tile + MF_LANE_BLOCK) + MF_LANE_BLOCK;
}

/* How a run ends. */
enum { MF_REPLAY_OK = 0, MF_REPLAY_INDEX = 1 };

/* The index of a take that ended a run. */
typedef struct {
    ptrdiff_t sample;  /* -1: of all */
    double index;
    int32_t n_choices; /* 0: none was found */
} mf_bad_index;

/* Between start and finish, tiles may run in any number of threads, each with rows and uniform_grads
 * of its own, which are summed up afterwards. An error is one of those above. */
typedef struct mf_executor mf_executor;
struct mf_executor {
    const mf_kernels *kernels;
    ptrdiff_t (*n_tiles)(const mf_plan *p, ptrdiff_t n_samples);
    int (*start)(const mf_executor *e, const mf_plan *p, const mf_workspace *ws, const mf_job *job);
    int (*tiles)(const mf_executor *e, const mf_plan *p, const mf_workspace *ws, const mf_job *job,
                 ptrdiff_t first, ptrdiff_t end);
    void (*finish)(const mf_executor *e, const mf_plan *p, const mf_workspace *ws,
                   const mf_job *job);
    /* all three, over all tiles */
    int (*run)(const mf_executor *e, const mf_plan *p, const mf_workspace *ws, const mf_job *job);
    /* the adjoints of the weights that a step of a job over one tile left out, times scale, to where
     * these lie at dw as they do among the uniforms; once */
    void (*add_weights)(const mf_executor *e, const mf_plan *p, const mf_workspace *ws,
                        const mf_job *job, int32_t step, double scale, double *dw);
    /* after a run that ended so: moves the columns on, one sample after the other */
    mf_bad_index (*bad_index)(const mf_executor *e, const mf_plan *p, const mf_workspace *ws,
                              mf_column *columns, ptrdiff_t n_samples);
};

#endif
