# A trace for one signature: the plan that serves its calls, and what that reads of the graph.

from engine.store cimport mf_mark_filled
from plan.step cimport MF_NO_SLOT

cdef struct captured_slot:
    int32_t id      # of a node; its Value lives as long as the plan
    int32_t slot    # among the uniforms


cdef int compare_captured(const void *pa, const void *pb) noexcept nogil:
    cdef int32_t a = (<const captured_slot *>pa).id, b = (<const captured_slot *>pb).id
    return (a > b) - (a < b)


cdef bint same_nodes(list a, list b) noexcept:
    cdef Py_ssize_t k
    for k in range(len(a) if len(a) == len(b) else 0):
        if (<Value>a[k]).id != (<Value>b[k]).id:
            return False
    return len(a) == len(b)


cdef int check_inputs(Plan plan, Inputs inputs) except -1:
    """Calls write the numbers of arguments without looking: the plan has these inputs, rows are
    rows and numbers are numbers."""
    cdef const int32_t *slots = plan.plan.input_slots
    cdef int32_t k
    if len(inputs.kinds) != plan.plan.n_inputs:
        raise ValueError("the plan has other inputs than the signature")
    for k in range(plan.plan.n_inputs):
        if slots[k] != MF_NO_SLOT and (slots[k] >= 0) != (<str>inputs.kinds[k]).startswith("lane"):
            raise ValueError(f"input {k} of the plan is of another kind than the signature says")
    return 0


cdef IdRuns captured_reads(Plan plan, tuple captured):
    """The captured nodes that the plan reads, by their places among the uniforms."""
    cdef captured_slot read
    cdef Block found = Block(sizeof(captured_slot))
    cdef IdRuns reads = IdRuns()
    cdef int32_t k
    if len(captured) != plan.plan.n_captured:
        raise ValueError("the plan's list of captured Values was changed")
    for k in range(plan.plan.n_captured):
        # From now on each stays the node that it is: ids may be kept.
        mf_mark_filled(&store, (<Value?>captured[k]).id)
        read.id = (<Value>captured[k]).id
        read.slot = plan.plan.captured_slots[k]
        if read.slot != MF_NO_SLOT:
            read.slot = ~read.slot
            found.add(&read)
    # In the order of memory: slots of captured nodes are in the order of their ids.
    found.sort(compare_captured)
    for k in range(found.n):
        read = (<captured_slot *>found.data)[k]
        reads.add(read.id, read.slot)
    return reads


cdef PlanMemory memory_for(Plan plan, Inputs inputs):
    """What calls of a plan with these inputs work in."""
    cdef PlanMemory memory = PlanMemory.__new__(PlanMemory)
    memory.sizes.uniforms = plan.plan.n_uniforms
    memory.sizes.outputs = plan.plan.n_outputs
    memory.sizes.columns = plan.plan.n_columns
    memory.sizes.arrays = inputs.n_arrays
    memory.sizes.values = len(inputs.values)
    memory.n_lanes = inputs.n_lanes
    return memory


cdef class Specialization:
    """A trace for one signature, which serves all calls of it: what was traced, the plan made of
    that, and the structure of its results.

    rebuild makes that structure of a list of Values; None: the function returns one Value. tree is
    the structure as data. reason: why it was made, in words, where another went before it.
    """
    cdef readonly Signature signature
    cdef readonly Plan plan
    cdef readonly Program traced     # before all passes
    cdef readonly object tree
    cdef readonly str reason
    cdef readonly str name           # whose find_nan() explains a nan; '': of arithmetic on Batches
    cdef public Watched watch        # what the trace read; None: nothing is looked at
    cdef object rebuild
    cdef tuple shape                 # of the results as one array; with with_arrays, see find_form
    cdef object with_arrays          # the structure of the results, of an array of all numbers
    cdef bint batch
    cdef tuple captured
    cdef IdRuns reads                # the captured nodes still used, by their uniform slots
    cdef Deferral deferral           # whose gradients runs may defer; None: nobody's
    cdef PlanMemory memory
    cdef object param_gradient       # a ParamGradient: the last that was asked for; or None
    cdef Reaching reaching           # see reaching_of
    cdef list value_inputs           # per Value argument that is used its input
    cdef Dependence dependence       # see depends
    cdef int64_t depends_at          # n_hooks_set when it was made
    cdef int64_t last_use            # see Traces

    def __init__(self, Signature signature not None, Plan plan not None, rebuild=None,
                 tree=None, Program traced=None, Watched watch=None, str reason="",
                 str name="f"):
        cdef Inputs inputs = signature.inputs
        if self.plan is not None:
            raise TypeError("a Specialization is made once")
        if not plan.valid:
            raise ValueError("the plan was not made")
        check_inputs(plan, inputs)
        self.plan = plan
        self.signature, self.batch = signature, signature.batch
        self.rebuild, self.tree = rebuild, tree
        self.traced, self.watch, self.reason, self.name = traced, watch, reason, name
        self.captured = tuple(plan.captured)
        self.reads = captured_reads(plan, self.captured)
        self.deferral = plan.deferral = deferral_of(&plan.plan, self.reads)
        self.value_inputs = [k for k in inputs.values if plan.is_used(k)]
        self.memory = memory_for(plan, inputs)

    cdef int find_form(self) except -1:
        """How the results of a call that is not batched are given as numbers: as one array, or by
        with_arrays."""
        from micrograd_fast.arguments import arrays_of, regular

        if self.tree is None:   # of a test
            self.shape = (self.plan.plan.n_outputs,)
            return 0
        with_arrays, n = arrays_of(self.tree)
        if n != self.plan.plan.n_outputs:
            raise ValueError("the plan has other results than the structure")
        self.shape = regular(self.tree)
        if self.shape is None:
            self.with_arrays = with_arrays
        return 0

    def change(self) -> str:
        """What has changed of all that the trace read, in words, or nothing."""
        return (self.watch.change() if self.watch is not None else None) or ""

    cdef inline bint is_stale(self) except -1:
        """Whether something that the trace read has changed since."""
        return self.watch is not None and not self.watch.is_current()

    cdef Dependence depends(self):
        """What each output depends on. Captured Values have a step where they are results of ops,
        which does not change, or leaves with a custom _backward: those are looked up again after
        one was set anywhere."""
        cdef list with_steps
        if self.dependence is None or self.depends_at != n_hooks_set:
            with_steps = [value_of(id) for id in self.reads.ids() if has_step(id)]
            if self.dependence is None or not same_nodes(self.dependence.captured, with_steps):
                self.dependence = dependence_of(
                    self.plan.program, self.captured, with_steps, self.value_inputs,
                    self.signature.inputs.batches)
            self.depends_at = n_hooks_set
        return self.dependence

    cdef Reaching reaching_of(self):
        """For backward from some results; made when it is first asked for."""
        cdef Reaching made
        if self.reaching is None:
            made = Reaching.__new__(Reaching)
            made.begin(self.plan, self.reads, self.value_inputs)
            self.reaching = made
        return self.reaching

    cdef Arguments read(self, tuple args, dict kwargs, bint differentiable):
        """The arguments of a call, read; None where they do not fit the signature.

        differentiable: the call may run again later, so what it reads is copied.
        """
        cdef Arguments arguments
        if self.signature is None:
            raise TypeError("this Specialization was not made")
        arguments = Arguments.__new__(Arguments)
        arguments.begin(self.plan, self.memory, self.batch, differentiable)
        return arguments if self.signature.take(arguments, args, kwargs) else None
