# What runs a plan (executor.h), and the interpreter that does (interpreter.h).
from libc.stdint cimport int32_t, uint8_t, uint64_t

from plan.step cimport mf_plan
from run.kernels cimport mf_kernels

cdef extern from "run/executor.h" nogil:
    enum:
        MF_REPLAY_INDEX
        MF_MAX_BLENDED
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
        int32_t seed_move
        bint backward
        const uint8_t *deferred
    ctypedef struct mf_bad_index:
        Py_ssize_t sample
        double index
        int32_t n_choices
    ctypedef struct mf_executor:
        const mf_kernels *kernels
        Py_ssize_t (*n_tiles)(const mf_plan *p, Py_ssize_t n_samples) noexcept nogil
        int (*start)(const mf_executor *e, const mf_plan *p, const mf_workspace *ws,
                     const mf_job *job) noexcept nogil
        void (*finish)(const mf_executor *e, const mf_plan *p, const mf_workspace *ws,
                       const mf_job *job) noexcept nogil
        int (*run)(const mf_executor *e, const mf_plan *p, const mf_workspace *ws,
                   const mf_job *job) noexcept nogil
        void (*add_weights)(const mf_executor *e, const mf_plan *p, const mf_workspace *ws,
                            const mf_job *job, int32_t step, double scale,
                            double *dw) noexcept nogil
        mf_bad_index (*bad_index)(const mf_executor *e, const mf_plan *p, const mf_workspace *ws,
                                  mf_column *columns, Py_ssize_t n_samples) noexcept nogil
    uint64_t mf_workspace_doubles(const mf_plan *p)

cdef extern from "run/interpreter.h" nogil:
    mf_executor mf_interpreter(const mf_kernels *kernels)
