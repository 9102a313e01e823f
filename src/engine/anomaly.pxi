# detect_anomaly: ops whose result becomes nan or infinite are refused, and nodes remember the line
# that made them, for backward() to name it.
#
# A node is looked at as it is made, while its maker counts on no Python code running in between:
# what is called there is C alone, and the garbage collector is kept off.

from libc.math cimport isfinite, isnan

from base.eval cimport (MF_ADD, MF_CALL, MF_CUSTOM, MF_FIRST_OP, MF_LARGEST, MF_LEAF,
                        MF_MUL, MF_PARAM, MF_POW, MF_SMALLEST, MF_UNARY, mf_ops)
from base.memory cimport mf_resized
from engine.modes cimport mf_anomaly_here
from engine.node cimport MF_F_TRACED, mf_node
from engine.store cimport mf_store

cdef extern from "Python.h":
    ctypedef struct PyFrameObject
    PyFrameObject *PyEval_GetFrame()   # borrowed
    int PyGC_Disable() nogil
    int PyGC_Enable() nogil

cdef int n_watching = 0            # blocks that are open, over all threads
cdef int32_t *line_of_node = NULL  # by id: 1 + the place in `lines` of what made it; 0: unknown
cdef int32_t n_line_of_node = 0
cdef list lines = []               # (file, line)
cdef dict line_numbers = {}        # and the place of each


cdef int watch_nodes() except -1:
    """A block is entered."""
    global n_watching
    n_watching += 1
    store.on_made = node_made
    return 0


cdef int unwatch_nodes() noexcept:
    """A block is left; after the last one no line is known any more."""
    global n_watching, line_of_node, n_line_of_node, lines, line_numbers
    n_watching -= 1
    if n_watching == 0:
        store.on_made = NULL
        free(line_of_node)
        line_of_node, n_line_of_node = NULL, 0
        lines, line_numbers = [], {}
    return 0


cdef bint has_no_result(int op) noexcept nogil:
    """Whether a node is given, or a part of another one."""
    return op < MF_FIRST_OP and op not in (MF_CUSTOM, MF_CALL, MF_LARGEST, MF_SMALLEST)


cdef int node_made(mf_store *s, int32_t id) noexcept with gil:
    """Lent to the store. In another thread, or where a trace runs, it forgets what had this id."""
    global refused
    cdef const mf_node *n = &s.nodes[id]
    cdef bint collects
    cdef int is_kept = True
    if not mf_anomaly_here() or n.flags & MF_F_TRACED or has_no_result(n.op):
        if id < n_line_of_node:
            line_of_node[id] = 0
        return True
    collects = PyGC_Disable()
    try:
        note_line(id)
        if not isfinite(s.data[id]) and n.op != MF_CALL and is_to_blame(id):
            refused = ("forward", *op_and_operands(id), s.data[id], *line_of(id))
            is_kept = False
    except MemoryError:
        is_kept = False   # refused without a reason: raise_no_node() says that it was memory
    finally:
        if collects:
            PyGC_Enable()
    return is_kept


cdef int note_line(int32_t id) except -1:
    cdef PyObject *at = <PyObject *>PyEval_GetFrame()
    cdef int32_t cap
    cdef void *block
    if id >= n_line_of_node:
        cap = id + id // 2 + 1024
        block = mf_resized(line_of_node, cap, sizeof(int32_t))
        if block is NULL:
            return 0   # its line is not known
        grow_lines(<int32_t *>block, cap)
    line_of_node[id] = 0
    if at is NULL:
        return 0
    frame = <object>at
    while not is_user_frame(frame) and frame.f_back is not None:
        frame = frame.f_back
    place = (frame.f_code.co_filename, frame.f_lineno)
    number = line_numbers.get(place)
    if number is None:
        lines.append(place)
        number = line_numbers[place] = len(lines)
    line_of_node[id] = number
    return 0


cdef int grow_lines(int32_t *block, int32_t cap) noexcept:
    global line_of_node, n_line_of_node
    memset(block + n_line_of_node, 0, <size_t>(cap - n_line_of_node) * sizeof(int32_t))
    line_of_node, n_line_of_node = block, cap
    return 0


