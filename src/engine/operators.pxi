# What every operator does: make sure of the operands, compute, append one node.
#
# sub, div and neg are micrograd's compositions over add, mul and pow. They are built here without
# Values in between, unless something wants to see those: an operator replaced on the class, a
# subclass, or a mode that does not record. Then Python's own operators do it.

from cpython.float cimport PyFloat_AsDouble, PyFloat_Check, PyFloat_CheckExact, PyFloat_AS_DOUBLE
from cpython.long cimport PyLong_AsDouble, PyLong_Check, PyLong_CheckExact

from libc.math cimport isinf

from base.eval cimport MF_ADD, MF_MUL, MF_POW, MF_VPOW, MF_ZERODIV, mf_forward, mf_forward_quick
from base.eval cimport mf_ops
from engine.modes cimport mf_n_modes, mf_no_grad_here, mf_tracing_here
from engine.node cimport MF_NONE
from engine.store cimport (mf_leaf_new, mf_mark_int_exponent, mf_mark_number, mf_node_new,
                           mf_node_release)
from engine.value_type cimport mf_constructor_replaced, mf_operators_replaced


cdef inline bint is_number(object o) except -1:
    """True for what stands for one real number; not for a Value or an array with a shape."""
    return True if PyFloat_Check(o) or PyLong_Check(o) else is_foreign_number(o)


cdef bint is_foreign_number(object o) except -1:
    if isinstance(o, (Value, str, bytes, complex)):
        return False
    dtype = getattr(o, "dtype", None)
    if dtype is not None:
        if getattr(dtype, "kind", "f") not in "biuf":
            return False
        if getattr(o, "shape", ()) != ():
            return one_item(o)
    return hasattr(type(o), "__float__") or hasattr(type(o), "__index__")


cdef bint one_item(object array) except -1:
    """Whether an array with a shape stands for the one number in it. A masked array may have none,
    and a pandas Series of one row has it under a label."""
    if getattr(array, "size", 0) != 1 or not hasattr(array, "item"):
        return False
    return not hasattr(array, "mask") and not hasattr(array, "iloc")


cdef inline double as_number(object o, str what) except? -1.0:
    """The float64 of a number. Raises TypeError naming `what` and the type, OverflowError."""
    if PyFloat_CheckExact(o):
        return PyFloat_AS_DOUBLE(o)
    if PyLong_Check(o):
        return PyLong_AsDouble(o)
    if is_number(o):
        return PyFloat_AsDouble(o.item() if getattr(o, "shape", ()) != () else o)
    if isinstance(o, Value):
        raise TypeError(f"{what} must be a number, not a Value: use its .data, or detach()")
    shape = f" of shape {o.shape}" if hasattr(o, "dtype") and hasattr(o, "shape") else ""
    raise TypeError(f"{what} must be a number, not {type(o).__name__!r}{shape}")


cdef inline object unwrapped(object o):
    """The Value in a 0-d object array, the number in an array of one item; else o."""
    return o if PyFloat_Check(o) or PyLong_CheckExact(o) else unwrapped_array(o)


cdef object unwrapped_array(object o):
    shape, kind = getattr(o, "shape", None), getattr(getattr(o, "dtype", None), "kind", "?")
    if shape is None or kind not in "Obiuf":
        return o
    return o.item() if (shape == () if kind == "O" else shape != () and one_item(o)) else o


cdef inline bint records() noexcept:
    return not (mf_n_modes and mf_no_grad_here())


cdef inline object result(double z, int32_t x, int32_t y, int op):
    """The Value of a new node over x and y, which the caller keeps alive."""
    if mf_constructor_replaced():
        return result_by_constructor(z, x, y, op)
    return own_result(z, x, y, op)


cdef object result_by_constructor(double z, int32_t x, int32_t y, int op):
    if x == 0 or y == 0:
        raise TypeError("an operand was made by object.__new__ and not filled: call its __init__, "
                        "or super() in the __init_subclass__ of its class")
    if by_constructor():
        return constructed(z, x, y, op, (<bytes>mf_ops[op].label).decode())
    return own_result(z, x, y, op)


cdef inline object own_result(double z, int32_t x, int32_t y, int op):
    cdef Value value = blank_value()
    if not records():
        check_unrecorded(z, store.data[x], store.data[y] if y >= 0 else 0.0, op)
        adopt(value, mf_leaf_new(&store, z))
        return value
    adopt(value, mf_node_new(&store, z, x, y, op))
    return value


cdef inline object result_with_number(double z, int32_t x, double number, int op, bint swapped):
    """A new Value, x op number or number op x (swapped). The number is a leaf without a Value."""
    cdef Value value = blank_value()
    cdef int32_t leaf, id
    if not records():
        if swapped:
            check_unrecorded(z, number, store.data[x], op)
        else:
            check_unrecorded(z, store.data[x], number, op)
        adopt(value, mf_leaf_new(&store, z))
        return value
    leaf = mf_leaf_new(&store, number)
    if leaf < 0:
        raise_no_node()
    if swapped:
        mf_mark_number(&store, leaf)
    id = mf_node_new(&store, z, leaf, x, op) if swapped else mf_node_new(&store, z, x, leaf, op)
    mf_node_release(&store, leaf)
    adopt(value, id)
    return value


