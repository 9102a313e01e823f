# Tracing: a function of Values runs once, on inputs that stand for numbers to come, and the nodes
# that it makes become a Program.
#
# While a thread traces, every record that it makes is TRACED (node.h). Leaves made then are
# constants; nodes that were there before are captured: read at every call, given gradient. Whatever
# would freeze a number raises TraceError. Other threads go on eagerly meanwhile.

from base.eval cimport (MF_ADD, MF_CALL, MF_CAPTURED, MF_CUSTOM, MF_DETACH, MF_INPUT, MF_LARGEST,
                        MF_LEAF, MF_LINK, MF_SLOPE, MF_SMALLEST, MF_TAKE)
from engine.modes cimport (mf_log_here, mf_n_modes, mf_no_grad_depth, mf_node_log, mf_trace_depth,
                           mf_tracing_here)
from engine.node cimport MF_F_TRACED, MF_NONE, mf_node
from engine.order cimport MF_WALK_TRACED, mf_order_fill, mf_order_free
from engine.store cimport mf_mark_traced, mf_node_new, mf_node_release, mf_order
from engine.value_type cimport mf_value_new
from program.program cimport MF_NO_VALUE


def take_traced(values, Value index not None):
    """values[index] as a node, where index is a traced Value."""
    children = (index, *[v if isinstance(v, Value) else Value(v) for v in values])
    cdef Value value = blank_value()
    adopt(value, many_new(0.0, children, MF_TAKE))
    return value


