# The gradient of a list of leaf Values as an array: where, among the adjoints of a call's uniforms,
# each of them has its own.

from base.eval cimport MF_LEAF
from cpython.sequence cimport PySequence_Fast_GET_SIZE, PySequence_Fast_ITEMS

cdef struct adjoint_run:   # leaves that lie side by side
    int32_t place   # of the first one, in the list
    int32_t slot    # among the uniforms
    int32_t n

cdef struct deferred_place:
    int32_t step    # of the plan, whose weights' gradients are put off
    int32_t place   # of W[0][0] in the list


@cython.internal
cdef class ParamGradient:
    """Of some leaves, for calls of one trace."""
    cdef tuple leaves
    cdef Block runs        # adjoint_run each: the leaves that the trace captured
    cdef Block kept        # the same without those whose gradients are put off
    cdef Block deferred    # deferred_place each; None where nothing is put off
    cdef bint all_captured

    cdef bint is_of(self, object leaves) noexcept:
        """Whether a list has these leaves: a comparison of addresses, for they are held."""
        return (len(self.leaves) == PySequence_Fast_GET_SIZE(leaves)
                and memcmp(PySequence_Fast_ITEMS(self.leaves), PySequence_Fast_ITEMS(leaves),
                           len(self.leaves) * sizeof(PyObject *)) == 0)

    cdef int find(self, Specialization specialization) except -1:
        cdef Deferral deferral = specialization.deferral
        self.runs = Block(sizeof(adjoint_run))
        self.all_captured = self.fill(self.runs, specialization.reads) == len(self.leaves)
        if deferral is not None:
            self.kept, self.deferred = Block(sizeof(adjoint_run)), Block(sizeof(deferred_place))
            if not self.find_deferred(specialization, deferral):
                self.deferred = None
        return 0

    cdef int32_t fill(self, Block runs, IdRuns reads) except -1:
        """How many of the leaves are among some captured nodes, in the order of these."""
        cdef const id_run *run = NULL
        cdef adjoint_run found
        cdef int32_t k, id, n = 0
        for k in range(<int32_t>len(self.leaves)):
            id = (<Value>self.leaves[k]).id
            if run is NULL or not run.id <= id < run.id + run.n:
                run = reads.run_of(id)
            if run is not NULL:
                found.place, found.slot, found.n = k, run.first + id - run.id, 1
                add_adjoint(runs, &found)
                n += 1
        return n

    cdef bint find_deferred(self, Specialization specialization, Deferral deferral) except -1:
        """Whether all weights whose gradients can be put off are among the leaves, once, each
        matrix in one run."""
        cdef const mf_plan *p = &specialization.plan.plan
        cdef int32_t k, step, n = 0
        cdef deferred_place found
        for k in range(deferral.found.n):
            step = (<deferred_step *>deferral.found.data)[k].step
            found.step, found.place = step, self.place_of_weights(&p.steps[step])
            if found.place < 0:
                return False
            self.deferred.add(&found)
            n += p.steps[step].count * p.steps[step].matrix.n
        return n_leaves(self.runs) - self.fill(self.kept, deferral.kept) == n

    cdef int32_t place_of_weights(self, const mf_step *s) noexcept:
        cdef slot_range weights = slots_of_weights(s)
        cdef const adjoint_run *run = <const adjoint_run *>self.runs.data
        cdef int32_t k
        for k in range(self.runs.n):
            if run[k].slot <= weights.first and weights.last < run[k].slot + run[k].n:
                return run[k].place + s.matrix.w - run[k].slot
        return -1

    cdef int read(self, double scale, Arguments arguments, plan_run *run,
                  double *gradient) except -1:
        """Fills the gradient with scale times the adjoints that a run left. One that has put some
        off is over then."""
        cdef Block runs = self.kept if run.is_open else self.runs
        cdef const adjoint_run *found = <const adjoint_run *>runs.data
        cdef const double *grads = arguments.memory.grads
        cdef int32_t k, j
        if run.is_open or not self.all_captured:
            memset(gradient, 0, 8 * <size_t>len(self.leaves))
        for k in range(runs.n):
            for j in range(found[k].n):
                gradient[found[k].place + j] = scale * grads[found[k].slot + j]
        if run.is_open:
            self.add_deferred(scale, arguments, run, gradient)
        if arguments.values is not None:
            self.add_arguments(scale, arguments, gradient)
        return 0

    cdef void add_deferred(self, double scale, Arguments arguments, plan_run *run,
                           double *gradient) noexcept:
        cdef const deferred_place *found = <const deferred_place *>self.deferred.data
        cdef int32_t k
        for k in range(self.deferred.n):
            executor.add_weights(&executor, &arguments.plan.plan, &run.workspace, &run.job,
                                 found[k].step, scale, gradient + found[k].place)
        run.is_open = False
        arguments.plan_memory.give_workspace_back(&run.workspace)

    cdef int add_arguments(self, double scale, Arguments arguments, double *gradient) except -1:
        """Of the leaves that are arguments too, or alone."""
        cdef IdMap place = IdMap()   # in sums, + 1, by node
        cdef int32_t k, n = 0
        cdef int32_t *found
        cdef Block sums = Block(sizeof(double))
        cdef const int32_t *slots = arguments.memory.value_slots
        for k in range(<int32_t>len(arguments.values)):
            found = place.at((<Value>arguments.values[k]).id)
            if found[0]:
                (<double *>sums.data)[found[0] - 1] += arguments.memory.grads[slots[k]]
            else:
                found[0] = sums.add(&arguments.memory.grads[slots[k]]) + 1
        for k in range(<int32_t>len(self.leaves)):
            n = place.at((<Value>self.leaves[k]).id)[0]
            if n:
                gradient[k] += scale * (<double *>sums.data)[n - 1]
        return 0