cdef inline object unary(Value self, int op):
    cdef double x = store.data[self.id], z = 0.0
    cdef int error = mf_forward(op, x, 0.0, &z)
    if error:
        raise_error(error, op, x, 0.0)
    return result(z, self.id, MF_NONE, op)


cdef inline object binary(Value self, object other, int op):
    """self op other; NotImplemented for what is neither a Value nor a number."""
    cdef double x = store.data[self.id], y, z = 0.0
    cdef int error
    if type(other) is Value:
        y = store.data[(<Value>other).id]
        error = mf_forward_quick(op, x, y, &z)
        if error:  # a constant 0 of the ops that cannot fail
            raise_error(error, op, x, y)
        return result(z, self.id, (<Value>other).id, op)
    if mf_constructor_replaced():
        return binary_foreign(self, other, op, False)
    if PyFloat_Check(other):
        y = PyFloat_AS_DOUBLE(other)
    elif PyLong_CheckExact(other):
        y = PyLong_AsDouble(other)
    else:
        return binary_foreign(self, other, op, False)
    error = mf_forward_quick(op, x, y, &z)
    if error:
        raise_error(error, op, x, y)
    return result_with_number(z, self.id, y, op, False)


cdef object binary_foreign(Value self, object other, int op, bint swapped):
    """self op other, or other op self if swapped, for operands that binary() does not know."""
    cdef double x = store.data[self.id], number, z = 0.0
    cdef int error
    other = unwrapped(other)
    if by_constructor() and is_number(other):
        other = as_constructed(other)
    if isinstance(other, Value):
        number = store.data[(<Value>other).id]
    elif is_number(other):
        number = as_number(other, "operand")
    else:
        return NotImplemented
    error = mf_forward(op, number, x, &z) if swapped else mf_forward(op, x, number, &z)
    if error:
        raise_error(error, op, number if swapped else x, x if swapped else number)
    if not isinstance(other, Value):
        return result_with_number(z, self.id, number, op, swapped)
    if swapped:
        return result(z, (<Value>other).id, self.id, op)
    return result(z, self.id, (<Value>other).id, op)


# ---- the functions that op_methods.h makes a method of for each op ----


cdef inline object unary_method "mf_unary_method"(object self, int op):
    return unary(<Value>self, op)


cdef inline object binary_method "mf_binary_method"(object self, object other, int op):
    """A binary op called by name: there is no other side to ask, so TypeError at once."""
    made = binary(<Value>self, other, op)
    if made is NotImplemented:
        name = (<bytes>mf_ops[op].name).decode()
        raise TypeError(f"{name}() takes a Value or a number, not {type(other).__name__!r}")
    return made


# ---- compositions ----


cdef inline bint overridden(Value self) noexcept:
    """Whether a user's class may have something to say about an operator on self."""
    return type(self) is not Value or mf_operators_replaced()


cdef inline bint by_python(Value self) noexcept:
    """Whether a composition over self must run step by step in Python."""
    return overridden(self) or not records()


cdef inline object reflected(Value self, object other, int op):
    """other op self, for + and *."""
    return reflected_on(self, other, op) if overridden(self) else binary(self, other, op)


cdef object reflected_on(Value self, object other, int op):
    """other op self, which is self op other in micrograd: so a user's class is asked.

    Not where other is a Value: classes in C give a subclass on the right the first word,
    micrograd's does so only where the subclass overrides the reflected operator itself.
    """
    if type(other) is Value and not differs(type(self), "__radd__" if op == MF_ADD else "__rmul__"):
        return binary(other, self, op)  # the operands in the order in which they were written
    return self + other if op == MF_ADD else self * other


cdef object negative(Value self):
    return self * -1 if by_python(self) else times(self, -1.0)


cdef inline object times(Value self, double number):
    return result_with_number(store.data[self.id] * number, self.id, number, MF_MUL, False)


cdef inline int32_t times_node(int32_t x, double number) noexcept nogil:
    """x * number as a node without a Value, one use for the caller; MF_NONE: no memory."""
    cdef int32_t id = MF_NONE, leaf = mf_leaf_new(&store, number)
    if leaf >= 0:
        id = mf_node_new(&store, store.data[x] * number, x, leaf, MF_MUL)
        mf_node_release(&store, leaf)
    return id


cdef object negated(object number):
    """-number as a float; an integer's 0 has no sign."""
    cdef double y = as_number(number, "operand")
    if PyFloat_Check(number) or getattr(getattr(number, "dtype", None), "kind", "") == "f":
        return -y
    return 0.0 - y


cdef object subtract(Value self, object other):
    """self + (-other)"""
    cdef Value value
    if type(other) is not Value:
        other = unwrapped(other)
        if isinstance(other, Value) or overridden(self):
            return self + (-other)
        if not is_number(other):
            return NotImplemented
        return binary(self, negated(other), MF_ADD)
    if by_python(self) or by_python(<Value>other):
        return self + (-other)
    value = blank_value()
    adopt_over(value, self.id, times_node((<Value>other).id, -1.0), MF_ADD)
    return value


