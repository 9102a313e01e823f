# The last touches to Value's type.

from base.eval cimport MF_FIRST_OP, MF_N_EAGER_OPS, MF_UNARY, mf_ops
from engine.op_methods cimport mf_add_op_methods
from engine.value_type cimport mf_operators_replaced, mf_value_type_finish

mf_value_type_finish(<PyTypeObject *>Value, <PyTypeObject *>NodeState, give_leaf, leaf_of,
                     custom_of, dict_of, replace_dict, is_preserved, drop_node)
mf_add_op_methods(<PyTypeObject *>Value)


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
