# What a call's arguments look like, and the trace that serves all calls that look alike.
#
# arguments.py writes a signature down as keys, a tuple for each argument:
#   ("array", shape)       a float64 array; where the function is batched, shape is a sample's
#   ("array grad", shape)  the same, and its gradient is asked for
#   ("batch", shape)       a Batch that has a graph behind it
#   ("number",)            a float
#   ("value",)             a Value
#   ("value of", id, x)    one of the class x, whose operators the function meets
#   ("static", type, x)    the constant x
#   ("class", id, x)       the class x
#   ("list", keys), ("tuple", keys), ("dict", keys, words)
# arguments.py finds the key of arguments of any kind; call.pxi only looks whether plain arguments
# fit a key that is there, which takes some 100 ns.

from cpython.buffer cimport (Py_buffer, PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release,
                             PyObject_GetBuffer)

from engine.node cimport MF_MAX_NODES
from engine.store cimport mf_mark_filled
from plan.step cimport MF_NO_SLOT

cdef struct captured_slot:
    int32_t id      # of a node; its Value lives as long as the plan; first, see compare_captured
    int32_t slot    # among the uniforms

cdef struct fed_array:    # an array argument of one batched call
    Py_buffer view        # of the caller's array
    bint has_view         # while it is needed
    bint kept             # until the call goes: there is no copy
    uint64_t seal         # of the numbers of one that is kept
    const double *data    # one sample after the other
    int32_t first         # input
    int32_t width         # numbers a sample
    int32_t first_lane    # widths of the arrays before it
    bint wants            # its gradient is asked for


cdef class Call


cdef class Batch


cdef class Dependence


# How long the tuple of a key is.
cdef dict KEY_LENGTHS = {"array": 2, "array grad": 2, "batch": 2, "number": 1, "value": 1,
                         "value of": 3, "static": 3, "class": 3, "list": 2, "tuple": 2, "dict": 3}


@cython.boundscheck(True)
@cython.wraparound(True)
def numbers_only(tuple key not None) -> bool:
    """Whether an argument of this key is a list or tuple of plain numbers, or of such lists."""
    if key[0] not in ("list", "tuple") or not key[1]:
        return False
    for item in key[1]:
        if item[0] != "number" and not (item[0] == "static" and item[1] in (int, bool)) \
                and not numbers_only(item):
            return False
    return True


cdef bint same_nodes(list a, list b) noexcept:
    cdef Py_ssize_t k
    for k in range(len(a) if len(a) == len(b) else 0):
        if (<Value>a[k]).id != (<Value>b[k]).id:
            return False
    return len(a) == len(b)


cdef tuple parts_of(tuple key, object arg):
    """The items of a list, tuple or dict; None where it is none of that kind or has others."""
    cdef tuple items, words
    cdef Py_ssize_t k
    tag = key[0]
    if tag == "dict":
        if type(arg) is not dict:
            return None
        items = tuple((<dict>arg).items())
        words = <tuple>key[2]
        if len(items) != len(words):
            return None
        for k in range(len(words)):
            word = (<tuple>items[k])[0]
            if type(word) is not type(words[k]) or word != words[k]:
                return None
        return tuple([item[1] for item in items])
    if type(arg) is not (list if tag == "list" else tuple):
        return None
    items = tuple(arg)
    return items if len(items) == len(<tuple>key[1]) else None


