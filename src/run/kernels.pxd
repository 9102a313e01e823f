# The kernels of an instruction set, and the choice among them (kernels.h).

cdef extern from "run/kernels.h" nogil:
    ctypedef struct mf_adam:
        double beta1, beta2, sign, decay, shrink, step, scale, eps
    ctypedef struct mf_rmsprop:
        double alpha, sign, decay, momentum, lr, eps
    ctypedef struct mf_adagrad:
        double sign, decay, step, eps
    ctypedef struct mf_kernels:
        const char *name
        double (*multiply_adds)(Py_ssize_t n) noexcept nogil
        int multiply_adds_a_round
        bint (*any_absent)(Py_ssize_t n, const double *g) noexcept nogil
        void (*adam)(Py_ssize_t n, const mf_adam *a, const double *g, double *p, double *mean,
                     double *square, double *largest) noexcept nogil
        void (*rmsprop)(Py_ssize_t n, const mf_rmsprop *a, const double *g, double *p,
                        double *square, double *mean, double *velocity) noexcept nogil
        void (*adagrad)(Py_ssize_t n, const mf_adagrad *a, const double *g, double *p,
                        double *total) noexcept nogil
    const mf_kernels *mf_choose_kernels(const char *name)
