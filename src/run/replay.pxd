# The executor (tile.h, replay.h).
from libc.stdint cimport int32_t

from plan.step cimport mf_plan
from run.kernels cimport mf_kernels

cdef extern from "run/replay.h" nogil:
    enum:
        MF_REPLAY_OK
        MF_REPLAY_INDEX
    ctypedef struct mf_column:
        const double *data
        Py_ssize_t stride
        double *grad
    ctypedef struct mf_workspace:
        double *uniforms
        double *uniform_grads
        double *rows
        double *row_grads
        double *scratch
        void *block
    ctypedef struct mf_job:
        Py_ssize_t n_samples
        const mf_column *columns
        double *outputs
        const double *seeds
        int32_t seed_step
        bint backward, defers
    Py_ssize_t mf_n_tiles(const mf_plan *p, Py_ssize_t n_samples)
    int mf_replay_start(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                        const mf_job *job)
    int mf_replay_tiles(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                        const mf_job *job, Py_ssize_t first, Py_ssize_t end)
    void mf_replay_finish(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                          const mf_job *job)
    int mf_replay(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                  const mf_job *job)
    void mf_add_weights(const mf_plan *p, const mf_kernels *kernels, const mf_workspace *ws,
                        const mf_job *job, double scale, double *node_grads)
