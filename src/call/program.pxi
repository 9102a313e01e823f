# Programs and passes as Python objects. What they are, and do, stands in program/.

from collections import namedtuple

from base.eval cimport (MF_CAPTURED, MF_DETACH, MF_DOT, MF_INPUT, MF_LARGEST, MF_NUMBER, MF_N_OPS,
                        MF_SMALLEST, MF_TAKE, mf_ops)
from base.array cimport mf_ints_add
from program.passes cimport (MF_N_PASSES, mf_named_pass, mf_optimize, mf_pass, mf_passes,
                             mf_rewrite)
from program.program cimport (MF_NO_VALUE, MF_PROGRAM_INSTRUCTION, MF_PROGRAM_NO_MEMORY,
                              MF_PROGRAM_OK, mf_add_arg, mf_emit, mf_emit_number, mf_has_y,
                              mf_instruction, mf_program, mf_program_fault, mf_program_free)

cdef enum:
    SHOWN = 30    # lines of a Program's repr

cdef dict PROGRAM_ONLY = {MF_INPUT: "input", MF_CAPTURED: "captured", MF_NUMBER: "number",
                          MF_DOT: "dot", MF_TAKE: "take", MF_DETACH: "detach",
                          MF_LARGEST: "largest", MF_SMALLEST: "smallest"}

Instruction = namedtuple("Instruction", "op operands position number", defaults=((), None, None),
                         module="micrograd_fast._core")
Instruction.__doc__ = """An instruction of a Program, which computes one value.

op: "input", "captured", "number", "dot", "take", "detach", "largest", "smallest" or a row of OPS.
operands: values by number, that is by the place of the instruction that computes them. Of a dot:
    its bias, if there is one (their number is odd then), and its products two by two. Of a take:
    what it chooses from, then the index.
position: which input, or which of the captured Values; else None.
number: of a "number"; else None."""


cdef str program_op_name(int32_t op):
    if op in PROGRAM_ONLY:
        return PROGRAM_ONLY[op]
    if not 0 <= op < MF_N_OPS:   # of a plan that is not valid
        return f"op {op}"
    return mf_ops[op].name.decode()


cdef class Program:
    """Instructions, their arguments and numbers, and which values are the outputs."""
    cdef mf_program p

    def __cinit__(self, int32_t n_inputs=0):
        self.p.n_inputs = n_inputs

    def __dealloc__(self):
        mf_program_free(&self.p)

    def __len__(self):
        return self.p.code.n

    def __repr__(self):
        n = self.p.code.n
        return f"Program of {n} instruction{'' if n == 1 else 's'}:\n{self.listing(SHOWN)}"

    @property
    def n_inputs(self):
        return self.p.n_inputs

    @property
    def n_params(self):
        return self.p.n_params

    @property
    def outputs(self):
        return tuple([self.p.outputs.items[k] for k in range(self.p.outputs.n)])

    cdef int check_memory(self) except -1:
        if self.p.failed:
            raise MemoryError("no room to compile the function")
        return 0

    cdef int32_t emit(self, int32_t op, int32_t x, int32_t y, int32_t n) except -1:
        """Appends an instruction; the number of its value."""
        cdef int32_t value = mf_emit(&self.p, op, x, y, n)
        if value < 0:
            self.check_memory()
        return value

    cdef int32_t emit_number(self, double number) except -1:
        cdef int32_t value = mf_emit_number(&self.p, number)
        if value < 0:
            self.check_memory()
        return value

    cdef int32_t add_args(self, list values) except -1:
        """Appends to args; where they start."""
        cdef int32_t start = self.p.args.n
        for value in values:
            mf_add_arg(&self.p, value)
        self.check_memory()
        return start

    cdef int add_output(self, int32_t value) except -1:
        mf_ints_add(&self.p.outputs, value, &self.p.failed)
        return self.check_memory()

    def counts(self) -> dict:
        """How many instructions there are of each op."""
        cdef int32_t k
        found = {}
        for k in range(self.p.code.n):
            name = program_op_name(self.p.code.items[k].op)
            found[name] = found.get(name, 0) + 1
        return dict(sorted(found.items()))

    def listing(self, limit=None) -> str:
        """A line an instruction: v3 = mul v1 v2."""
        cdef int32_t k, n = self.p.code.n
        shown = n if limit is None else min(n, limit)
        lines = [self.line(k) for k in range(shown)]
        if shown < n:
            lines.append(f"... {n - shown} more")
        lines.append("return " + ", ".join([f"v{v}" for v in self.outputs]))
        return "\n".join(lines)

    def instructions(self) -> list:
        """The program as data: an Instruction for each value, in order."""
        return [self.instruction(k) for k in range(self.p.code.n)]

    cdef object instruction(self, int32_t k):
        cdef mf_instruction i = self.p.code.items[k]
        cdef const int32_t *args = self.p.args.items
        name = program_op_name(i.op)
        if i.op == MF_NUMBER:
            return Instruction(name, number=self.p.numbers.items[i.x])
        if i.op == MF_INPUT or i.op == MF_CAPTURED:
            return Instruction(name, position=i.x)
        if i.op == MF_TAKE:
            return Instruction(name, integers(args + i.x, i.n) + (i.y,))
        if i.op == MF_LARGEST or i.op == MF_SMALLEST:
            return Instruction(name, integers(args + i.x, i.n))
        if i.op == MF_DOT:
            return Instruction(name, integers(&i.y, i.y >= 0) + integers(args + i.x, 2 * i.n))
        return Instruction(name, integers(&i.x, 1) + integers(&i.y, mf_has_y(i.op)))

    cdef str line(self, int32_t k):
        i = self.instruction(k)
        names = [f"v{x}" for x in i.operands]
        n = len(names)
        if i.op == "number":
            return f"v{k} = {i.number!r}"
        if i.position is not None:
            text = str(i.position)
        elif i.op == "take":
            text = f"[{' '.join(names[:n - 1])}] {names[n - 1]}"
        elif i.op == "largest" or i.op == "smallest":
            text = f"[{' '.join(names)}]"
        elif i.op == "dot":
            first = n % 2   # of the products: behind the bias
            terms = [f"{w}*{x}" for w, x in zip(names[first::2], names[first + 1::2])]
            text = " + ".join(names[:first] + terms)
        else:
            text = " ".join(names)
        return f"v{k} = {i.op} {text}"

    def verify(self) -> None:
        """Raises ValueError where the program is not one that the executor may run."""
        cdef int32_t where = 0
        cdef int fault = mf_program_fault(&self.p, &where)
        if fault == MF_PROGRAM_NO_MEMORY:
            raise MemoryError("no room to verify the program")
        if fault == MF_PROGRAM_INSTRUCTION:
            raise ValueError(f"instruction {where} of the program is not valid")
        if fault != MF_PROGRAM_OK:
            raise ValueError(f"output {self.p.outputs.items[where]} is no value of the program")

    def __reduce__(self):
        cdef const mf_program *p = &self.p
        return _program_from, (
            1, p.n_inputs, p.n_params, list(self.outputs),
            bytes_at(p.code.items, p.code.n * sizeof(mf_instruction)),
            bytes_at(p.args.items, p.args.n * sizeof(int32_t)),
            bytes_at(p.numbers.items, p.numbers.n * sizeof(double)),
        )


