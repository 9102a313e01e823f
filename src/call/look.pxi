# What the arguments of a call look like: a number by which dispatch finds the trace that served
# such arguments before. It is equal for those of one signature and seldom for others; the signature
# decides. No object of a user is asked for anything.

cdef enum:
    DEEPEST_LOOK = 32   # of lists in lists; what goes deeper is read from the beginning

cdef enum:
    LOOK_NUMBER = 1, LOOK_ARRAY, LOOK_BATCH, LOOK_GRAPH, LOOK_LIST, LOOK_TUPLE, LOOK_DICT


cdef inline uint64_t mixed(uint64_t look, uint64_t more) noexcept:
    look = (look ^ more) * <uint64_t>0x9E3779B97F4A7C15
    return look ^ look >> 32


cdef object look_of(int wanted, bint batch, tuple args, dict kwargs):
    """An int; None where an argument is of no type that is known here."""
    cdef uint64_t words = 0, one
    cdef uint64_t look = mixed(wanted, <uint64_t>len(args))
    for arg in args:
        if not add_look(&look, arg, batch, 0):
            return None
    for word, arg in kwargs.items():   # in any order
        one = <uint64_t>hash(word)
        if not add_look(&one, arg, batch, 0):
            return None
        words += one
    return mixed(look, words)


cdef bint add_look(uint64_t *look, object arg, bint batch, int depth) except -1:
    """Goes on with an argument; False where its type is not known here."""
    kind = type(arg)
    if PyFloat_Check(arg) or kind in number_types:
        look[0] = mixed(look[0], LOOK_NUMBER)
    elif isinstance(arg, Value):
        look[0] = mixed(look[0], <uintptr_t><PyObject *>kind)
    elif kind is ndarray_type:
        add_shape(look, arg.shape, batch)
    elif arg is None or kind is int or kind is bool or kind is str:
        look[0] = mixed(mixed(look[0], <uintptr_t><PyObject *>kind), <uint64_t>hash(arg))
    elif isinstance(arg, type):
        look[0] = mixed(look[0], <uintptr_t><PyObject *>arg)
    elif isinstance(arg, Batch):
        look[0] = mixed(look[0], LOOK_BATCH if (<Batch>arg).gradient is None else LOOK_GRAPH)
        add_shape(look, (0, *(<Batch>arg).shape()), True)
    elif depth < DEEPEST_LOOK:
        return add_items(look, arg, kind, batch, depth + 1)
    else:
        return False
    return True


cdef int add_shape(uint64_t *look, tuple shape, bint batch) except -1:
    cdef Py_ssize_t k
    if not shape:
        look[0] = mixed(look[0], LOOK_NUMBER)
        return 0
    look[0] = mixed(look[0], LOOK_ARRAY + 16 * <uint64_t>len(shape))
    for k in range(1 if batch else 0, len(shape)):
        look[0] = mixed(look[0], <uint64_t><Py_ssize_t>shape[k])
    return 0


cdef bint add_items(uint64_t *look, object arg, object kind, bint batch, int depth) except -1:
    """Of what holds other arguments."""
    if kind is list:
        look[0] = mixed(look[0], LOOK_LIST + 16 * <uint64_t>len(<list>arg))
        for item in <list>arg:
            if not add_look(look, item, batch, depth):
                return False
    elif kind is tuple:
        look[0] = mixed(look[0], LOOK_TUPLE + 16 * <uint64_t>len(<tuple>arg))
        for item in <tuple>arg:
            if not add_look(look, item, batch, depth):
                return False
    elif kind is dict:
        look[0] = mixed(look[0], LOOK_DICT + 16 * <uint64_t>len(<dict>arg))
        for word, item in (<dict>arg).items():
            if type(word) is not str and type(word) is not int:
                return False
            look[0] = mixed(look[0], <uint64_t>hash(word))
            if not add_look(look, item, batch, depth):
                return False
    else:
        return False
    return True