cdef tuple line_of(int32_t id):
    """File and line that made a node, or None twice."""
    if id >= n_line_of_node or line_of_node[id] == 0:
        return None, None
    return lines[line_of_node[id] - 1]


# ---- what is to blame ----


cdef bint makes_it_bad(double z, list operands) except -1:
    """Whether a result that is not finite comes of this op: an infinity of finite operands, or a
    nan where none was."""
    cdef double x
    for x in operands:
        if isnan(x) or not isnan(z) and not isfinite(x):
            return False
    return True


cdef bint is_to_blame(int32_t id) except -1:
    return makes_it_bad(store.data[id], numbers_of_operands(id))


cdef list numbers_of_operands(int32_t id):
    """The exponent of a power is one."""
    cdef const mf_node *n = &store.nodes[id]
    cdef list found = [store.data[k] for k in operand_ids(id)]
    if mf_ops[n.op].kind == MF_PARAM:
        found.append(store.data[n.y])
    return found


cdef bint is_part(int32_t id, int op) noexcept:
    """Whether a node is x * -1 or x**-1, of which x - y and x / y are made."""
    cdef const mf_node *n
    if id < 0:
        return False
    n = &store.nodes[id]
    return n.op == op and store.nodes[n.y].op == MF_LEAF and store.data[n.y] == -1.0


cdef tuple op_and_operands(int32_t id):
    """(op, operands) as they stand in the code: the name of the op, and numbers."""
    cdef const mf_node *n = &store.nodes[id]
    cdef NodeState state = state_at(id) if n.op == MF_CUSTOM else None
    name = (<bytes>mf_ops[n.op].name).decode()
    if state is not None and state.op_text:
        name = state.op_text
    if n.op == MF_ADD and is_part(n.y, MF_MUL):
        return "sub", (store.data[n.x], store.data[store.nodes[n.y].x])
    if n.op == MF_MUL and is_part(n.y, MF_POW):
        return "div", (store.data[n.x], store.data[store.nodes[n.y].x])
    if n.op == MF_MUL and is_part(n.x, MF_POW):   # 2 / x is x**-1 * 2
        return "div", (store.data[n.y], store.data[store.nodes[n.x].x])
    return name, tuple(numbers_of_operands(id))


cdef int check_unrecorded(double z, double x, double y, int op) except -1:
    """Of a result that no_grad makes a leaf."""
    cdef list operands
    if isfinite(z) or not mf_anomaly_here():
        return 0
    operands = [x] if mf_ops[op].kind == MF_UNARY else [x, y]
    if makes_it_bad(z, operands):
        from micrograd_fast.anomaly import anomaly

        frame = user_frame()
        raise anomaly("forward", (<bytes>mf_ops[op].name).decode(), tuple(operands), z,
                      frame.f_code.co_filename, frame.f_lineno)
    return 0


# ---- backward ----


cdef int raise_adjoint(int32_t id, double adjoint) except -1:
    """An op, or a compiled function, passes on an adjoint that is not finite."""
    from micrograd_fast.anomaly import anomaly, anomaly_of_call

    cdef str name = called_at(id)
    if name is not None:
        raise anomaly_of_call("backward", name, adjoint, -1, *line_of(id))
    raise anomaly("backward", *op_and_operands(id), adjoint, *line_of(id))


cdef str called_at(int32_t id):
    """The compiled function that a node is a result of, or None."""
    cdef NodeState state = state_at(id) if store.nodes[id].op == MF_CALL else None
    if state is None or not isinstance(state.hook, Step):
        return None
    return (<Step>state.hook).called()


cdef int raise_backward_with_line(int32_t id) except -1:
    """As raise_backward, with what is known of the node."""
    try:
        raise_backward(id)
    except (ArithmeticError, ValueError) as e:
        from micrograd_fast.anomaly import with_line

        raise with_line(e, *op_and_operands(id), *line_of(id))
