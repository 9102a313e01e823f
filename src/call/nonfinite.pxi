# What find_nan() is made from: a program run op by op over every sample, and where the first nan or
# infinity came from. No other call comes here.

from cpython.exc cimport PyErr_CheckSignals

from base.eval cimport MF_DOT
from program.nonfinite cimport (MF_BACKWARD, MF_BAD_INDEX, MF_FORWARD, mf_nonfinite, mf_probe,
                                mf_probe_free, mf_probe_make, mf_probe_run, mf_probe_take,
                                mf_spell, mf_spelled_apart)

cdef dict KINDS_OF_FAULT = {MF_FORWARD: "forward", MF_BACKWARD: "backward", MF_BAD_INDEX: "index"}

Fault = namedtuple("Fault", "kind value sample n_samples operands result share operand gradient",
                   module="micrograd_fast._core")
Fault.__doc__ = """The first instruction of a program that made a nan or an infinity.

kind: "forward"; "backward"; "index", a take's index is out of range; "", results and gradients are
    finite, and value, if there is one, is left unused.
value: of the instruction, or -1; sample: in which one; n_samples: how many have a fault.
operands, result: their numbers. share: backward, what it adds to the adjoint of `operand`, a value.
gradient: the input or captured value whose gradient is not finite for that, or -1."""

cdef Pass spelling = Pass.__new__(Pass)
spelling.rewrite, spelling.__name__ = mf_spell, "spelled"


def spelled_program(Program program not None, bytes apart not None) -> tuple:
    """(The program in the words of the code, by value of this one the value there, 0 of what is
    gone). apart: a byte for each value, 1 of what is a part of nothing."""
    global mf_spelled_apart
    if len(apart) != program.p.code.n:
        raise ValueError("a byte for each value")
    mf_spelled_apart = <const uint8_t *><const char *>apart
    try:
        return spelling.moved(program)
    finally:
        mf_spelled_apart = NULL


@cython.internal
cdef class Probe:
    """The memory of a run op by op."""
    cdef mf_probe probe

    def __dealloc__(self):
        mf_probe_free(&self.probe)


cdef int check_probed(Program program, bytes ranks, bytes captured, bytes uniforms) except -1:
    """The numbers are as many as the program reads, and it is one that tracing makes."""
    cdef int32_t k
    program.verify()
    if (len(ranks) != program.p.code.n * 4 or len(captured) != program.p.n_params * 8
            or len(uniforms) != program.p.n_inputs * 8):
        raise ValueError("the numbers are not those that the program reads")
    for k in range(program.p.code.n):
        if program.p.code.items[k].op == MF_DOT:
            raise ValueError("a program with dots is not as it was traced")
    return 0


cdef int fill_sample(Probe probe, list lanes, Py_ssize_t sample) except -1:
    """The inputs that differ from sample to sample; the others stay."""
    cdef Py_ssize_t first, width
    cdef bytes rows
    for first, width, rows in lanes:
        memcpy(probe.probe.inputs + first, <const char *>rows + 8 * sample * width, 8 * width)
    return 0


def first_fault(Program program not None, bytes ranks not None, bytes captured not None,
                bytes uniforms not None, list lanes not None, Py_ssize_t n_samples) -> Fault:
    """Runs all samples. ranks: int32, by value its place in the order of evaluation. captured,
    uniforms: float64. lanes: (first input, how many, their float64 numbers sample by sample)."""
    cdef Probe probe = Probe.__new__(Probe)
    cdef mf_nonfinite first, found
    cdef Py_ssize_t k, at, width
    check_probed(program, ranks, captured, uniforms)
    for at, width, rows in lanes:
        if at < 0 or width < 0 or at + width > program.p.n_inputs or (
                len(<bytes?>rows) != bytes_of(n_samples, <int32_t>width)):
            raise ValueError("the numbers are not those that the program reads")
    if not mf_probe_make(&probe.probe, &program.p):
        raise MemoryError("no room to run the program op by op")
    probe.probe.rank = <const int32_t *><const char *>ranks
    probe.probe.captured = <const double *><const char *>captured
    memcpy(probe.probe.inputs, <const char *>uniforms, len(uniforms))
    memset(&first, 0, sizeof(first))
    first.value = first.operand = first.gradient = MF_NO_VALUE
    for k in range(n_samples):
        PyErr_CheckSignals()   # this may take its time
        fill_sample(probe, lanes, k)
        with nogil:
            found = mf_probe_run(&probe.probe)
        mf_probe_take(&probe.probe, &first, found, k)
    return fault_of(program, probe, lanes, first)


cdef object fault_of(Program program, Probe probe, list lanes, mf_nonfinite first):
    """What was found with its numbers, for which the sample runs once more."""
    cdef int32_t k, n, operand
    cdef const mf_instruction *i
    cdef tuple operands = ()
    cdef double result = 0.0, share = 0.0
    if first.value >= 0:
        fill_sample(probe, lanes, <Py_ssize_t>first.sample)
        mf_probe_run(&probe.probe)
        i = &program.p.code.items[first.value]
        n = mf_n_operands(i)
        operands = tuple([probe.probe.value[mf_operand(&program.p, i, k)] for k in range(n)])
        result = probe.probe.value[first.value]
        share = probe.probe.adjoint[first.operand] if first.operand >= 0 else 0.0
    return Fault(KINDS_OF_FAULT.get(first.kind, ""), first.value, first.sample, first.n_samples,
                 operands, result, share, first.operand, first.gradient)
