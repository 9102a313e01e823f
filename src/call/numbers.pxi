# A call for its numbers alone: values and gradients without a graph.


def run_for_numbers(Specialization specialization not None, tuple args not None,
                    dict kwargs not None, list leaves=None, bint backward=True):
    """(outputs, gradients) as numbers. Outputs are a block of float64.

    With leaves, Values, the gradients are theirs; without, they are (those of the inputs, a block
    of float64 for each array of a batched function that asked for its own). They are those of the
    sum of the one output; with backward=False they are None. Instead of all that, None for
    arguments that do not fit, and where what the trace read has changed.
    Raises IndexError for a bad index of take, ValueError for a leaf that the function uses through
    the result of an op.
    """
    cdef Arguments arguments = specialization.read(args, kwargs, False)
    cdef int32_t n_outputs = specialization.plan.plan.n_outputs
    cdef bytearray outputs, columns = None
    cdef plan_run run
    if arguments is None or specialization.is_stale():
        return None
    if backward and n_outputs != 1:
        raise TypeError("only a function of one result has a gradient")
    outputs = bytearray(bytes_of(arguments.n_samples, n_outputs))
    if backward and leaves is None:
        columns = bytearray(bytes_of(arguments.n_samples, specialization.memory.n_lanes))
    first_run(specialization, arguments, &run, <double *><char *>outputs, backward,
              <double *><char *>columns if columns is not None else NULL)
    if not backward:
        return outputs, None
    if leaves is not None:
        return outputs, leaf_gradients(specialization, arguments, leaves)
    return outputs, (input_gradients(arguments), wanted_columns(arguments, columns))


cdef list input_gradients(Arguments arguments):
    """Per input its gradient, 0 for columns."""
    cdef const int32_t *slots = arguments.plan.plan.input_slots
    cdef const double *grads = arguments.memory.grads
    cdef int32_t k, n = arguments.plan.plan.n_inputs
    return [grads[~slots[k]] if slots[k] != MF_NO_SLOT and slots[k] < 0 else 0.0
            for k in range(n)]


cdef list leaf_gradients(Specialization specialization, Arguments arguments, list leaves):
    """Those of leaf Values. Raises ValueError where the call read a result of an op that depends on
    one: nothing is known of the way from there."""
    cdef const double *grads = arguments.memory.grads
    cdef list values = arguments.values
    cdef dict found = {(<Value?>v).id: 0.0 for v in leaves}
    cdef int32_t k, id
    cdef set behind = set()
    for id, slot in specialization.reads.pairs():
        if id in found:
            found[id] += grads[<int32_t>slot]
    for k in range(<int32_t>len(values or ())):
        id = (<Value>values[k]).id
        if id in found:
            found[id] += grads[arguments.memory.value_slots[k]]
    for v in operands_reached(specialization.depends().of(0), values):
        behind |= ids_under((<Value>v).id)
    for k, v in enumerate(leaves):
        if (<Value>v).id in behind:
            raise ValueError(
                f"value_and_grad: params[{k}] is used through the result of an op that ran "
                "before: compute that inside the compiled function, or use backward()")
    return [found[(<Value>v).id] for v in leaves]


cdef list wanted_columns(Arguments arguments, bytearray column_grads):
    """The parts of column_grads whose arrays asked for them."""
    cdef list found = []
    cdef const array_argument *a
    cdef int32_t k
    cdef Py_ssize_t start
    for k in range(arguments.n_arrays):
        a = &arguments.memory.arrays[k]
        start = 8 * arguments.n_samples * a.first_lane
        if a.wants:
            found.append(memoryview(column_grads)[start:start + 8 * arguments.n_samples * a.width])
    return found
