# How the results of calls stand in the eager graph: their nodes and backward steps, and which
# leaves a graph depends on.

from base.eval cimport MF_CALL, MF_LEAF
from engine.node cimport MF_NONE
from engine.order cimport MF_WALK_RESULTS, mf_order_fill, mf_order_free
from engine.store cimport mf_node_new, mf_order, mf_set_hook


@cython.internal
cdef class Seed(Step):
    """The step of a result: the call counts for as much as its grad says."""
    cdef Call call
    cdef int32_t id
    cdef int32_t output
    cdef Py_ssize_t sample   # -1: all, or these:
    cdef bytes rows          # Py_ssize_t, see Batch; or None
    cdef double count     # a mean is over so many

    cdef int run(self, Walk walk) except -1:
        cdef double g = store.grad[self.id] / self.count
        if self.call.n_samples == 0:
            return 0
        if self.sample < 0 and self.rows is None and self.call.fused:
            return self.call.pass_on_own(g)
        if walk is None:
            return spread_by_hand(self.call, self.sample, self.rows, self.output, g)
        return seeds_of(walk, self.call).add(self.call, self.sample, self.rows, self.output, g)

    cdef list leaves_with_steps(self, set seen):
        cdef list todo = [(self.call, self.output)]
        cdef list found = []
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                found += leaves_with_steps(<Call>at[0], <int32_t>at[1], todo)
        return found


@cython.internal
cdef class Hub(Step):
    """The step of the node under those of a call's results that depend on the same. Whichever hub
    comes first passes on all seeds that are there: what they reach comes later in any order."""
    cdef Call call
    cdef int32_t group

    cdef int run(self, Walk walk) except -1:
        if walk is not None:
            return spread(self.call, walk)
        cdef Walk other = walks
        cdef list found = []
        while other is not None:
            found.append(other)
            other = other.below
        for other in found:   # by hand: a custom step in its place calls it at its turn
            spread(self.call, other)
        return 0


cdef Value stepped(double data, list operands, Step step):
    """A node over operands whose backward step is given."""
    cdef Value value = blank_value()
    adopt(value, many_new(data, tuple(operands), MF_CALL) if operands
          else mf_node_new(&store, data, MF_NONE, MF_NONE, MF_CALL))
    state_for(value).hook = step
    preserve(value)
    mf_set_hook(&store, value.id)
    return value


cdef Value hub_of(Call call, int32_t group):
    cdef Hub hub = Hub.__new__(Hub)
    hub.call = call
    hub.group = group
    return stepped(0.0, call.operands_of(<Reached>call.grouping.groups[group]), hub)


cdef Value step_result(Call call, list operands, double data, int32_t output, Py_ssize_t sample,
                       double count, bytes rows=None):
    """A result of a call as a Value."""
    cdef Seed seed = Seed.__new__(Seed)
    cdef Value value = stepped(data, operands, seed)
    seed.call = call
    seed.id = value.id
    seed.output = output
    seed.sample = sample
    seed.rows = rows
    seed.count = count
    return value


def checked_leaves(params, str name) -> list:
    """params as a list. Raises TypeError for what is no Value, ValueError for a result of an op."""
    if isinstance(params, Value):
        raise TypeError(f"{name} must be a list of Values, not one Value")
    cdef list leaves = list(params)
    for k, p in enumerate(leaves):
        if not isinstance(p, Value):
            raise TypeError(f"{name}[{k}] must be a Value, not {type(p).__name__!r}")
        if store.nodes[(<Value>p).id].op != MF_LEAF:
            raise ValueError(f"{name}[{k}] is not a leaf but the result of an op")
    return leaves


cdef set ids_under(int32_t root):
    """The nodes that are operands under a node, and what compiled calls there read."""
    cdef mf_order order = [NULL, 0, 0, False]
    cdef int64_t k
    cdef set used = set()
    try:
        if not mf_order_fill(&store, &order, root, MF_WALK_RESULTS):
            raise MemoryError("no room to order the graph")
        for k in range(order.n):
            used.add(store.nodes[order.ids[k]].x)
            used.add(store.nodes[order.ids[k]].y)
            if store.nodes[order.ids[k]].op == MF_CALL:
                used.update(leaves_of_call((<NodeState>value_of(order.ids[k]).state).hook))
    finally:
        mf_order_free(&order)
    return used


cdef list leaves_with_steps(Call call, int32_t output, list through):
    """Those that an output depends on; `through` gets the (call, output) that do so for it."""
    cdef Reached reached = call.specialization.depends().of(output)
    if call.sinks is not None:
        through += [(call.sinks[k], j) for k, columns in reached.columns for j in columns]
    return [v for v in reached.captured + [call.values[k] for k in reached.values]
            if store.nodes[(<Value>v).id].op == MF_LEAF and passes_on((<Value>v).id)]


cdef list leaves_of_call(object step):
    """Ids of what the call of a result or hub read."""
    cdef Call call = (<Seed>step).call if isinstance(step, Seed) else (<Hub?>step).call
    return (call.specialization.reads.ids()
            + [(<Value>v).id for v in (call.values or ())])


def grad_enabled() -> bool:
    """False inside no_grad()."""
    return records()