cdef inline int adopt_over(Value value, int32_t x, int32_t y, int op) except -1:
    """value becomes x op y, which cannot fail; takes over the caller's use of y."""
    cdef double z = 0.0
    cdef int32_t id
    if y < 0:
        raise_no_node()
    mf_forward(op, store.data[x], store.data[y], &z)
    id = mf_node_new(&store, z, x, y, op)
    mf_node_release(&store, y)
    return adopt(value, id)


cdef object subtract_from(Value self, object other):
    """other + (-self), which is (-self) + other"""
    other = unwrapped(other)
    if not is_number(other) and not isinstance(other, Value):
        return NotImplemented
    return other + (-self)


cdef object divide(Value self, object other):
    """self * other**-1"""
    cdef Value value
    cdef double z = 0.0
    if type(other) is not Value:
        other = unwrapped(other)
        if isinstance(other, Value):
            return self * other**-1
        if not is_number(other):
            return NotImplemented
        z = reciprocal(as_number(other, "operand"), store.data[self.id])
        # In a trace, where that raises nothing, the quotient may be a number all the same.
        return divide(self, own_leaf(other)) if isinf(z) and other != 0 else self * z
    if not overridden(self):
        z = reciprocal(store.data[(<Value>other).id], store.data[self.id])
    if by_python(self) or by_python(<Value>other):
        return self * other**-1
    value = blank_value()
    adopt_over(value, self.id, power_node(z, (<Value>other).id, -1.0, True), MF_MUL)
    return value


cdef int checked_power(double x, double y, double *z) except -1:
    cdef int error = mf_forward(MF_POW, x, y, z)
    if error:
        raise_error(error, MF_POW, x, y)
    return 0


cdef double reciprocal(double number, double x) except? -1.0:
    """number**-1, which is not 1/number to the last bit; errors speak of x / number."""
    cdef double z = 0.0
    cdef int error = mf_forward(MF_POW, number, -1.0, &z)
    if error and not (mf_n_modes and mf_tracing_here()):
        if error == MF_ZERODIV:
            raise ZeroDivisionError(f"{x!r} / {number!r}: division by zero")
        raise OverflowError(f"{x!r} / {number!r}: 1 / {number!r} is too large for a float")
    return z


cdef object divide_into(Value self, object other):
    """other * self**-1, which is self**-1 * other"""
    other = unwrapped(other)
    if not is_number(other) and not isinstance(other, Value):
        return NotImplemented
    if not overridden(self):
        reciprocal(store.data[self.id], dividend(other))
    return other * self**-1


cdef double dividend(object other) except? -1.0:
    """What the words of an error name. An int that is too large is refused by the product, which
    comes after the reciprocal, as in micrograd."""
    cdef double number = INFINITY
    if isinstance(other, Value):
        return store.data[(<Value>other).id]
    try:
        number = as_number(other, "operand")
    except OverflowError:
        pass
    return number


cdef inline int32_t power_node(double z, int32_t x, double exponent, bint is_int) noexcept nogil:
    """x ** exponent, a hidden leaf in y. One use for the caller; MF_NONE: no memory."""
    cdef int32_t id = MF_NONE, leaf = mf_leaf_new(&store, exponent)
    if leaf >= 0:
        id = mf_node_new(&store, z, x, leaf, MF_POW)
        mf_node_release(&store, leaf)
        if id >= 0 and is_int:
            mf_mark_int_exponent(&store, id)
    return id


cdef object power(Value self, object other, object mod):
    cdef double exponent, z = 0.0
    cdef Value value
    cdef bint is_int = PyLong_CheckExact(other)
    if mod is not None:
        raise TypeError("pow() of a Value takes no modulus")
    other = unwrapped(other)
    if isinstance(other, Value):
        return binary_foreign(self, other, MF_VPOW, False)
    if not is_number(other):
        return NotImplemented
    exponent = as_number(other, "exponent")
    checked_power(store.data[self.id], exponent, &z)
    is_int = is_int and -2.0**53 < exponent < 2.0**53
    if by_constructor():
        return constructed_power(z, self, exponent, f"**{other}")
    if not records():
        check_unrecorded(z, store.data[self.id], exponent, MF_POW)
        return leaf_value(z)
    value = blank_value()
    adopt(value, power_node(z, self.id, exponent, is_int))
    if not is_int and not PyFloat_Check(other):
        state_for(value).op_text = f"**{other}"
    return value


cdef object constructed_power(double z, Value self, double exponent, str text):
    cdef int32_t leaf = mf_leaf_new(&store, exponent)
    if leaf < 0:
        raise_no_node()
    try:
        return constructed(z, self.id, leaf, MF_POW, text)
    finally:
        mf_node_release(&store, leaf)


cdef object power_of(Value self, object other, object mod):
    """other ** self, where other is no Value"""
    if mod is not None:
        raise TypeError("pow() of a Value takes no modulus")
    return binary_foreign(self, other, MF_VPOW, True)
