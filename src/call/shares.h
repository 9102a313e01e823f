/* A call in shares, run by several threads. The threads hold no Python: they wait for a share, run
 * it without the GIL, say so, and wait again. Who handed shares out waits here, in C, where no
 * exception can end the wait: nothing that the shares use goes away before.
 *
 * The list of workers is threads.pxi's, which keeps it under the GIL. */
#ifndef MF_SHARES_H
#define MF_SHARES_H

#include <Python.h>
#include <pythread.h>
#if !defined(_WIN32)
#include <signal.h>
#endif

#include "run/executor.h"

/* The tiles from first to end of a job, with rows and gradients of their own. */
typedef struct {
    const mf_executor *executor;
    const mf_plan *plan;
    const mf_job *job;
    mf_workspace ws;
    ptrdiff_t first, end;
    int error; /* of the tiles */
} mf_share;

typedef struct mf_worker {
    PyThread_type_lock go, done; /* both are held; whoever waits for one takes it when it is let go */
    mf_share *shares;            /* NULL: the thread ends */
    int32_t n, first, step;      /* of n shares it runs number first, first + step, ... */
    struct mf_worker *next;
} mf_worker;

static void mf_run_every(mf_share *shares, int32_t n, int32_t first, int32_t step) {
    for (int32_t k = first; k < n; k += step) {
        mf_share *s = &shares[k];
        s->error = s->executor->tiles(s->executor, s->plan, &s->ws, s->job, s->first, s->end);
    }
}

/* Signals are for Python's threads: one that arrived here would interrupt nobody's wait. Those that
 * a fault of this thread raises stay. */
static void mf_block_signals(void) {
#if !defined(_WIN32)
    static const int of_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    sigset_t all;
    sigfillset(&all);
    for (size_t k = 0; k < sizeof of_faults / sizeof *of_faults; k++) sigdelset(&all, of_faults[k]);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
#endif
}

static void mf_worker_main(void *worker) {
    mf_worker *w = (mf_worker *)worker;
    mf_block_signals();
    for (int ends = 0; !ends;) {
        PyThread_acquire_lock(w->go, WAIT_LOCK);
        ends = w->shares == NULL;
        if (!ends) mf_run_every(w->shares, w->n, w->first, w->step);
        PyThread_release_lock(w->done); /* the last look at w: another thread may start in its place */
    }
}

/* Starts the thread of a worker that has none; whether it could. With the GIL. A block of zeros is a
 * worker; the locks stay with it. */
static int mf_worker_start(mf_worker *w) {
    for (int k = 0; k < 2; k++) {
        PyThread_type_lock *lock = k ? &w->done : &w->go;
        if (*lock != NULL) continue;
        *lock = PyThread_allocate_lock();
        if (*lock == NULL) return 0;
        PyThread_acquire_lock(*lock, WAIT_LOCK);
    }
    return PyThread_start_new_thread(mf_worker_main, w) != PYTHREAD_INVALID_THREAD_ID;
}

/* Its thread will not touch it any more. */
static void mf_worker_end(mf_worker *w) {
    w->shares = NULL;
    PyThread_release_lock(w->go);
    PyThread_acquire_lock(w->done, WAIT_LOCK);
}

/* All shares, by a list of workers and the calling thread; returns when all have run. Which of them
 * runs a share makes no difference to its numbers. */
static void mf_run_shares(mf_share *shares, int32_t n, mf_worker *crew) {
    int32_t n_runners = 1, k = 0;
    for (mf_worker *w = crew; w != NULL; w = w->next) n_runners++;
    for (mf_worker *w = crew; w != NULL; w = w->next) {
        w->shares = shares, w->n = n, w->first = ++k, w->step = n_runners;
        PyThread_release_lock(w->go);
    }
    mf_run_every(shares, n, 0, n_runners);
    for (mf_worker *w = crew; w != NULL; w = w->next) PyThread_acquire_lock(w->done, WAIT_LOCK);
}

/* The first error among the shares; the gradients of all of them, added up in their order, are in
 * the first one. */
static int mf_join_shares(mf_share *shares, int32_t n) {
    const int32_t n_uniforms = shares->job->backward ? shares->plan->n_uniforms : 0;
    int error = shares->error;
    for (int32_t k = 1; k < n; k++) {
        if (!error) error = shares[k].error;
        for (int32_t j = 0; j < n_uniforms; j++)
            shares->ws.uniform_grads[j] += shares[k].ws.uniform_grads[j];
    }
    return error;
}

#endif
