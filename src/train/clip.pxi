# What is done to the grads of many parameters between backward() and a step: norm and limits.
# A parameter that is frozen or has no gradient is left out.

from libc.math cimport fabs, isinf, pow as c_pow

from base.absent cimport mf_is_absent

cdef list taking_part(list parameters):
    """Those with a gradient, after all grads were read once: what raises does so before changes."""
    cdef list found = []
    for p in parameters:
        if is_plain(p):
            if not is_frozen(<Value>p) and not mf_is_absent(store.grad[(<Value>p).id]):
                found.append(p)
        elif getattr(p, "requires_grad", True) and p.grad is not None:
            as_number(p.grad, "grad")
            found.append(p)
    return found


cdef inline double grad_of(object p) except? -1.0:
    return store.grad[(<Value>p).id] if is_plain(p) else as_number(p.grad, "grad")


cdef inline int set_grad(object p, double number) except -1:
    if is_plain(p):
        store.grad[(<Value>p).id] = number
    else:
        p.grad = number
    return 0


def grad_norm(list parameters not None, double order) -> float:
    """The norm of that order of all grads as one vector, as torch.linalg.vector_norm; 0 for none.

    Raises TypeError for what has no grad that is a number.
    """
    cdef double size, total = 0.0, lost = 0.0, sum
    cdef list found = taking_part(parameters)
    if not found:
        return 0.0
    if isinf(order):
        total = fabs(grad_of(found[0]))
        for p in found:
            size = fabs(grad_of(p))
            # nan stays
            if size != size or (size > total if order > 0 else size < total):
                total = size
            if total != total:
                break
        return total
    for p in found:
        size = fabs(grad_of(p))
        if order == 2.0:
            size *= size
        elif order != 1.0:
            size = c_pow(size, order) if order != 0.0 else <double>(size != 0.0)
        # Kahan's: the sum of a hundred thousand squares is as good as that of ten.
        size -= lost
        sum = total + size
        lost = sum - total - size if not isinf(sum) else 0.0
        total = sum
    if order == 2.0:
        return sqrt(total)
    return total if order in (0.0, 1.0) else c_pow(total, 1.0 / order)


def scale_grads(list parameters not None, double factor) -> None:
    """p.grad *= factor for each."""
    for p in taking_part(parameters):
        set_grad(p, grad_of(p) * factor)


def clamp_grads(list parameters not None, double limit) -> None:
    """Each grad within [-limit, limit]; nan stays."""
    cdef double g
    for p in taking_part(parameters):
        g = grad_of(p)
        if fabs(g) > limit:
            set_grad(p, limit if g > 0.0 else -limit)
