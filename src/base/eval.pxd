# Op codes, what the op table says of each, values and partials (eval.h). Of the table's codes those
# that Cython code names: the others come to it as numbers.

cdef extern from "base/eval.h" nogil:
    enum:
        MF_OK
        MF_ZERODIV
        MF_OVERFLOW
        MF_UNARY
        MF_BINARY
        MF_PARAM
        MF_ANY
        MF_CHOICE
        MF_FREE
        MF_LEAF
        MF_CUSTOM
        MF_LINK
        MF_INPUT
        MF_DETACH
        MF_TAKE
        MF_LARGEST
        MF_SMALLEST
        MF_CALL
        MF_FIRST_OP
        MF_ADD
        MF_MUL
        MF_POW
        MF_VPOW
        MF_ABS
        MF_COMPARE
        MF_LESS
        MF_LESS_EQUAL
        MF_EQUAL
        MF_REACHED
        MF_MAXIMUM
        MF_N_EAGER_OPS
        MF_SLOPE
        MF_N_OPS
        MF_NUMBER
        MF_CAPTURED
        MF_DOT
    ctypedef struct mf_op_info:
        const char *name
        const char *label
        int kind
        double lo
        double hi
        const char *value
        const char *dx
        const char *dy
        const char *doc
        const char *rules[2]
    const mf_op_info mf_ops[]
    double mf_libm_beyond(int op)
    int mf_kind_of_partials(int op)
    int mf_forward(int op, double x, double y, double *out)
    int mf_forward_of(int op, double x, double y, double *out)
    int mf_forward_quick(int op, double x, double y, double *out)
    void mf_partials(int op, double x, double y, double z, double *dx, double *dy)
    double mf_extreme_of(int op, double x, double y)
