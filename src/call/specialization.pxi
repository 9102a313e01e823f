# A trace for one signature: the plan that serves its calls, and what that reads of the graph.

from engine.store cimport mf_mark_filled
from plan.step cimport MF_NO_SLOT

cdef struct captured_slot:
    int32_t id      # of a node; its Value lives as long as the plan; first, see compare_captured
    int32_t slot    # among the uniforms


cdef class Dependence


cdef bint same_nodes(list a, list b) noexcept:
    cdef Py_ssize_t k
    for k in range(len(a) if len(a) == len(b) else 0):
        if (<Value>a[k]).id != (<Value>b[k]).id:
            return False
    return len(a) == len(b)


cdef int check_inputs(Plan plan, Inputs inputs) except -1:
    """Calls write the numbers of arguments without looking: the plan has these inputs, rows are
    rows and numbers are numbers."""
    cdef const int32_t *slots = <const int32_t *>plan.input_slots.data
    cdef int32_t k
    if len(inputs.kinds) != plan.input_slots.n:
        raise ValueError("the plan has other inputs than the signature")
    for k in range(plan.input_slots.n):
        if slots[k] != MF_NO_SLOT and (slots[k] >= 0) != (<str>inputs.kinds[k]).startswith("lane"):
            raise ValueError(f"input {k} of the plan is of another kind than the signature says")
    return 0


cdef IdRuns captured_reads(Plan plan, tuple captured):
    """The captured nodes that the plan reads, by their places among the uniforms."""
    cdef captured_slot read
    cdef Block found = Block(sizeof(captured_slot))
    cdef IdRuns reads = IdRuns()
    cdef int32_t k
    if len(captured) != plan.captured_slots.n:
        raise ValueError("the plan's list of captured Values was changed")
    for k in range(plan.captured_slots.n):
        # From now on each stays the node that it is: ids may be kept.
        mf_mark_filled(&store, (<Value?>captured[k]).id)
        read.id = (<Value>captured[k]).id
        read.slot = (<int32_t *>plan.captured_slots.data)[k]
        if read.slot != MF_NO_SLOT:
            read.slot = ~read.slot
            found.add(&read)
    # In the order of memory: slots of captured nodes are in the order of their ids.
    found.sort(compare_captured)
    for k in range(found.n):
        read = (<captured_slot *>found.data)[k]
        reads.add(read.id, read.slot)
    return reads


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
    cdef public Watched watch        # what the trace read; None: nothing is looked at
    cdef object rebuild
    cdef bint batch
    cdef tuple captured
    cdef IdRuns reads                # the captured nodes still used, by their uniform slots
    cdef IdRuns kept                 # those of them whose gradients are not put off
    cdef bint defers                 # whether any are
    cdef int32_t n_arrays            # arrays among the arguments of a batched function
    cdef int32_t n_lanes             # inputs that differ from sample to sample
    cdef size_t n_bytes              # of a call's block, see Call.take_block
    cdef Workspaces workspaces       # of the plan
    cdef void *spare                 # a block that no call uses right now
    cdef list value_inputs           # per Value argument that is used its input
    cdef list batch_inputs           # (array, first input, width) of arguments that are Batches
    cdef Dependence dependence       # see depends
    cdef int64_t passing_at          # n_hooks_set when it was made
    cdef int64_t last_use            # see Traces

    def __init__(self, Signature signature not None, Plan plan not None, rebuild=None,
                 tree=None, Program traced=None, Watched watch=None, str reason=""):
        cdef Inputs inputs = signature.inputs
        if self.plan is not None:
            raise TypeError("a Specialization is made once")
        if not plan.valid:
            raise ValueError("the plan was not made")
        check_inputs(plan, inputs)
        self.plan = plan
        self.signature, self.batch = signature, signature.batch
        self.rebuild, self.tree = rebuild, tree
        self.traced, self.watch, self.reason = traced, watch, reason
        self.workspaces = Workspaces()
        self.captured = tuple(plan.captured)
        self.reads = captured_reads(plan, self.captured)
        self.kept = put_off(plan, self.reads)
        self.defers = self.kept is not None
        self.value_inputs = [k for k in inputs.values if plan.is_used(k)]
        self.batch_inputs = inputs.batches
        self.n_arrays, self.n_lanes = inputs.n_arrays, inputs.n_lanes
        self.n_bytes = (8 * (2 * <size_t>plan.plan.n_uniforms + plan.plan.n_outputs)
                        + self.n_arrays * sizeof(fed_array)
                        + len(inputs.values) * sizeof(int32_t))

    def change(self) -> str:
        """What has changed of all that the trace read, in words, or nothing."""
        return (self.watch.change() if self.watch is not None else None) or ""

    def __dealloc__(self):
        free(self.spare)

    cdef inline bint is_stale(self) except -1:
        """Whether something that the trace read has changed since."""
        return self.watch is not None and not self.watch.holds()

    cdef Dependence depends(self):
        """What each output depends on. Captured Values pass gradient on themselves where they are
        results of ops, which does not change, or leaves with a custom _backward: those are looked
        up again after one was set anywhere."""
        cdef list passing
        if self.dependence is None or self.passing_at != n_hooks_set:
            passing = [value_of(id) for id in self.reads.ids() if passes_on(id)]
            if self.dependence is None or not same_nodes(self.dependence.passing, passing):
                self.dependence = dependence_of(self, passing)
            self.passing_at = n_hooks_set
        return self.dependence

    cdef Call fed(self, tuple args, dict kwargs, bint keeps):
        """A call that has taken these arguments; None where they do not fit the signature.

        keeps: it may run again later, so it copies what it reads.
        """
        cdef Call call
        if self.signature is None:
            raise TypeError("this Specialization was not made")
        call = Call.__new__(Call)
        call.take_block(self, keeps)
        return call if self.signature.take(call, args, kwargs) else None

    def run(self, tuple args, dict kwargs, list leaves=None, bint backward=True):
        """(outputs, gradients) as numbers: no graph is made. Outputs are a block of float64.

        With leaves, Values, the gradients are theirs; without, they are (those of the inputs, a
        block of float64 for each array of a batched function that asked for its own). They are
        those of the sum of the one output; with backward=False they are None. Instead of all that,
        None for arguments that do not fit, and where what the trace read has changed.
        Raises IndexError for a bad index of take, ValueError for a leaf that the function uses
        through the result of an op.
        """
        cdef Call call = self.fed(args, kwargs, False)
        cdef bytearray outputs, columns = None
        if call is None or self.is_stale():
            return None
        if backward and self.plan.plan.n_outputs != 1:
            raise TypeError("only a function of one result has a gradient")
        outputs = bytearray(bytes_of(call.n_samples, self.plan.plan.n_outputs))
        if backward and leaves is None:
            columns = bytearray(bytes_of(call.n_samples, self.n_lanes))
        call.run(<double *><char *>outputs, backward,
                 <double *><char *>columns if columns is not None else NULL)
        if not backward:
            return outputs, None
        if leaves is not None:
            return outputs, call.leaf_gradients(leaves)
        return outputs, (call.input_gradients(), call.wanted_columns(columns))
