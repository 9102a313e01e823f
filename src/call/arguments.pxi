# The arguments that one call took.
#
# A gradient is that of the numbers that the call saw: there are copies of all that it read, and of
# large arrays a seal that breaks when they are written.

from base.seal cimport mf_seal
from engine.node cimport MF_F_TRACED
from plan.step cimport MF_NO_SLOT

cdef enum:
    LARGEST_COPY = 8388608   # bytes; larger arrays are read where they are, under a seal


@cython.internal
@cython.freelist(16)
cdef class Arguments:
    """The arguments that a call took, read into its memory."""
    cdef Plan plan
    cdef PlanMemory plan_memory
    cdef call_memory memory
    cdef bint batched           # whether the rows of arrays are samples
    cdef bint differentiable    # whether the call may run again: what it reads is copied then
    cdef bint at_once           # whether what the run defers is passed on before anything else runs
    cdef Py_ssize_t n_samples   # -1 until an array tells
    cdef int32_t n_inputs, n_arrays, n_lanes   # taken so far
    cdef list values            # those that are Values, or None
    cdef list upstream          # per array an Upstream, or None; None: all are plain numbers
    cdef double *copies         # of arrays, one after the other; NULL: none

    def __dealloc__(self):
        self.release_views(True)
        free(self.copies)
        if self.plan_memory is not None:   # the collector may have taken it away
            self.plan_memory.give_block_back(&self.memory)
        else:
            free_call_memory(&self.memory)

    cdef int begin(self, Plan plan, PlanMemory plan_memory, bint batched,
                   bint differentiable) except -1:
        plan_memory.take_block(&self.memory)
        self.plan = plan
        self.plan_memory = plan_memory
        self.batched = batched
        self.differentiable = differentiable
        self.n_samples = -1 if batched else 1
        return 0

    cdef inline void take_number(self, double number) noexcept:
        """The next input, a uniform one."""
        cdef int32_t slot = self.plan.plan.input_slots[self.n_inputs]
        if slot != MF_NO_SLOT:
            self.memory.uniforms[~slot] = number
        self.n_inputs += 1

    cdef bint take_value(self, Value value) except -1:
        cdef int32_t slot = self.plan.plan.input_slots[self.n_inputs]
        if store.nodes[value.id].flags & MF_F_TRACED:
            check_value(value, "an argument")
        if slot != MF_NO_SLOT:
            if self.values is None:
                self.values = []
            self.memory.value_slots[len(self.values)] = ~slot
            self.values.append(value)
        self.take_number(store.data[value.id])
        return True

    cdef int take_numbers(self, const Py_buffer *view, const mf_elements *elements,
                          Py_ssize_t n) except -1:
        """The next n inputs, uniform ones: the numbers of an array."""
        cdef const int32_t *slots = self.plan.plan.input_slots + self.n_inputs
        cdef const double *numbers = <const double *>view.buf
        cdef double *converted = NULL
        cdef Py_ssize_t k
        if not is_in_place(elements, view):
            numbers = converted = <double *>some_memory(<uint64_t>n, sizeof(double))
            mf_read_elements(converted, elements)
        for k in range(n):
            if slots[k] != MF_NO_SLOT:
                self.memory.uniforms[~slots[k]] = numbers[k]
        self.n_inputs += <int32_t>n
        free(converted)
        return 0

    cdef bint take_array(self, const Py_buffer *view, const mf_elements *elements,
                         Py_ssize_t n_samples, Py_ssize_t width, bint wants) except -1:
        """The next array of a batched call, a row a sample. The view is the call's from now on.
        elements: NULL where they can be read in place whatever their view says."""
        cdef array_argument *a = &self.memory.arrays[self.n_arrays]
        cdef bint in_place = elements is NULL or is_in_place(elements, view)
        cdef double *own
        self.n_samples = n_samples
        a.view = view[0]
        a.has_view = True
        a.data = <const double *>view.buf
        a.first = self.n_inputs
        a.width = <int32_t>width
        a.first_lane = self.n_lanes
        a.wants = wants
        a.sealed = (self.differentiable and in_place
                    and 8 * <size_t>n_samples * width > LARGEST_COPY)
        self.n_inputs += a.width
        self.n_lanes += a.width
        self.n_arrays += 1
        if a.sealed:
            a.seal = mf_seal(a.data, <size_t>n_samples * width)
        elif not in_place:
            mf_read_elements(self.copy_of(a), elements)
            release_view(a)
        elif self.differentiable:
            own = self.copy_of(a)
            if n_samples * width:   # an empty array may have no memory
                memcpy(own, view.buf, 8 * <size_t>n_samples * width)
            release_view(a)
        return True

    cdef double *copy_of(self, array_argument *a) except NULL:
        """Room for the numbers of an array, which are read there from now on."""
        cdef size_t n = <size_t>self.n_samples
        if self.copies is NULL:
            self.copies = <double *>some_memory(<uint64_t>n * self.plan_memory.n_lanes, 8)
        a.data = self.copies + n * a.first_lane
        return self.copies + n * a.first_lane

    cdef int release_views(self, bint sealed) except -1:
        """Of the arrays that are not needed any more; with sealed, of all."""
        cdef int32_t k
        for k in range(self.n_arrays):
            if sealed or not self.memory.arrays[k].sealed:
                release_view(&self.memory.arrays[k])
        return 0

    cdef bint is_sealed(self) noexcept:
        """Whether there is an array without a copy."""
        cdef int32_t k
        for k in range(self.n_arrays):
            if self.memory.arrays[k].sealed:
                return True
        return False

    cdef int check_seals(self) except -1:
        """Raises RuntimeError where a large array, of which there is no copy, was written."""
        cdef const array_argument *a
        cdef int32_t k
        for k in range(self.n_arrays):
            a = &self.memory.arrays[k]
            if a.sealed and mf_seal(a.data, <size_t>self.n_samples * a.width) != a.seal:
                raise RuntimeError(
                    f"array argument {k} was written after the call, whose gradient needs the "
                    "numbers that it saw: write into a copy, or call backward() before")
        return 0

    cdef void pick_rows(self, double *rows, const Py_ssize_t *picked, Py_ssize_t n) noexcept:
        """The rows of the picked samples alone, array by array."""
        cdef const array_argument *a
        cdef int32_t k
        cdef Py_ssize_t b
        for k in range(self.n_arrays):
            a = &self.memory.arrays[k]
            for b in range(n):
                memcpy(rows + n * a.first_lane + b * a.width, a.data + picked[b] * a.width,
                       8 * a.width)
