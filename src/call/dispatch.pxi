# From a call of a compiled function to the trace that serves it, and how long traces are kept.
#
# A method has traces for each object or class. They lie in its __dict__ and go with it; nothing in
# those of an object refers to it, or only the garbage collector could free the two. What has no
# __dict__ (objects with __slots__) has its traces with the function, under a weak reference.

from _weakref import ref as weak_reference   # weakref itself costs the import a millisecond
from _functools import partial   # functools itself costs an import of 2 ms

from engine.modes cimport mf_n_modes, mf_tracing_here

cdef extern from "Python.h":
    bint PyFunction_Check(object o)
    object PyMethod_New(object function, object owner)

MAX_TRACES = 128        # of one function; the least recently used goes

cdef enum:
    MAX_LOOKS = 1024    # of a function's arguments: a trace has one or some
    MAX_BESIDE = 128    # objects of which there is no weak reference, with the traces of one method

cdef str METHODS = "_compiled_methods"   # where an object keeps its traces


cdef class Traces:
    """The traces of a function, or of a method and an object: the latest used, and all by key.

    Lists and dicts are looked up and written in one step, which other threads do not see half done.
    """
    cdef list latest              # by what was wanted the Specialization used last, or None
    cdef dict by_look             # Specializations by look_of() of arguments that they served
    cdef readonly dict by_signature   # of all Specializations
    cdef readonly list in_a_row   # signatures of those made with no hit in between
    cdef readonly int64_t hits, misses
    cdef public bint warned       # of too many
    cdef readonly dict derived    # compiled derivatives of the function, by what they are
    cdef int64_t hits_before      # at the last miss
    cdef int64_t clock            # goes on at each use
    cdef object __weakref__

    def __cinit__(self):
        self.clear()

    def clear(self) -> None:
        """Forgets all traces and counts."""
        self.latest = [None] * N_WANTED
        self.by_look, self.by_signature, self.in_a_row, self.derived = {}, {}, [], {}
        self.hits = self.misses = self.hits_before = 0
        self.warned = False

    cdef inline void use(self, Specialization specialization) noexcept:
        """This one was used after all others."""
        self.clock += 1
        specialization.last_use = self.clock

    def get(self, signature):
        """The Specialization for a signature, or None."""
        found = self.by_signature.get(signature)
        if found is not None:
            self.hits += 1
            self.use(<Specialization>found)
        return found

    def add(self, Specialization specialization not None) -> bool:
        """Keeps a new one; True where the one that was used least recently had to go."""
        signature = specialization.signature
        if self.hits != self.hits_before:
            self.in_a_row = []
        self.hits_before = self.hits
        self.misses += 1
        self.in_a_row = [*self.in_a_row[1 - MAX_TRACES:], signature]
        self.use(specialization)
        self.by_signature[signature] = specialization
        return len(self.by_signature) > MAX_TRACES and self.drop_oldest()

    def forget(self, Specialization specialization not None) -> None:
        """Drops one that get() found and that what it read has left behind."""
        self.hits -= 1
        if self.by_signature.get(specialization.signature) is specialization:
            del self.by_signature[specialization.signature]
        self.drop(specialization)

    cdef int drop(self, Specialization specialization) except -1:
        """Of one that is no more in by_signature: the other places where it is."""
        self.latest = [None if s is specialization else s for s in self.latest]
        for look in [key for key, s in list(self.by_look.items()) if s is specialization]:
            self.by_look.pop(look, None)
        return 0

    cdef int keep_look(self, object look, Specialization specialization) except -1:
        """Arguments of this look are served by that from now on."""
        if len(self.by_look) >= MAX_LOOKS:
            self.by_look = {}
        self.by_look[look] = specialization
        return 0

    cdef bint drop_oldest(self) except -1:
        cdef Specialization specialization, found = None
        cdef int64_t oldest
        oldest = self.clock + 1
        for each in list(self.by_signature.values()):
            specialization = <Specialization?>each
            if specialization.last_use < oldest:
                oldest, found = specialization.last_use, specialization
        if found is None or self.by_signature.pop(found.signature, None) is None:
            return False   # another thread was here
        self.drop(found)
        return True

    def __reduce__(self):
        return Traces, ()   # a copy begins anew


cdef class MethodTraces:
    """What an object keeps of its compiled methods. Copies of the object have this too, or a copy
    of it, and must not take it for theirs."""
    cdef object owner         # weak reference
    cdef dict by_function     # descriptor -> Traces

    def __reduce__(self):
        return dict, ()


@cython.internal
cdef class TracesBeside:
    """Traces of a method and an object that has no place for them."""
    cdef object owner         # weak reference, or the object where there is none
    cdef Traces traces


