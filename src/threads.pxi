# Batches split over threads. Needs plan.pxi.
#
# The tiles of a call go in equal, contiguous shares to the calling thread and a pool of others;
# each share has a workspace and gradients of its own, which are added up in the order of the
# shares: the numbers are the same at every run with as many threads.

import operator
import os

cdef int32_t n_threads = 1
cdef object thread_pool = None    # of n_threads - 1 threads, made at the first call that splits

cdef enum:
    MAX_THREADS = 1024
    MIN_SHARE = 65536   # lane values a thread: some 50 us of work; handing it over costs 20 to 40


def set_num_threads(n) -> None:
    """How many threads compiled functions split large batches over; 1 unless set.

    Gradients are bit-identical from run to run for a given number; another number adds them up in
    another order. Raises TypeError for what is no int, ValueError out of 1 to 1024.
    """
    global n_threads, thread_pool
    number = operator.index(n)
    if isinstance(n, bool):
        raise TypeError("n must be an int, not 'bool'")
    if not 1 <= number <= MAX_THREADS:
        raise ValueError(f"n must be 1 to {MAX_THREADS}, not {number}")
    pool, thread_pool = thread_pool, None
    n_threads = number
    if pool is not None:
        pool.shutdown(wait=False)   # what it runs, it finishes


def get_num_threads() -> int:
    """What set_num_threads() set."""
    return n_threads


def forget_threads():
    """In a child of fork(), where the threads of the pool are not."""
    global thread_pool
    thread_pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_threads)


@cython.internal
cdef class Share:
    """The tiles that one thread runs; called by the pool."""
    cdef Plan plan
    cdef const mf_job *job
    cdef mf_workspace ws
    cdef Py_ssize_t first, end
    cdef int error

    def __dealloc__(self):
        free_workspace(&self.ws)
        free(self.ws.uniform_grads)

    def __call__(self):
        with nogil:
            self.error = mf_replay_tiles(&self.plan.plan, kernels, &self.ws, self.job, self.first,
                                         self.end)


cdef int32_t n_shares(const mf_plan *p, Py_ssize_t n_samples) noexcept:
    """Into how many shares a call of so many samples is worth splitting."""
    cdef int64_t n = <int64_t>n_samples * p.n_rows // MIN_SHARE
    n = min(n, min(<int64_t>n_threads, <int64_t>mf_n_tiles(p, n_samples)))
    return <int32_t>max(n, <int64_t>1)


cdef Share new_share(Plan plan, const mf_workspace *ws, const mf_job *job, int32_t k, int32_t n):
    """Share k of n, with a workspace of its own."""
    cdef Share share = Share()
    cdef Py_ssize_t n_tiles = mf_n_tiles(&plan.plan, job.n_samples)
    share.plan = plan
    share.job = job
    share.first = n_tiles * k // n
    share.end = n_tiles * (k + 1) // n
    if not make_workspace(&plan.plan, &share.ws):
        raise MemoryError("no room for the workspace of a thread")
    share.ws.uniforms = ws.uniforms
    share.ws.uniform_grads = <double *>resized(NULL, <uint64_t>plan.plan.n_uniforms + 1, 8)
    if share.ws.uniform_grads is NULL:
        raise MemoryError("no room for the workspace of a thread")
    return share


cdef int run_shares(list shares, Plan plan, const mf_workspace *ws, const mf_job *job,
                    Py_ssize_t own_tiles) except -1:
    """All shares by the pool, the first tiles here. The job is the caller's: whatever happens, this
    returns when nobody uses it any more."""
    cdef int error = 0
    futures = []
    interrupt = None
    pool = the_pool()
    for share in shares:
        try:
            futures.append(pool.submit(share))
        except RuntimeError:   # shut down meanwhile: the number of threads changed, or Python ends
            share()
    with nogil:
        error = mf_replay_tiles(&plan.plan, kernels, ws, job, 0, own_tiles)
    for future in futures:
        while not future.done():
            try:
                future.exception()
            except BaseException as e:
                interrupt = e
    if interrupt is not None:
        raise interrupt
    return error


cdef object the_pool():
    global thread_pool
    if thread_pool is None:
        from concurrent.futures import ThreadPoolExecutor
        thread_pool = ThreadPoolExecutor(max(n_threads - 1, 1), "micrograd_fast")
    return thread_pool


cdef int replay_on_threads(Plan plan, const mf_workspace *ws, const mf_job *job,
                           int32_t n) except -1:
    """mf_replay in n shares."""
    cdef int32_t k, j
    cdef Share share
    cdef int error = mf_replay_start(&plan.plan, kernels, ws, job)
    if error:
        return error
    shares = [new_share(plan, ws, job, k, n) for k in range(1, n)]
    error = run_shares(shares, plan, ws, job, mf_n_tiles(&plan.plan, job.n_samples) // n)
    for share in shares:
        error = error or share.error
        for j in range(plan.plan.n_uniforms if job.backward else 0):
            ws.uniform_grads[j] += share.ws.uniform_grads[j]
    if not error:
        mf_replay_finish(&plan.plan, kernels, ws, job)
    return error
