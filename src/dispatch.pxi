# From a call of a compiled function to the trace that serves it. Needs call.pxi.

cdef class Dispatcher:
    """What a compiled function does at a call: finds the trace that fits, and runs it.

    A subclass gives __wrapped__, the function, and _prepared(args, kwargs), which returns
    (specialization, args, kwargs): the arguments made plain, and the trace for them.
    """
    cdef list recent    # Specializations, the latest first

    def __cinit__(self, *args, **kwargs):
        self.recent = []

    def __call__(self, *args, **kwargs):
        cdef Call call
        cdef Specialization special
        cdef bint grad = records()
        if mf_n_special and mf_tracing_here():
            return self.__wrapped__(*args, **kwargs)
        for special in self.recent:
            call = special.fed(args, kwargs, grad)
            if call is not None:
                break
        else:
            special, args, kwargs = self._prepared(args, kwargs)
            call = special.fed(args, kwargs, grad)
            if call is None:
                raise TypeError("an argument changed while it was read")
        if not self.recent or self.recent[0] is not special:
            self.recent = [special, *[s for s in self.recent if s is not special][:3]]
        return call.results(grad)
