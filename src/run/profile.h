/* The interpreter with a clock: a run that computes what mf_replay does, and takes the time of each
 * step. What runs unwatched does not know of it. */
#ifndef MF_PROFILE_H
#define MF_PROFILE_H

#include <time.h>

#include "run/replay.h"

typedef struct { /* each of n_steps + 1: by step, then what is none, loading and storing */
    double *forward, *backward; /* seconds, added to */
    double last;                /* the clock's latest reading */
    double reading;             /* seconds that one takes */
} mf_profile;

/* One that never goes back, where the system has it. */
static double mf_seconds(void) {
    struct timespec t;
#ifdef CLOCK_MONOTONIC
    clock_gettime(CLOCK_MONOTONIC, &t);
#else
    timespec_get(&t, TIME_UTC);
#endif
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What a reading of the clock takes, of the fastest of some rounds. */
static double mf_clock_reading(void) {
    enum { ROUNDS = 20, READINGS = 50 };
    double least = 1.0;
    for (int round = 0; round < ROUNDS; round++) {
        const double start = mf_seconds();
        for (int k = 1; k < READINGS; k++) (void)mf_seconds();
        const double took = (mf_seconds() - start) / READINGS;
        if (took < least) least = took;
    }
    return least;
}

/* What ran since the last reading took its time, less that of a reading. */
static void mf_add_time(mf_profile *t, double *seconds) {
    const double now = mf_seconds();
    *seconds += now - t->last - t->reading;
    t->last = now;
}

static int mf_profile_start(const mf_run *r, mf_profile *t) {
    for (int32_t k = 0; k < r->plan->n_uniform_steps; k++) {
        const int error = mf_uniform_forward(r, &r->plan->steps[k]);
        mf_add_time(t, &t->forward[k]);
        if (error) return error;
    }
    return MF_REPLAY_OK;
}

static void mf_profile_backward_tile(const mf_run *r, mf_profile *t) {
    const mf_plan *p = r->plan;
    const unsigned before = mf_flush_on();
    mf_seed_tile(r);
    mf_add_time(t, &t->backward[p->n_steps]);
    for (int32_t k = p->n_steps - 1; k >= p->n_uniform_steps; k--) {
        if (!p->steps[k].wants_gradient) continue;
        mf_lane_backward(r, &p->steps[k]);
        mf_add_time(t, &t->backward[k]);
    }
    mf_store_column_grads(r);
    mf_flush_off(before);
    mf_add_time(t, &t->backward[p->n_steps]);
}

static int mf_profile_tile(mf_run *r, void *profile) {
    mf_profile *t = (mf_profile *)profile;
    const mf_plan *p = r->plan;
    mf_forget_subnormals();
    mf_load_columns(r);
    mf_add_time(t, &t->forward[p->n_steps]);
    for (int32_t k = p->n_uniform_steps; k < p->n_steps; k++) {
        const int error = mf_lane_forward(r, &p->steps[k]);
        mf_add_time(t, &t->forward[k]);
        if (error) return error;
    }
    mf_store_outputs(r);
    r->met_subnormals = mf_met_subnormals();
    mf_add_time(t, &t->forward[p->n_steps]);
    if (r->job->backward) mf_profile_backward_tile(r, t);
    return MF_REPLAY_OK;
}

static void mf_profile_finish(const mf_run *r, mf_profile *t) {
    const mf_plan *p = r->plan;
    const unsigned before = mf_flush_on();
    for (int32_t k = p->n_uniform_steps - 1; k >= 0; k--) {
        if (!p->steps[k].wants_gradient) continue;
        mf_uniform_backward(r, &p->steps[k]);
        mf_add_time(t, &t->backward[k]);
    }
    mf_flush_off(before);
}

/* A run as mf_replay's; t->forward and t->backward are given. */
static int mf_profile_run(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                          const mf_job *job, mf_profile *t) {
    mf_run r = {p, kernels, job, *ws, 0, 0, 0, 0, 0};
    t->reading = mf_clock_reading();
    t->last = mf_seconds();
    int error = mf_profile_start(&r, t);
    r.is_first = 1;
    if (!error) error = mf_run_tiles(&r, 0, mf_n_tiles(p, job->n_samples), mf_profile_tile, t);
    r.is_first = 0;
    if (!error && job->backward) mf_profile_finish(&r, t);
    return error;
}

#endif
