# Batches split over threads.
#
# The tiles of a call go in equal, contiguous shares to the calling thread and to workers; each has
# a workspace and gradients of its own, which are added up in the order of the shares. How many
# shares there are is a matter of the number of threads that was set, not of who runs them: the
# numbers are the same where workers are busy with other calls, or cannot be started.

import operator
import os

from base.memory cimport mf_resized
from call.shares cimport (mf_join_shares, mf_run_shares, mf_share, mf_worker, mf_worker_end,
                          mf_worker_start)
from plan.step cimport mf_plan
from run.executor cimport mf_job, mf_workspace

cdef int32_t n_threads = 1
cdef int32_t n_workers = 0                # threads that run or wait
cdef mf_worker *idle_workers = NULL       # those of them that wait
cdef mf_worker *ended_workers = NULL      # without a thread: locks and memory for another
cdef int64_t n_starts_left = -1           # test hook: threads until one fails to start; -1: never

cdef enum:
    MAX_THREADS = 1024
    MIN_SHARE = 65536   # lane values a thread: some 50 us of work; handing over costs 5 to 20


@cython.embedsignature(True)
def set_num_threads(n) -> None:
    """How many threads compiled functions split large batches over; 1 unless set.

    Gradients are bit-identical from run to run for a given number; another number adds them up in
    another order. Raises TypeError for what is no int, ValueError out of 1 to 1024.
    """
    global n_threads
    number = operator.index(n)
    if isinstance(n, bool):
        raise TypeError("n must be an int, not 'bool'")
    if not 1 <= number <= MAX_THREADS:
        raise ValueError(f"n must be 1 to {MAX_THREADS}, not {number}")
    n_threads = number
    dismiss(NULL)


@cython.embedsignature(True)
def get_num_threads() -> int:
    """What set_num_threads() set."""
    return n_threads


def _set_thread_starts(n=None) -> None:
    """Test hook: n more threads can be started, None: as many as the system gives."""
    global n_starts_left
    n_starts_left = -1 if n is None else n


def _num_workers() -> tuple:
    """(threads that were started and run, those of them that wait for work)"""
    cdef mf_worker *w = idle_workers
    n_idle = 0
    while w is not NULL:
        n_idle += 1
        w = w.next
    return n_workers, n_idle


def forget_workers():
    """In a child of fork(), where no thread is but the one that called it."""
    global idle_workers, ended_workers, n_workers
    idle_workers = ended_workers = NULL   # their locks are in whatever state another thread left
    n_workers = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_workers)


cdef mf_worker *started_worker() noexcept:
    """One more; NULL where the system gives no thread or no memory."""
    global ended_workers, n_workers, n_starts_left
    cdef mf_worker *w = ended_workers
    cdef bint may_start = n_starts_left != 0
    if w is not NULL:
        ended_workers = w.next
    else:
        w = <mf_worker *>mf_resized(NULL, 1, sizeof(mf_worker))
        if w is NULL:
            return NULL
        memset(w, 0, sizeof(mf_worker))
    if n_starts_left > 0:
        n_starts_left -= 1
    if may_start and mf_worker_start(w):
        n_workers += 1
        return w
    w.next = ended_workers
    ended_workers = w
    return NULL


cdef mf_worker *gather(int32_t n) noexcept:
    """A list of at most n workers that nobody else uses."""
    global idle_workers
    cdef mf_worker *crew = NULL
    cdef mf_worker *w
    while n > 0:
        w = idle_workers
        if w is not NULL:
            idle_workers = w.next
        elif n_workers < n_threads - 1:
            w = started_worker()
        if w is NULL:
            break
        w.next = crew
        crew = w
        n -= 1
    return crew


cdef int dismiss(mf_worker *crew) noexcept:
    """Workers wait for the next call, or end where they are too many."""
    global idle_workers, ended_workers, n_workers
    cdef mf_worker *w
    while crew is not NULL:
        w, crew = crew, crew.next
        w.next = idle_workers
        idle_workers = w
    while idle_workers is not NULL and n_workers > n_threads - 1:
        w = idle_workers
        idle_workers = w.next
        n_workers -= 1
        with nogil:
            mf_worker_end(w)
        w.next = ended_workers
        ended_workers = w
    return 0


cdef int32_t n_shares(const mf_plan *p, Py_ssize_t n_samples, int64_t n_values) noexcept:
    """Into how many shares a call is worth splitting that computes so many lane values."""
    cdef int64_t n = n_values // MIN_SHARE
    n = min(n, min(<int64_t>n_threads, <int64_t>executor.n_tiles(p, n_samples)))
    return <int32_t>max(n, <int64_t>1)


cdef bint make_share(mf_share *share, const mf_workspace *ws) noexcept:
    """A workspace for a share but the first; False when memory has run out."""
    if not make_workspace(share.plan, &share.ws):
        return False
    share.ws.uniforms = ws.uniforms
    share.ws.uniform_grads = <double *>mf_resized(NULL, <uint64_t>share.plan.n_uniforms + 1, 8)
    return share.ws.uniform_grads is not NULL


cdef void free_shares(mf_share *shares, int32_t n) noexcept:
    cdef int32_t k
    for k in range(1, n):   # the first one's workspace is the caller's
        free_workspace(&shares[k].ws)
        free(shares[k].ws.uniform_grads)
    free(shares)


cdef mf_share *split(const mf_plan *p, const mf_workspace *ws, const mf_job *job,
                     int32_t n) except NULL:
    """The n shares of a job."""
    cdef mf_share *shares = <mf_share *>zeros(n * sizeof(mf_share) // sizeof(double) + 1)
    cdef int64_t n_tiles = executor.n_tiles(p, job.n_samples)
    cdef int32_t k
    for k in range(n):
        shares[k].executor = &executor
        shares[k].plan = p
        shares[k].job = job
        shares[k].first = <Py_ssize_t>(n_tiles * k // n)
        shares[k].end = <Py_ssize_t>(n_tiles * (k + 1) // n)
        if k == 0:
            shares[k].ws = ws[0]
        elif not make_share(&shares[k], ws):
            free_shares(shares, n)
            raise MemoryError("no room for the workspace of a thread")
    return shares


cdef int run_on_threads(const mf_plan *p, const mf_workspace *ws, const mf_job *job,
                        int32_t n) except -1:
    """The executor's run in n shares. From the first share that is handed out to the last that is
    done no Python code runs here, so the plan, the workspaces and the job outlive them."""
    cdef mf_share *shares
    cdef mf_worker *crew
    cdef int error
    with nogil:
        error = executor.start(&executor, p, ws, job)
    if error:
        return error
    shares = split(p, ws, job, n)
    crew = gather(n - 1)
    with nogil:
        mf_run_shares(shares, n, crew)
        error = mf_join_shares(shares, n)
        if not error:
            executor.finish(&executor, p, ws, job)
    dismiss(crew)
    free_shares(shares, n)
    return error