cdef class Dispatcher:
    """What a compiled function does at a call: finds the trace that fits, and runs it.

    A subclass gives _read(args, kwargs, wanted), which returns (specialization, args, kwargs): the
    trace for the arguments, and these made plain; _inline(args, kwargs), the call while another
    function is traced; and _batch, whether the rows of arrays are samples.
    """
    cdef readonly object __wrapped__     # the function
    cdef readonly Traces _traces
    cdef readonly Dispatcher _descriptor   # of a bound method: what the class has
    cdef dict beside                       # id of an object -> TracesBeside
    cdef object __weakref__

    def __cinit__(self, *args, **kwargs):
        self._traces = Traces.__new__(Traces)

    def _take(self, function) -> None:
        """What this is the compiled form of: said once, for objects keep traces of it."""
        if self.__wrapped__ is not None:
            raise TypeError("a compiled function is made once")
        self.__wrapped__ = function

    def __call__(self, *args, **kwargs):
        if mf_n_modes and mf_tracing_here():
            return self._inline(args, kwargs)
        return self.run(WANTED_RESULTS, args, kwargs, None, records())

    @cython.embedsignature(True)
    def values(self, *args, **kwargs):
        """The results as plain NumPy numbers; no graph is built, so nothing has a gradient.

        Of a function that is not batched: its structure with a float for each Value. Lists of
        Values are arrays, lists of such lists too where these are alike. Of a batched one: what
        the Batch has as its data, shape (B,), or (B, k) for k Values in order.
        """
        check_not_tracing("values")
        return self.run(WANTED_NUMBERS, args, kwargs, None, False)

    def _fill(self, out, args, kwargs) -> None:
        """values() of a batched function into a contiguous array of float64."""
        self.run(WANTED_NUMBERS, args, kwargs, out, False)

    @cython.embedsignature(True)
    def value_and_grad(self, *args, argnums=None, params=None, **kwargs):
        """Value and gradient as plain NumPy results; no graph is built, no grad is changed.

        Of a function that is not batched: its one result, a float, and the gradient of the first
        argument, an array, in its shape, or a float: what scipy.optimize.minimize(
        f.value_and_grad, x0, jac=True) wants. Of a batched one: the results, shape (B,), and sample
        by sample the gradient of each array argument in its shape: one array, or a tuple where
        there are several. With argnums, an int or ints: the gradient of those arguments.

        With params, leaf Values: the result (batched: its mean over the samples), a float, and its
        gradient, shape (len(params),), 0 where the function does not use one. A param may be an
        argument too.

        Raises TypeError where there is no such argument, a param is no Value, or the function has
        several results; ValueError for a param that is the result of an op, or that the function
        uses through one: value_and_grad does not follow the eager graph.
        """
        check_not_tracing("value_and_grad")
        if argnums is not None or params is None and args and self.is_no_array(args[0]):
            return self._by_arguments(args, kwargs, argnums, params)
        if params is None:
            return self.run(WANTED_ARRAYS, args, kwargs, None, False)
        return self.run(WANTED_PARAMS, args, kwargs, listed(params), False)

    cdef bint is_no_array(self, first):
        """Whether a first argument that a gradient is asked by is to be made an array before: a
        number; where there is no batch a list of them, an array without axes, a data frame."""
        cdef type kind = type(first)
        if kind is not float and ndarray_type is None:
            know_numpy()
        if kind is ndarray_type:
            return not self._batch and first.ndim == 0
        if kind is float or kind in number_types:
            return True
        return not self._batch and (kind is list or kind is tuple or hasattr(first, "to_numpy"))

    cdef object run(self, int wanted, tuple args, dict kwargs, object params, bint grad):
        """A call by the trace that served the one before, where it fits. grad: whether backward()
        may follow."""
        cdef Traces traces = self._traces
        cdef Specialization latest = <Specialization>traces.latest[wanted]
        cdef Arguments arguments = None
        if latest is not None:
            arguments = latest.read(args, kwargs, grad)
        if arguments is None or latest.is_stale():
            return self.run_another(wanted, args, kwargs, params, grad)
        traces.hits += 1
        traces.use(latest)
        return results_as(wanted, latest, arguments, params, grad)

    cdef object run_another(self, int wanted, tuple args, dict kwargs, object params, bint grad):
        """The call where it is not like the one before."""
        cdef Traces traces = self._traces
        cdef Arguments arguments = None
        cdef Specialization specialization = None
        look = look_of(wanted, self._batch, args, kwargs)
        found = traces.by_look.get(look)
        if found is not None:
            specialization = <Specialization?>found
            arguments = specialization.read(args, kwargs, grad)
        if arguments is not None and not specialization.is_stale():
            traces.hits += 1
        else:
            if wanted == WANTED_PARAMS:
                check_leaves(tuple(params))
            specialization, args, kwargs = self._read(args, kwargs, wanted)
            if wanted >= WANTED_ARRAYS and specialization.plan.plan.n_outputs != 1:
                raise TypeError(f"value_and_grad: {self.__name__} must return one Value")
            arguments = specialization.read(args, kwargs, grad)
            if arguments is None:
                raise TypeError("an argument changed while it was read")
            if look is not None:
                traces.keep_look(look, specialization)
        traces.use(specialization)
        traces.latest[wanted] = specialization
        return results_as(wanted, specialization, arguments, params, grad)

    @classmethod
    def __class_getitem__(cls, item):
        """CompiledFunction[P, R], for annotations."""
        return GenericAlias(cls, item)

    # ---- as a method ----

    def __get__(self, owner, kind):
        """The compiled function of the bound method. What is not a function (a Module, a partial)
        is no method and stays as it is."""
        cdef Dispatcher bound
        function = self.__wrapped__
        if PyFunction_Check(function):
            if owner is None:
                return self
            method = PyMethod_New(function, owner)
        else:
            method = self.bound_method(owner, kind)
            if method is None:
                return self
            owner = method.__self__
        bound = type(self).__new__(type(self))
        bound.__dict__.update(self.__dict__)
        bound.__wrapped__ = method
        bound._descriptor = self
        bound._traces = self.traces_of(owner)
        return bound

    cdef object bound_method(self, owner, kind):
        """What the function is as an attribute, where that is a method of its own; or None."""
        function = self.__wrapped__
        # Python 3.14 makes a method of a partial, 3.13 warns of it.
        if isinstance(function, partial) or not hasattr(type(function), "__get__"):
            return None
        method = type(function).__get__(function, owner, kind)
        if method is function or getattr(method, "__self__", None) is None:
            return None
        return method

    cdef Traces traces_of(self, owner):
        cdef MethodTraces methods
        namespace = getattr(owner, "__dict__", None)
        if type(namespace) is not dict and not isinstance(owner, type):
            return self.traces_beside(owner)
        found = namespace.get(METHODS)
        if type(found) is not MethodTraces or (<MethodTraces>found).owner() is not owner:
            found = self.methods_of(owner, namespace)
            if found is None:
                return self.traces_beside(owner)
        methods = <MethodTraces>found
        traces = methods.by_function.get(self)
        return traces if traces is not None else methods.by_function.setdefault(self, Traces())

    cdef MethodTraces methods_of(self, owner, namespace):
        """What an object without traces keeps from now on; None where it cannot keep it."""
        cdef MethodTraces made = MethodTraces.__new__(MethodTraces)
        made.by_function = {}
        try:
            made.owner = weak_reference(owner)
            other = namespace.get(METHODS)
            if type(other) is MethodTraces and (<MethodTraces>other).owner() is owner:
                made = <MethodTraces>other   # another thread was faster
            elif type(namespace) is dict:
                (<dict>namespace)[METHODS] = made
            else:
                type.__setattr__(owner, METHODS, made)
        except TypeError:   # a copy could not be told from the original; or a class is fixed
            made = None
        namespace = getattr(owner, "__dict__", None)
        return made if made is not None and namespace.get(METHODS) is made else None

    cdef Traces traces_beside(self, owner):
        """The traces of an object that has no place for them."""
        cdef TracesBeside beside
        if self.beside is None:
            self.beside = {}
        found = self.beside.get(id(owner))
        if found is not None:
            beside = <TracesBeside?>found
            if beside.owner is owner:
                return beside.traces
            if type(beside.owner) is OwnerRef and beside.owner() is owner:
                return beside.traces
        beside = TracesBeside.__new__(TracesBeside)
        beside.traces = Traces()
        try:
            beside.owner = OwnerRef(owner, forget_owner)
            beside.owner.descriptor = weak_reference(self)
            beside.owner.key = id(owner)
        except TypeError:
            beside.owner = owner
            self.make_room()
        self.beside[id(owner)] = beside
        return beside.traces

    cdef int make_room(self) except -1:
        """Lets the oldest go of too many objects that have no weak references."""
        strong = [key for key, beside in list(self.beside.items())
                  if type((<TracesBeside?>beside).owner) is not OwnerRef]
        for key in strong[:max(0, len(strong) + 1 - MAX_BESIDE)]:
            self.beside.pop(key, None)
        return 0


class OwnerRef(weak_reference):
    """A weak reference to an object whose traces are with a function."""
    __slots__ = ("descriptor", "key")


def forget_owner(ref) -> None:
    cdef Dispatcher descriptor = ref.descriptor()
    if descriptor is not None and descriptor.beside is not None:
        found = descriptor.beside.get(ref.key)
        if found is not None and (<TracesBeside?>found).owner is ref:
            descriptor.beside.pop(ref.key, None)


OwnerRef.__module__ = "micrograd_fast.compiler"
