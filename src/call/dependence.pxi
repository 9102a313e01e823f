# Which of a call's operands each output's gradient can reach: backward() walks no others, so what
# stands in their grads from before is not passed on again.

from base.eval cimport MF_CAPTURED, MF_DETACH, MF_INPUT, MF_LEAF, MF_TAKE
from engine.node cimport MF_F_HOOK
from program.program cimport mf_instruction, mf_n_operands, mf_operand, mf_program


@cython.internal
cdef class Reached:
    """What some outputs depend on, of all whose backward has a step to run."""
    cdef list captured   # Values
    cdef list values     # places among a call's Value arguments
    cdef list columns    # (array, its columns) of the arguments that are Batches


@cython.internal
cdef class Dependence:
    """Of the outputs of one trace; those that depend on the same are a group."""
    cdef list captured   # the captured Values that have a step
    cdef list groups     # a Reached each
    cdef list group_of   # by output
    cdef list sizes      # by group: of how many outputs it is

    cdef inline Reached of(self, int32_t output):
        return <Reached>self.groups[<int32_t>self.group_of[output]]


cdef inline bint has_step(int32_t id) noexcept nogil:
    """Whether backward has more to do at a node than to add to its grad."""
    return store.nodes[id].op != MF_LEAF or store.nodes[id].flags & MF_F_HOOK


cdef list operands_reached(Reached reached, list values):
    """The captured Values, and Value arguments of a call, that have a step."""
    if values is None:
        return reached.captured
    return reached.captured + [values[k] for k in reached.values
                               if has_step((<Value>values[k]).id)]


cdef Dependence dependence_of(Program program, tuple captured, list with_steps, list value_inputs,
                              list batch_inputs):
    """with_steps: the captured Values that have a step; value_inputs: the inputs that
    are Values; batch_inputs: (array, first input, width) of the arguments that are Batches."""
    cdef Dependence found = Dependence.__new__(Dependence)
    cdef dict places = {}   # group by what it depends on
    cdef int32_t k, width, first, array
    cdef list items = [(0, v, 0) for v in with_steps]
    items += [(1, k, input) for k, input in enumerate(value_inputs)]
    for array, first, width in batch_inputs:
        items += [(2, (array, k), first + k) for k in range(width)]
    found.captured = with_steps
    found.groups, found.group_of, found.sizes = [], [], []
    for mask in masks_of(&program.p, captured, items):
        if mask not in places:
            places[mask] = len(found.groups)
            found.groups.append(reached_by(mask, items))
            found.sizes.append(0)
        found.group_of.append(places[mask])
        found.sizes[places[mask]] += 1
    return found


cdef Reached reached_by(object mask, list items):
    """Those of the items whose bit is set."""
    cdef Reached reached = Reached.__new__(Reached)
    cdef dict columns = {}
    reached.captured, reached.values = [], []
    for k, (kind, item, _) in enumerate(items):
        if not mask >> k & 1:
            continue
        if kind == 0:
            reached.captured.append(item)
        elif kind == 1:
            reached.values.append(item)
        else:
            columns.setdefault(item[0], []).append(item[1])
    reached.columns = list(columns.items())
    return reached


cdef list masks_of(const mf_program *p, tuple captured, list items):
    """Per output an int with bit k set where its gradient can reach items[k]."""
    cdef list masks = [0] * p.outputs.n
    cdef dict bits = {(<Value>item).id: k for k, (kind, item, _) in enumerate(items) if kind == 0}
    cdef int32_t k, j, start
    cdef int32_t *bit
    cdef uint64_t *reach = NULL
    if not items:
        return masks
    bit = <int32_t *>some_memory(<uint64_t>p.n_inputs + p.n_params, sizeof(int32_t))
    try:
        for k in range(p.n_inputs + p.n_params):
            bit[k] = -1
        for k, (kind, _, input) in enumerate(items):
            if kind and <int32_t>input < p.n_inputs:
                bit[<int32_t>input] = k
        for k in range(p.n_params):
            bit[p.n_inputs + k] = bits.get((<Value>captured[k]).id, -1)
        reach = <uint64_t *>some_memory(p.code.n, sizeof(uint64_t))
        for start in range(0, <int32_t>len(items), 64):
            find_reach(p, bit, start, reach)
            for j in range(p.outputs.n):
                masks[j] |= <object>reach[p.outputs.items[j]] << start
    finally:
        free(bit)
        free(reach)
    return masks


cdef void find_reach(const mf_program *p, const int32_t *bit, int32_t start,
                     uint64_t *reach) noexcept:
    """What each value of the program depends on, of the 64 items from start on. As in eager code
    detach() and the index of take() lead nowhere."""
    cdef const mf_instruction *i
    cdef int32_t k, j, place
    for k in range(p.code.n):
        i = &p.code.items[k]
        reach[k] = 0
        if i.op == MF_INPUT or i.op == MF_CAPTURED:
            place = bit[i.x + (p.n_inputs if i.op == MF_CAPTURED else 0)] - start
            if 0 <= place < 64:
                reach[k] = <uint64_t>1 << place
        elif i.op != MF_DETACH:   # numbers have no operands
            for j in range(1 if i.op == MF_TAKE else 0, mf_n_operands(i)):
                reach[k] |= reach[mf_operand(p, i, j)]
