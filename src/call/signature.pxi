# What a call's arguments look like: a Kind for each, and all of them as a Signature. Calls of equal
# signatures are served by the same trace. kinds.pxi has the kinds that there are.

from engine.node cimport MF_MAX_NODES


cdef class Kind:
    """What an argument is: all of it that a trace may depend on. Kinds are compared and hashed."""
    cdef object identity   # the class aside, all that tells one from another

    def __eq__(self, other):
        return type(self) is type(other) and self.identity == (<Kind>other).identity

    def __hash__(self):
        return hash((type(self), self.identity))

    def __repr__(self):
        return f"{type(self).__name__}{self.identity!r}"

    cdef bint take(self, Arguments arguments, object arg) except -1:
        """Whether an argument is of this kind: these have it then."""
        raise TypeError("a Kind without a class of its own has no arguments")

    cdef int count(self, Inputs inputs) except -1:
        """Says which inputs of a plan such an argument takes."""
        raise TypeError("a Kind without a class of its own has no arguments")

    cdef object placeholder(self, Trace trace):
        """What the traced function sees for the argument."""
        raise TypeError("a Kind without a class of its own has no arguments")

    cdef int add_classes(self, list found) except -1:
        """Classes of Values, subclasses of Value, among what the argument holds."""
        return 0

    cdef bint is_numbers(self) except -1:
        """Whether it is a plain number, or a list or tuple of such and nothing else."""
        return False


@cython.internal
cdef class Inputs:
    """The inputs of a plan that arguments take, in the order in which they are read."""
    cdef bint batch
    cdef list kinds        # what a Plan is told of each
    cdef list values       # which are Values
    cdef list wanted       # shapes of the arrays whose gradient is asked for
    cdef list batches      # (array, first input, width) of the arguments that are Batches
    cdef set lists         # lengths of lists of plain numbers in a batched call, or None
    cdef int32_t n_arrays  # of a batched call: those whose rows are samples
    cdef int32_t n_lanes   # inputs that differ from sample to sample

    def __cinit__(self):
        self.kinds, self.values, self.wanted, self.batches = [], [], [], []

    cdef int add_uniform(self, int64_t n, bint wants) except -1:
        """The next n are the same for all samples."""
        self.kinds += [("uniform grad" if wants else "uniform")] * self.room_for(n)
        return 0

    cdef int add_array(self, int64_t width, bint wants) except -1:
        """The next are the columns of an array, a row a sample."""
        self.kinds += [("lane grad" if wants else "lane")] * self.room_for(width)
        self.n_arrays += 1
        self.n_lanes += <int32_t>width
        return 0

    cdef Py_ssize_t room_for(self, int64_t n) except -1:
        if not 0 <= n <= MF_MAX_NODES - len(self.kinds):
            raise MemoryError("no room for the inputs of a compiled function")
        return n


cdef class Signature:
    """The kinds of a call's arguments: args, and (word, kind) of those that have a name.

    batch: whether the rows of arrays are samples. lists: whether a list of as many numbers as there
    are samples is taken for the same ones in all.
    """
    cdef readonly tuple args
    cdef readonly tuple kwargs
    cdef readonly bint batch
    cdef Inputs inputs

    def __cinit__(self, tuple args not None=(), tuple kwargs not None=(), bint batch=False,
                  bint lists=False):
        self.args = args
        self.kwargs = tuple([(<str?>word, <Kind?>kind) for word, kind in kwargs])
        self.batch = batch
        self.inputs = Inputs()
        self.inputs.batch = batch
        for kind in args:
            (<Kind?>kind).count(self.inputs)
        for _, kind in kwargs:
            (<Kind>kind).count(self.inputs)
        if lists:
            self.inputs.lists = None

    def __eq__(self, other):
        return (type(other) is Signature and self.args == (<Signature>other).args
                and self.kwargs == (<Signature>other).kwargs
                and self.batch == (<Signature>other).batch)

    def __hash__(self):
        return hash((self.args, self.kwargs))

    def __reduce__(self):
        raise TypeError("a Signature cannot be copied or pickled: classes are known by their place")

    def named(self) -> list:
        """(name, kind) of each argument: the name is its position or its word."""
        return [*enumerate(self.args), *self.kwargs]

    def plan_kinds(self) -> list:
        """What a Plan is told of each of its inputs."""
        return self.inputs.kinds.copy()

    def placeholders(self, Trace trace not None) -> tuple:
        """What the traced function is called with."""
        return ([(<Kind>kind).placeholder(trace) for kind in self.args],
                {word: (<Kind>kind).placeholder(trace) for word, kind in self.kwargs})

    def classes(self) -> tuple:
        """Classes of Values, subclasses of Value, that the arguments are of."""
        cdef list found = []
        for _, kind in self.named():
            (<Kind>kind).add_classes(found)
        return tuple(found)

    cdef bint take(self, Arguments arguments, tuple args, dict kwargs) except -1:
        """Whether the arguments fit: these have them then."""
        cdef Py_ssize_t k
        if len(args) != len(self.args) or len(kwargs) != len(self.kwargs):
            return False
        for k in range(len(args)):
            if not (<Kind>self.args[k]).take(arguments, args[k]):
                return False
        for word, kind in self.kwargs:
            if word not in kwargs or not (<Kind>kind).take(arguments, kwargs[word]):
                return False
        # One number a sample, or all for each? arguments.py says what to write.
        return not (self.inputs.lists is not None and arguments.n_samples > 1
                    and arguments.n_samples in self.inputs.lists)
