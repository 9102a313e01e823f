# How the results of calls stand in the eager graph: their nodes and backward steps, and which
# leaves a graph depends on.

from cpython.sequence cimport PySequence_Fast_ITEMS
from cpython.tuple cimport PyTuple_GET_ITEM

from base.eval cimport MF_CALL
from engine.node cimport MF_NONE
from engine.order cimport MF_WALK_RESULTS, mf_order_fill, mf_order_free
from engine.store cimport mf_node_new, mf_order, mf_set_hook


@cython.internal
cdef class ResultStep(Step):
    """The step of a result: the call counts for as much as its grad says."""
    cdef Gradient gradient
    cdef int32_t id
    cdef int32_t output
    cdef Py_ssize_t sample   # -1: all, or these:
    cdef bytes samples       # Py_ssize_t, see Batch; or None
    cdef double count        # a mean is over so many

    cdef int run(self, Walk walk) except -1:
        cdef double g = store.grad[self.id] / self.count
        if self.gradient.n_samples() == 0:
            return 0
        if self.sample < 0 and self.samples is None and self.gradient.fused:
            return self.gradient.accumulate_fused(g)
        if self.gradient.stands_alone(self.output):
            return self.gradient.pull_back_one(self.output, g)
        if walk is None:
            return self.run_by_hand(g)
        return self.gradient.add_seed(walk, self.sample, self.samples, self.output, g)

    cdef int run_by_hand(self, double seed) except -1:
        """Called outside of its turn: its share goes all the way to what the call read, and the
        calls whose results that was. Nothing waits for a pullback."""
        cdef Walk own = Walk()
        self.gradient.add_seed(own, self.sample, self.samples, self.output, seed)
        while own.call is not None or own.others:
            gradient = own.call if own.call is not None else next(iter(own.others))
            (<Gradient>gradient).pull_back(own)
        return 0

    cdef list leaves_with_steps(self, set seen):
        cdef list todo = [(self.gradient, self.output)]
        cdef list found = []
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                found += (<Gradient>at[0]).leaves_with_steps(<int32_t>at[1], todo)
        return found

    cdef list ids_read(self):
        return ids_of_call(self.gradient)

    cdef str called(self):
        return self.gradient.specialization.name


@cython.internal
cdef class Pullback(Step):
    """The step of the node under those of a call's results that depend on the same. Whichever of a
    call's comes first takes all seeds that are there: what they reach comes later in any order."""
    cdef Gradient gradient

    cdef int run(self, Walk walk) except -1:
        if walk is not None:
            return self.gradient.pull_back(walk)
        cdef Walk other = walks
        cdef list found = []
        while other is not None:
            found.append(other)
            other = other.below
        for other in found:   # by hand: a custom step in its place calls it at its turn
            self.gradient.pull_back(other)
        return 0

    cdef list ids_read(self):
        return ids_of_call(self.gradient)

    cdef str called(self):
        return self.gradient.specialization.name


cdef list new_pullbacks(Gradient gradient):
    """A node for each group of outputs that depend on the same; None where an output is alone."""
    cdef list found = []
    cdef Pullback step
    cdef int32_t group
    cdef bint apart = gradient.is_without_lanes()
    for group in range(<int32_t>len(gradient.settled().groups)):
        if apart and gradient.settled().sizes[group] == 1:
            found.append(None)
            continue
        step = Pullback.__new__(Pullback)
        step.gradient = gradient
        found.append(stepped(0.0, gradient.operands_of(gradient.group_reached(group)), step,
                             MF_CALL))
    return found


cdef Value result_value(Gradient gradient, list operands, double data, int32_t output,
                        Py_ssize_t sample, double count, bytes samples=None):
    """A result of a call as a Value. Over no samples it depends on nothing."""
    cdef ResultStep step = ResultStep.__new__(ResultStep)
    cdef bint of_nothing = gradient.n_samples() == 0 or (samples is not None and not samples)
    cdef Value value = stepped(data, [] if of_nothing else operands, step, MF_CALL)
    step.gradient = gradient
    step.id = value.id
    step.output = output
    step.sample = sample
    step.samples = samples
    step.count = count
    return value


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
                used.update((<Step?>(<NodeState>value_of(order.ids[k]).state).hook).ids_read())
    finally:
        mf_order_free(&order)
    return used


def depends_on(Value value not None, tuple leaves not None) -> bool:
    """Whether a Value is the result of ops on one of some leaves."""
    cdef set under = ids_under(value.id)
    for v in leaves:
        if (<Value>v).id in under:
            return True
    return False


def same_objects(items, tuple others not None) -> bool:
    """Whether a list or tuple holds the same objects as another, in order."""
    cdef Py_ssize_t k
    if type(items) is not list and type(items) is not tuple or len(items) != len(others):
        return False
    cdef PyObject **at = PySequence_Fast_ITEMS(items)
    for k in range(len(others)):
        if at[k] is not PyTuple_GET_ITEM(others, k):
            return False
    return True


cdef list ids_of_call(Gradient gradient):
    """Ids of what a call read."""
    return (gradient.specialization.reads.ids()
            + [(<Value>v).id for v in (gradient.arguments.values or ())])


def grad_enabled() -> bool:
    """False inside no_grad()."""
    return records()
