# The rows of the op table for Python.

from base.eval cimport MF_BINARY, MF_FIRST_OP, MF_N_EAGER_OPS, MF_PARAM, MF_UNARY, mf_libm_beyond
from base.eval cimport mf_ops
from base.reach cimport mf_has_finite_partials, mf_is_choice


cdef class Op:
    """A row of the op table. kind: 'unary', 'binary' or 'param' (x and a fixed number); lo and hi
    bound a domain on which the op is smooth; doc is the docstring of Value's method, '' where an
    operator does.

    value and partials, one an operand, are C expressions in x, y and the result z. finite_partials:
    whatever the numbers are; is_choice: a partial of 0 says that the operand was not chosen.
    rules: the partials as expressions over x, y, z and ops, which derivatives are built by.
    libm_beyond: beyond which |x| compiled functions leave the op to libm.
    """
    cdef readonly str name, label, kind, doc, value
    cdef readonly int arity
    cdef readonly double lo, hi, libm_beyond
    cdef readonly tuple partials, rules
    cdef readonly bint finite_partials, is_choice

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
    op.doc = mf_ops[code].doc.decode()
    op.value = mf_ops[code].value.decode()
    op.partials = (mf_ops[code].dx.decode(), mf_ops[code].dy.decode())[:op.arity]
    op.rules = tuple([mf_ops[code].rules[k].decode() or text for k, text in enumerate(op.partials)])
    op.finite_partials = mf_has_finite_partials(code)
    op.is_choice = mf_is_choice(code)
    op.libm_beyond = mf_libm_beyond(code)
    return op


OPS = tuple([op_row(code) for code in range(MF_FIRST_OP, MF_N_EAGER_OPS)])
