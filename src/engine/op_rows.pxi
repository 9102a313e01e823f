# The rows of the op table for Python.

from base.eval cimport MF_BINARY, MF_FIRST_OP, MF_N_EAGER_OPS, MF_PARAM, MF_UNARY, mf_ops


cdef class Op:
    """A row of the op table. kind: 'unary', 'binary' or 'param' (x and a fixed number); lo and hi
    bound a domain on which the op is smooth."""
    cdef readonly str name, label, kind
    cdef readonly int arity
    cdef readonly double lo, hi

    def __repr__(self):
        return (f"Op(name={self.name!r}, label={self.label!r}, kind={self.kind!r}, "
                f"arity={self.arity}, lo={self.lo}, hi={self.hi})")


cdef Op op_row(int code):
    cdef Op op = Op()
    op.name = mf_ops[code].name.decode()
    op.label = mf_ops[code].label.decode()
    op.kind = {MF_UNARY: "unary", MF_BINARY: "binary", MF_PARAM: "param"}[mf_ops[code].kind]
    op.arity = 2 if mf_ops[code].kind == MF_BINARY else 1
    op.lo = mf_ops[code].lo
    op.hi = mf_ops[code].hi
    return op


OPS = tuple([op_row(code) for code in range(MF_FIRST_OP, MF_N_EAGER_OPS)])