cdef class Specialization:
    """A trace for one signature: its plan, the keys it serves, the structure of its results.

    rebuild makes that structure of a list of Values; None: the function returns one Value.
    """
    cdef readonly Plan plan
    cdef readonly tuple args         # keys of the positional arguments
    cdef readonly tuple kwargs       # (word, key) of the others
    cdef readonly bint batch
    cdef public Watched watch        # what the trace read; None: nothing is looked at
    cdef object rebuild
    cdef tuple captured
    cdef IdRuns reads                # the captured nodes still used, by their uniform slots
    cdef IdRuns kept                 # those of them whose gradients are not put off
    cdef bint defers                 # whether any are
    cdef int32_t n_inputs            # of the plan, found in the keys
    cdef int32_t n_values            # Values among the arguments
    cdef int32_t n_arrays            # arrays among those of a batched function
    cdef int32_t n_lanes             # inputs that differ from sample to sample
    cdef size_t n_bytes              # of a call's block, see Call.take_block
    cdef Workspaces workspaces       # of the plan
    cdef void *spare                 # a block that no call uses right now
    cdef list value_inputs           # per Value argument that is used its input
    cdef list batch_inputs           # (array, first input, width) of arguments that are Batches
    cdef Dependence dependence       # see depends
    cdef int64_t passing_at          # n_hooks_set when it was made
    cdef int64_t last_use            # see Traces
    cdef set lists                   # lengths of lists of plain numbers in a batched call, or None

    def __init__(self, Plan plan not None, tuple args not None, tuple kwargs not None, bint batch,
                 rebuild):
        cdef captured_slot read
        cdef Block found = Block(sizeof(captured_slot))
        cdef int32_t k
        if self.plan is not None:
            raise TypeError("a Specialization is made once")
        if not plan.valid:
            raise ValueError("the plan was not made")
        self.plan = plan
        self.workspaces = Workspaces()
        self.args = args
        self.kwargs = kwargs
        self.batch = batch
        self.rebuild = rebuild
        self.captured = tuple(plan.captured)
        if len(self.captured) != plan.captured_slots.n:
            raise ValueError("the plan's list of captured Values was changed")
        for k in range(plan.captured_slots.n):
            # From now on each stays the node that it is: ids may be kept.
            mf_mark_filled(&store, (<Value>self.captured[k]).id)
            read.id = (<Value>self.captured[k]).id
            read.slot = (<int32_t *>plan.captured_slots.data)[k]
            if read.slot != MF_NO_SLOT:
                read.slot = ~read.slot
                found.add(&read)
        # In the order of memory: slots of captured nodes are in the order of their ids.
        found.sort(compare_captured)
        self.reads = IdRuns()
        for k in range(found.n):
            read = (<captured_slot *>found.data)[k]
            self.reads.add(read.id, read.slot)
        self.kept = put_off(plan, self.reads)
        self.defers = self.kept is not None
        self.value_inputs, self.batch_inputs = [], []
        for key in [*args, *[key for _, key in kwargs]]:
            self.count(key)
        if self.n_inputs != plan.input_slots.n:
            raise ValueError("the plan has other inputs than the keys")
        self.n_bytes = (8 * (2 * <size_t>plan.plan.n_uniforms + plan.plan.n_outputs)
                        + self.n_arrays * sizeof(fed_array) + self.n_values * sizeof(int32_t))

    def __dealloc__(self):
        free(self.spare)

    cdef int count(self, object key) except -1:
        """Raises ValueError for what is no key, or not of the plan's next inputs: calls look at
        neither."""
        cdef int64_t size = 1
        tag = key[0] if type(key) is tuple and key else None
        if KEY_LENGTHS.get(tag) != (len(key) if tag is not None else -1):
            raise ValueError(f"no key of an argument: {key!r}")
        if tag in ("list", "tuple", "dict"):
            if type(key[1]) is not tuple or tag == "dict" and (
                    type(key[2]) is not tuple or len(key[2]) != len(key[1])):
                raise ValueError(f"no key of an argument: {key!r}")
            for item in key[1]:
                self.count(item)
            if self.batch and numbers_only(key):
                self.lists = {*(self.lists or ()), len(key[1])}
        elif tag in ("number", "value", "value of"):
            if tag != "number" and self.plan.is_used(self.n_inputs):
                self.value_inputs.append(self.n_inputs)
            self.n_values += tag != "number"
            self.take_inputs(1, False)
        elif tag in ("array", "array grad", "batch"):
            if type(key[1]) is not tuple or tag == "batch" and not self.batch:
                raise ValueError(f"no key of an argument: {key!r}")
            for n in key[1]:
                size = size * n if 0 <= n <= MF_MAX_NODES and 0 <= size <= MF_MAX_NODES else -1
            if tag == "batch":
                self.batch_inputs.append((self.n_arrays, self.n_inputs, size))
            self.take_inputs(size, self.batch)
            if self.batch:
                self.n_arrays += 1
                self.n_lanes += <int32_t>size
        return 0

    cdef int take_inputs(self, int64_t n, bint row) except -1:
        """The plan's next n inputs are all rows, or all uniform."""
        cdef const int32_t *slots = <const int32_t *>self.plan.input_slots.data
        cdef int32_t k
        if not 0 <= n <= self.plan.input_slots.n - self.n_inputs:
            raise ValueError("the plan has other inputs than the keys")
        for k in range(self.n_inputs, self.n_inputs + <int32_t>n):
            if slots[k] != MF_NO_SLOT and (slots[k] >= 0) != row:
                raise ValueError(f"input {k} of the plan is of another kind than the keys say")
        self.n_inputs += <int32_t>n
        return 0

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
        """A call that has taken these arguments; None where they do not fit the keys.

        keeps: it may run again later, so it copies what it reads.
        """
        cdef Call call
        cdef Py_ssize_t k
        if len(args) != len(self.args) or len(kwargs) != len(self.kwargs):
            return None
        call = Call.__new__(Call)
        call.take_block(self, keeps)
        for k in range(len(args)):
            if not call.feed(<tuple>self.args[k], args[k]):
                return None
        for word, key in self.kwargs:
            if word not in kwargs or not call.feed(<tuple>key, kwargs[word]):
                return None
        if self.lists is not None and call.n_samples > 1 and call.n_samples in self.lists:
            return None   # one number a sample, or all for each? arguments.py says what to write
        return call

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