cdef class Trace:
    """One run of a function. A context manager; make the inputs and call the function inside it."""
    cdef list inputs
    cdef list captured
    cdef bint running
    cdef Rest rest
    cdef int64_t n_bytes
    cdef int in_rule         # what is emitted now computes partials of a custom op
    cdef list asked          # what rules gave to program(), whose nodes keep their ids
    cdef int no_grad_depth   # of the caller, who may not want a gradient: the program may
    cdef mf_node_log log
    cdef bint logs           # whether it notes the nodes that it makes
    cdef readonly list places   # then by value of program(): which of them it is, or -1

    def __cinit__(self, logs=False):
        self.inputs = []
        self.captured = []
        self.logs = logs

    def __dealloc__(self):
        free(self.log.ids.items)

    def __enter__(self):
        global mf_n_modes, mf_trace_depth, mf_no_grad_depth, mf_log_here
        if mf_tracing_here():
            raise RuntimeError("a trace is running in this thread already")
        self.rest = Rest()
        self.rest.begin()
        self.running = True
        self.no_grad_depth = mf_no_grad_depth
        mf_no_grad_depth = 0
        mf_n_modes += 1
        mf_trace_depth += 1
        mf_log_here = &self.log if self.logs else NULL
        return self

    def __exit__(self, *exc):
        if not self.running:
            raise RuntimeError("this trace is not running")
        self.close()

    def close(self):
        """Ends it if it is running: for a finally, because from CPython 3.14 on an interruption
        can come between __enter__ and what a with statement protects."""
        global mf_n_modes, mf_trace_depth, mf_no_grad_depth, mf_log_here
        if not self.running:
            return
        self.running = False
        mf_log_here = NULL
        self.rest.end()
        mf_no_grad_depth = self.no_grad_depth
        mf_n_modes -= 1
        mf_trace_depth -= 1

    def input(self, type kind=Value):
        """The next input: a Value without a number, of that class, whose operators are asked."""
        cdef Value value
        cdef int32_t id
        if not issubclass(kind, Value):
            raise TypeError(f"kind must be a class of Values, not {kind.__name__!r}")
        # Without the class's own __new__ and __init__: the number is not there yet.
        value = blank_value() if kind is Value else mf_value_new(<PyTypeObject *>kind, NULL, NULL)
        id = mf_node_new(&store, NAN, MF_NONE, MF_NONE, MF_INPUT)
        if kind is Value:
            adopt(value, id)
        elif id < 0:
            raise MemoryError("no room for another node")
        else:
            replace_node(value, id)
        mf_mark_traced(&store, value.id)
        self.inputs.append(value)
        return value

    def program(self, outputs):
        """(Program, captured Values): what computes a list of Values from the inputs."""
        for v in outputs:
            if not isinstance(v, Value):
                raise TypeError(f"outputs must be Values, one is {type(v).__name__!r}")
        cdef Program program = Program(len(self.inputs))
        self.n_bytes = self.in_rule = 0
        self.asked = []
        cdef IdMap value_ids = IdMap()   # value id + 1 by node id
        cdef int64_t k
        for k, value in enumerate(self.inputs):
            value_ids.at((<Value>value).id)[0] = program.emit(MF_INPUT, <int32_t>k, MF_NO_VALUE,
                                                              0) + 1
        self.emit_graph(program, list(outputs), value_ids)
        for v in outputs:
            program.add_output(self.value_id(program, (<Value>v).id, value_ids))
        if self.logs:
            self.find_places(len(program), value_ids)
        self.n_bytes += value_ids.n_bytes
        self.asked = []
        program.p.n_params = len(self.captured)
        return program, self.captured

    @property
    def workspace_bytes(self) -> int:
        """What program() took of memory while it ran, the program aside."""
        return self.n_bytes

    @property
    def n_logged(self) -> int:
        """How many nodes a trace that logs has made so far."""
        return self.log.ids.n

    cdef int find_places(self, Py_ssize_t n_values, IdMap value_ids) except -1:
        cdef int32_t k, value
        if self.log.failed:
            raise MemoryError("no room to note the nodes of the traced function")
        self.places = [-1] * n_values
        for k in range(self.log.ids.n):
            value = value_ids.at(self.log.ids.items[k])[0] - 1
            if value >= 0:   # of nodes of one id the last: the others are gone
                self.places[value] = k
        return 0

    cdef int32_t value_id(self, Program program, int32_t id, IdMap value_ids) except -1:
        """The program's value for a node: emitted before, a constant, or captured now."""
        cdef int32_t *value = value_ids.at(id)
        if value[0] == 0:
            if not store.nodes[id].flags & MF_F_TRACED:
                value[0] = program.emit(MF_CAPTURED, len(self.captured), MF_NO_VALUE, 0) + 1
                self.captured.append(value_of(id))
            elif store.nodes[id].op == MF_LEAF:
                value[0] = program.emit_number(store.data[id]) + 1
            else:
                raise TraceError("a Value from another trace was used: a compiled function must "
                                 "not keep Values from call to call")
        return value[0] - 1

    cdef list emit_graph(self, Program program, list roots, IdMap value_ids):
        """Emits what Values depend on and is not there yet; the ids of those nodes."""
        cdef mf_order order = [NULL, 0, 0, False]
        cdef list emitted = []
        cdef int64_t k
        cdef int32_t id, root = many_new(0.0, (*roots, Value(0.0)), MF_LINK)
        if root < 0:
            raise MemoryError("no room to trace the function")
        mf_mark_traced(&store, root)
        try:
            if not mf_order_fill(&store, &order, root, MF_WALK_TRACED):
                raise MemoryError("no room to order the traced function")
            for k in range(order.n):
                id = order.ids[k]
                if store.nodes[id].op != MF_LINK and value_ids.at(id)[0] == 0:
                    value_ids.at(id)[0] = self.emit_node(program, id, value_ids) + 1
                    if self.in_rule:
                        emitted.append(id)
        finally:
            self.n_bytes = max(self.n_bytes, order.cap * <int64_t>sizeof(int32_t))
            mf_order_free(&order)
            mf_node_release(&store, root)
        return emitted

    cdef int32_t emit_custom(self, Program program, int32_t id, RuleStep step,
                             IdMap value_ids) except -1:
        """A custom op: its number, without a gradient, plus a slope by each child that it has one
        for. What rules compute is asked for its numbers alone: no rules in there are asked."""
        cdef Value out = value_of(id)
        cdef tuple children = children_of(out)
        cdef list partials = []
        if not self.in_rule:
            partials = self.asked_for(step, children)
            self.asked.append(partials)
        self.in_rule += 1
        cdef list emitted = self.emit_graph(program, [step.primal, *partials], value_ids)
        self.in_rule -= 1
        cdef int32_t z = self.value_id(program, step.primal.id, value_ids)
        cdef int32_t x, p_id, slope
        if not self.in_rule:
            z = program.emit(MF_DETACH, z, MF_NO_VALUE, 0)
            for child, p in zip(children, partials, strict=True):
                x = self.value_id(program, (<Value>child).id, value_ids)
                p_id = self.value_id(program, (<Value>p).id, value_ids)
                slope = program.emit(MF_DETACH, p_id, MF_NO_VALUE, 0)
                slope = program.emit(MF_SLOPE, x, slope, 0)
                z = program.emit(MF_ADD, z, slope, 0)
            for emitted_id in emitted:   # as values without slopes: nobody else's
                value_ids.at(emitted_id)[0] = 0
        return z

    cdef list asked_for(self, RuleStep step, tuple children):
        """What a rule says, as Values of this trace."""
        if not self.running:
            with self:
                return self.asked_for(step, children)
        return [p if isinstance(p, Value) else Value(p)
                for p in step.ask(step.primal, children)]

    cdef int32_t emit_node(self, Program program, int32_t id, IdMap value_ids) except -1:
        cdef const mf_node *n = &store.nodes[id]
        cdef int32_t x, y = MF_NO_VALUE, start
        cdef RuleStep step = step_of_rule(id)
        if step is not None and step.primal is not None:
            return self.emit_custom(program, id, step, value_ids)
        if n.op in (MF_CUSTOM, MF_CALL, MF_INPUT):
            raise TraceError("a custom node or a Value of another trace cannot be compiled")
        x = self.value_id(program, n.x, value_ids)
        if n.op == MF_LARGEST or n.op == MF_SMALLEST:
            choices = [self.value_id(program, k, value_ids) for k in operand_ids(id)]
            start = program.add_args(choices)
            return program.emit(n.op, start, MF_NO_VALUE, len(choices))
        if n.op == MF_TAKE:
            choices = [self.value_id(program, k, value_ids) for k in operand_ids(id)[1:]]
            start = program.add_args(choices)
            return program.emit(MF_TAKE, start, x, len(choices))
        if n.y >= 0:
            y = self.value_id(program, n.y, value_ids)
        return program.emit(n.op, x, y, 0)
