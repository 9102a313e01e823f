# What the module itself holds: the op table for Python, no_grad, and the last touches to Value's
# type. Needs all of the above.

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


cdef class NoGrad:
    """From __enter__ to __exit__ ops of this thread record nothing; nests. In C, so that an
    interruption comes before or after, and the count is right either way."""

    def __enter__(self):
        global mf_n_special, mf_no_grad_depth
        if mf_tracing_here():
            raise_trace_error("no_grad")
        mf_no_grad_depth += 1
        mf_n_special += 1
        return self

    def __exit__(self, *exc):
        global mf_n_special, mf_no_grad_depth
        if mf_no_grad_depth == 0:
            raise RuntimeError("no_grad was left more often than it was entered")
        mf_no_grad_depth -= 1
        mf_n_special -= 1


mf_value_type_finish(<PyTypeObject *>Value, <PyTypeObject *>NodeState, give_leaf, leaf_of,
                     custom_of, dict_of, replace_dict, is_held, drop_node)
cdef int register_activations() except -1:
    cdef int code
    for code in range(MF_FIRST_OP, MF_N_EAGER_OPS):
        if mf_ops[code].kind == MF_UNARY:
            name = mf_ops[code].name.decode()
            activation_ops[name] = (code, Value.__dict__[name])
    return 0


register_activations()
mf_operators_replaced()   # remembers the operators as they are now
Value.__init_subclass__ = classmethod(subclassed)
del subclassed   # nobody else calls it
Value.__module__ = "micrograd_fast.engine"