cdef tuple integers(const int32_t *items, int32_t n):
    return tuple([items[k] for k in range(n)])


cdef bytes bytes_at(const void *block, size_t n):
    return (<const char *>block)[:n] if n else b""


def _program_from(version, n_inputs, n_params, outputs, bytes code, bytes args, bytes numbers):
    """What pickle calls. Nothing is trusted: the program is verified before anything runs it."""
    cdef Program made = Program(n_inputs)
    cdef mf_program *p = &made.p
    if version != 1:
        raise ValueError(f"the program was saved in format {version!r}, this build reads 1")
    if (len(code) % sizeof(mf_instruction) or len(args) % sizeof(int32_t)
            or len(numbers) % sizeof(double)):
        raise ValueError("the saved program is truncated")
    if not isinstance(outputs, list) or n_inputs < 0 or n_params < 0:
        raise ValueError("the saved program is not valid")
    p.n_params = n_params
    p.code.items = <mf_instruction *>copied(code)
    p.args.items = <int32_t *>copied(args)
    p.numbers.items = <double *>copied(numbers)
    p.code.n = p.code.cap = <int32_t>(len(code) // sizeof(mf_instruction))
    p.args.n = p.args.cap = <int32_t>(len(args) // sizeof(int32_t))
    p.numbers.n = p.numbers.cap = <int32_t>(len(numbers) // sizeof(double))
    for v in outputs:
        if not isinstance(v, int) or not 0 <= v < p.code.n:
            raise ValueError(f"output {v!r} is no value of the program")
        made.add_output(v)
    made.verify()
    return made


cdef void *copied(bytes data) except? NULL:
    cdef void *block
    if not data:
        return NULL
    block = mf_resized(NULL, len(data), 1)
    if block is NULL:
        raise MemoryError("no room for the program")
    memcpy(block, <char *>data, len(data))
    return block


@cython.internal
cdef class Pass:
    """A function that makes another program of one, which computes the same."""
    cdef mf_pass *rewrite
    cdef readonly str __name__

    def __call__(self, Program program not None) -> Program:
        cdef Program made = Program()
        mf_rewrite(&program.p, self.rewrite, &made.p, NULL)
        made.check_memory()
        return made

    def moved(self, Program program not None) -> tuple:
        """(other program, by value of this one the value there, 0 of what is gone)"""
        cdef Program made = Program()
        cdef bytearray values = bytearray(4 * program.p.code.n)
        cdef int32_t *moved = <int32_t *><char *>values
        mf_rewrite(&program.p, self.rewrite, &made.p, moved)
        made.check_memory()
        return made, list(integers(moved, program.p.code.n))


cdef Pass pass_of(const mf_named_pass *named):
    cdef Pass made = Pass.__new__(Pass)
    made.rewrite = named.rewrite
    made.__name__ = named.name.decode()
    return made


PASSES = tuple([pass_of(&mf_passes[k]) for k in range(MF_N_PASSES)])


def optimized(Program program not None) -> Program:
    """All passes, in order."""
    cdef Program made = Program()
    mf_optimize(&program.p, &made.p)
    made.check_memory()
    return made