cdef int add_adjoint(Block runs, const adjoint_run *one) except -1:
    """Joins the last run where it follows that."""
    cdef adjoint_run *last
    if runs.n:
        last = <adjoint_run *>runs.data + runs.n - 1
        if last.place + last.n == one.place and last.slot + last.n == one.slot:
            last.n += 1
            return 0
    runs.add(one)
    return 0


cdef int32_t n_leaves(Block runs) noexcept:
    cdef const adjoint_run *run = <const adjoint_run *>runs.data
    cdef int32_t k, n = 0
    for k in range(runs.n):
        n += run[k].n
    return n


cdef object listed(object params):
    """The params of value_and_grad as a list or tuple."""
    if isinstance(params, (Value, set, frozenset)) or not hasattr(params, "__iter__"):
        given = "one Value" if isinstance(params, Value) else repr(type(params).__name__)
        raise TypeError(f"value_and_grad: params must be a list of Values, not {given}")
    return params if type(params) is list or type(params) is tuple else list(params)


cdef int check_leaves(tuple params) except -1:
    """Raises TypeError for what is no Value, ValueError for a result of an op."""
    cdef Py_ssize_t k
    for k in range(len(params)):
        p = params[k]
        if not isinstance(p, Value):
            raise TypeError(f"value_and_grad: params[{k}] must be a Value, not "
                            f"{type(p).__name__!r}")
        if store.nodes[(<Value>p).id].op != MF_LEAF:
            raise ValueError(f"value_and_grad: params[{k}] is not a leaf but the result of an op")
    return 0


cdef ParamGradient param_gradient(Specialization specialization, object params):
    """Of params that are listed: checked now, unless they are those of the call before."""
    cdef ParamGradient made = specialization.param_gradient
    if made is not None and made.is_of(params):
        return made
    made = ParamGradient.__new__(ParamGradient)
    made.leaves = tuple(params)
    check_leaves(made.leaves)
    made.find(specialization)
    if made.all_captured:   # others would live as long as the trace, for its sake alone
        specialization.param_gradient = made
    return made
