# The executor that compiled functions run on, and the kernels, which optimizers use too.

import time

from run.executor cimport mf_executor, mf_interpreter
from run.kernels cimport mf_choose_kernels, mf_kernels

cdef const mf_kernels *kernels = mf_choose_kernels(NULL)
cdef mf_executor executor = mf_interpreter(kernels)


def kernel_variant() -> str:
    """The instruction set of the lane kernels in use: avx512, avx2 or portable."""
    return (<bytes>kernels.name).decode()


def _multiply_add_rate() -> float:
    """GFLOP/s of multiply-adds in registers with the kernels in use: what the benchmarks show the
    distance to. A multiply-add counts as two operations; takes some 5 ms."""
    cdef Py_ssize_t n = 1000000
    cdef double total
    start = time.perf_counter()
    with nogil:
        total = kernels.multiply_adds(n)
    seconds = time.perf_counter() - start
    return 2e-9 * n * kernels.multiply_adds_a_round / seconds if total > 0.0 else 0.0


def _set_kernel_variant(str name) -> bool:
    """Test hook: use the named variant; False where this machine cannot run it."""
    global kernels, executor
    cdef bytes text = name.encode() if name is not None else b""
    cdef const mf_kernels *chosen = mf_choose_kernels(<char *>text if name is not None else NULL)
    if chosen is NULL:
        return False
    kernels = chosen
    executor = mf_interpreter(chosen)
    return True
