# A call of a compiled function, in three parts: the arguments that it took (arguments.pxi), a run
# of the plan (run.pxi), and the way of its gradients back into the graph (gradient.pxi) or to
# arrays (numbers.pxi).

from cpython.bytearray cimport PyByteArray_FromStringAndSize

cdef enum:   # what a call is wanted for: Wanted in arguments.py
    WANTED_RESULTS, WANTED_NUMBERS, WANTED_ARRAYS, WANTED_PARAMS, N_WANTED


cdef object call_results(Specialization specialization, Arguments arguments, bint grad):
    """What the function would return, for arguments that were read."""
    cdef int32_t n_outputs = specialization.plan.plan.n_outputs
    cdef Gradient gradient = None
    cdef bytearray outputs
    if grad:
        gradient = Gradient.__new__(Gradient)
        gradient.specialization = specialization
        gradient.arguments = arguments
        gradient.fused = n_outputs == 1 and arguments.upstream is None
    if specialization.batch:
        outputs = PyByteArray_FromStringAndSize(NULL, bytes_of(arguments.n_samples, n_outputs))
        fill_outputs(gradient, specialization, arguments, <double *><char *>outputs)
        return batch_of(gradient, outputs, arguments.n_samples, n_outputs, specialization.rebuild)
    fill_outputs(gradient, specialization, arguments, arguments.memory.outputs)
    return values_of(specialization, arguments, gradient)


cdef int fill_outputs(Gradient gradient, Specialization specialization, Arguments arguments,
                      double *outputs) except -1:
    """The run of a call, and what of it the gradient keeps; None: nothing."""
    cdef plan_run run
    cdef bint fused = gradient is not None and gradient.fused
    first_run(specialization, arguments, &run, outputs, fused, NULL)
    if run.is_open:
        gradient.deferred = deferred_run(&run, arguments.plan_memory)
    return 0


cdef object values_of(Specialization specialization, Arguments arguments, Gradient gradient):
    """The results of a call that is not batched."""
    cdef const double *outputs = arguments.memory.outputs
    cdef int32_t k, n_outputs = specialization.plan.plan.n_outputs
    cdef list values, pullbacks
    if gradient is None:
        values = [leaf_value(outputs[k]) for k in range(n_outputs)]
    elif gradient.fused:
        values = [result_value(gradient, gradient.operands(0), outputs[0], 0, -1, 1.0)]
    else:
        pullbacks = new_pullbacks(gradient)
        values = [result_value(gradient, operands_under(gradient, pullbacks, k), outputs[k], k, -1,
                               1.0) for k in range(n_outputs)]
    return values[0] if specialization.rebuild is None else specialization.rebuild(values)


cdef list operands_under(Gradient gradient, list pullbacks, int32_t output):
    """Of the node of a result."""
    cdef int32_t group = gradient.group(output)
    if pullbacks[group] is not None:
        return [pullbacks[group]]
    return gradient.operands_of(gradient.group_reached(group))


cdef object results_as(int wanted, Specialization specialization, Arguments arguments,
                       object params, bint grad):
    """What a call was wanted for, from arguments that were read. params: of WANTED_PARAMS; of
    WANTED_NUMBERS the array that is to be filled."""
    if wanted == WANTED_RESULTS:
        return call_results(specialization, arguments, grad)
    if wanted == WANTED_NUMBERS:
        return results_as_numbers(specialization, arguments, params)
    return value_and_gradient(specialization, arguments, params)
