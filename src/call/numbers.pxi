# A call for its numbers alone: values and gradients as arrays, without a graph.

from engine.modes cimport mf_anomaly_here, mf_n_modes


cdef object results_as_numbers(Specialization specialization, Arguments arguments,
                               object out=None):
    """The data of the Batch in a batched call. In another one the function's structure with a float
    for each Value, and arrays for lists of Values. out: an array of float64 that is filled in a
    batched call, with as many numbers in C's order."""
    cdef int32_t n_outputs = specialization.plan.plan.n_outputs
    cdef Py_ssize_t n = arguments.n_samples
    cdef tuple shape = specialization.shape
    cdef double *outputs = arguments.memory.outputs
    cdef plan_run run
    if specialization.batch:
        shape = (n, n_outputs)
        if specialization.rebuild is None and n_outputs == 1:
            shape = (n,)
    elif shape is None:
        if specialization.with_arrays is None:
            specialization.find_form()
        shape = specialization.shape if specialization.shape is not None else (n_outputs,)
    if out is not None:
        outputs = to_be_filled(out, shape)
        first_run(specialization, arguments, &run, outputs, False, NULL)
        return out
    if not shape:
        first_run(specialization, arguments, &run, outputs, False, NULL)
        return outputs[0]
    array = new_array(shape, &outputs)
    first_run(specialization, arguments, &run, outputs, False, NULL)
    if specialization.batch or specialization.with_arrays is None:
        return array
    return specialization.with_arrays(array)


cdef object value_and_gradient(Specialization specialization, Arguments arguments, object params):
    """(value, gradient) of a function of one result, whose arguments were read for that.

    params: a list of leaf Values, whose gradient it is; None: it is that of the arrays.
    Raises IndexError for a bad index of take; for params what check_leaves and check_direct raise.
    """
    if specialization.plan.plan.n_outputs != 1:
        raise TypeError("value_and_grad: only a function of one result has a gradient")
    if params is not None:
        made = of_params(specialization, arguments, params)
    elif specialization.batch:
        made = of_rows(specialization, arguments)
    else:
        made = of_first_array(specialization, arguments)
    if mf_n_modes and mf_anomaly_here():
        check_gradients(specialization, made[1])
    return made


cdef int check_gradients(Specialization specialization, object gradients) except -1:
    """In detect_anomaly: raises AnomalyError where a number of an array, or of several, is not
    finite."""
    import numpy

    for gradient in gradients if isinstance(gradients, tuple) else (gradients,):
        for number in gradient[~numpy.isfinite(gradient)].tolist():
            raise_of_call("backward", specialization, number, -1)
    return 0


cdef object of_first_array(Specialization specialization, Arguments arguments):
    """A float, and the gradient of the first argument, an array, in its shape."""
    cdef ArrayKind kind = <ArrayKind?>specialization.signature.args[0]
    cdef const int32_t *slots = specialization.plan.plan.input_slots
    cdef const double *grads = arguments.memory.grads
    cdef double *gradient
    cdef plan_run run
    cdef Py_ssize_t k
    array = new_array(kind.shape, &gradient)
    first_run(specialization, arguments, &run, arguments.memory.outputs, True, NULL)
    for k in range(kind.size):
        gradient[k] = grads[~slots[k]] if slots[k] != MF_NO_SLOT else 0.0
    return arguments.memory.outputs[0], array


cdef object of_rows(Specialization specialization, Arguments arguments):
    """One value a sample, and sample by sample the gradient of each array that it is wanted of, the
    first ones: an array, or a tuple of several."""
    cdef Py_ssize_t n = arguments.n_samples, first = 0
    cdef list shapes = specialization.signature.inputs.wanted
    cdef bint one = arguments.n_arrays == 1
    cdef Py_ssize_t n_numbers = bytes_of(n, specialization.memory.n_lanes) // 8
    cdef list gradients = []
    cdef double *outputs
    cdef double *columns
    cdef plan_run run
    cdef int32_t k
    values = new_array((n,), &outputs)
    if one:
        block = new_array((n, *<tuple>shapes[0]), &columns)
    else:
        block = new_array((n_numbers,), &columns)
    memset(columns, 0, 8 * <size_t>n_numbers)
    first_run(specialization, arguments, &run, outputs, True, columns)
    if one:
        return values, block
    for k in range(<int32_t>len(shapes)):
        gradients.append(part_of(block, (n, *<tuple>shapes[k]), first))
        first += 8 * n * arguments.memory.arrays[k].width
    return values, gradients[0] if len(gradients) == 1 else tuple(gradients)


cdef object of_params(Specialization specialization, Arguments arguments, object params):
    """The mean over the samples, and its gradient by leaf Values. As the mean of a Batch, to the
    last bit."""
    cdef ParamGradient places = param_gradient(specialization, params)
    cdef Py_ssize_t n = arguments.n_samples
    cdef double *gradient
    cdef double *outputs = arguments.memory.outputs
    cdef plan_run run
    arguments.at_once = places.deferred is not None
    array = new_array((len(places.leaves),), &gradient)
    if specialization.batch:
        values = new_array((n,), &outputs)
    first_run(specialization, arguments, &run, outputs, True, NULL)
    places.read(1.0 / n if n else 1.0, arguments, &run, gradient)
    check_direct(specialization, arguments, places.leaves)
    return row_sum(outputs, n, 1) / n if n else NAN, array


cdef int check_direct(Specialization specialization, Arguments arguments, tuple leaves) except -1:
    """Raises ValueError where the call read a result of an op that depends on one of the leaves:
    nothing is known of the way from there."""
    cdef list operands = operands_reached(specialization.depends().of(0), arguments.values)
    cdef set behind = set()
    if not operands:
        return 0
    for v in operands:
        behind |= ids_under((<Value>v).id)
    for k, v in enumerate(leaves):
        if (<Value>v).id in behind:
            raise ValueError(
                f"value_and_grad: params[{k}] is used through the result of an op that ran "
                "before: compute that inside the compiled function, or use backward()")
    return 0


def _numbers(Specialization specialization not None, tuple args not None, dict kwargs not None,
             params=None, bint gradient=False):
    """Test hook: a call of one trace. None for arguments that do not fit. Its numbers, in order, or
    value and gradient."""
    cdef Arguments arguments = specialization.read(args, kwargs, False)
    if arguments is None:
        return None
    if gradient:
        return value_and_gradient(specialization, arguments, params)
    return results_as_numbers(specialization, arguments)
