# A Program: what a traced function computes, as plain data.
#
# A list of instructions in static single assignment: instruction k computes value k from values
# with smaller numbers. MF_INPUT x: the x-th input; MF_CAPTURED x: the x-th captured node;
# MF_NUMBER x: numbers[x]; ops of the table: operands x and y; MF_TAKE x, y, n: args[x : x+n] chosen
# by value y; MF_LARGEST and MF_SMALLEST x, n: of args[x : x+n]; MF_DOT x, y, n: value y (or none)
# and the n products args[x]*args[x+1] + ...

from base.eval cimport (MF_CAPTURED, MF_DETACH, MF_DOT, MF_FIRST_OP, MF_INPUT, MF_LARGEST,
                        MF_NUMBER, MF_N_OPS, MF_SMALLEST, MF_TAKE, MF_UNARY, mf_ops)
from base.memory cimport mf_resized
from engine.node cimport MF_NONE

cdef struct instruction:
    int32_t op
    int32_t x
    int32_t y
    int32_t n

cdef dict PROGRAM_ONLY = {MF_INPUT: "input", MF_CAPTURED: "captured", MF_NUMBER: "number",
                          MF_DOT: "dot", MF_TAKE: "take", MF_DETACH: "detach",
                          MF_LARGEST: "largest", MF_SMALLEST: "smallest"}


cdef str program_op_name(int32_t op):
    if op in PROGRAM_ONLY:
        return PROGRAM_ONLY[op]
    if not 0 <= op < MF_N_OPS:   # of a plan that is not valid
        return f"op {op}"
    return mf_ops[op].name.decode()


cdef inline bint has_y(int32_t op) noexcept nogil:
    return MF_FIRST_OP <= op < MF_N_OPS and mf_ops[op].kind != MF_UNARY


cdef inline bint has_args(int32_t op) noexcept nogil:
    """Whether the operands are args of the program, from x on."""
    return op == MF_DOT or op == MF_TAKE or op == MF_LARGEST or op == MF_SMALLEST


cdef inline int32_t n_args(const instruction *i) noexcept nogil:
    """How many of the program's args belong to an instruction."""
    return (2 if i.op == MF_DOT else 1) * i.n if has_args(i.op) else 0


cdef class Program


cdef inline int32_t n_operands(const instruction *i) noexcept:
    if has_args(i.op):
        return n_args(i) + (i.y >= 0)
    if i.op == MF_INPUT or i.op == MF_CAPTURED or i.op == MF_NUMBER:
        return 0
    return 1 + has_y(i.op)


cdef inline int32_t operand(Program p, const instruction *i, int32_t j) noexcept:
    """Operand j of an instruction; a bias or an index comes first."""
    if has_args(i.op):
        if i.y < 0:
            return p.args[i.x + j]
        return i.y if j == 0 else p.args[i.x + j - 1]
    return i.x if j == 0 else i.y


cdef class Program:
    """Instructions, their arguments and numbers, and which values are the outputs."""
    cdef instruction *code
    cdef int32_t n_code, cap_code
    cdef int32_t *args
    cdef int32_t n_args, cap_args
    cdef double *numbers
    cdef int32_t n_numbers, cap_numbers
    cdef readonly int32_t n_inputs
    cdef readonly int32_t n_params
    cdef readonly tuple outputs

    def __cinit__(self, int32_t n_inputs=0):
        self.n_inputs = n_inputs
        self.outputs = ()

    def __dealloc__(self):
        free(self.code)
        free(self.args)
        free(self.numbers)

    def __len__(self):
        return self.n_code

    cdef int32_t emit(self, int32_t op, int32_t x, int32_t y, int32_t n) except -1:
        """Appends an instruction; the number of its value."""
        cdef instruction *i
        if self.n_code == self.cap_code:
            self.code = <instruction *>grown(self.code, &self.cap_code, sizeof(instruction))
        i = &self.code[self.n_code]
        i.op = op
        i.x = x
        i.y = y
        i.n = n
        self.n_code += 1
        return self.n_code - 1

    cdef int reserve(self, int32_t code, int32_t args) except -1:
        """Room for so many instructions and args in a program that is empty."""
        while self.cap_code < code:
            self.code = <instruction *>grown(self.code, &self.cap_code, sizeof(instruction))
        while self.cap_args < args:
            self.args = <int32_t *>grown(self.args, &self.cap_args, sizeof(int32_t))
        return 0

    cdef int32_t emit_number(self, double number) except -1:
        if self.n_numbers == self.cap_numbers:
            self.numbers = <double *>grown(self.numbers, &self.cap_numbers, sizeof(double))
        self.numbers[self.n_numbers] = number
        self.n_numbers += 1
        return self.emit(MF_NUMBER, self.n_numbers - 1, MF_NONE, 0)

    cdef int32_t add_arg(self, int32_t value) except -1:
        if self.n_args == self.cap_args:
            self.args = <int32_t *>grown(self.args, &self.cap_args, sizeof(int32_t))
        self.args[self.n_args] = value
        self.n_args += 1
        return self.n_args - 1

    cdef int32_t add_args(self, list values) except -1:
        """Appends to args; where they start."""
        cdef int32_t start = self.n_args
        for value in values:
            self.add_arg(value)
        return start

    def counts(self) -> dict:
        """How many instructions there are of each op."""
        cdef int32_t k
        found = {}
        for k in range(self.n_code):
            name = program_op_name(self.code[k].op)
            found[name] = found.get(name, 0) + 1
        return dict(sorted(found.items()))

    def listing(self, limit=None) -> str:
        """A line an instruction: v3 = mul v1 v2."""
        cdef int32_t k, n = self.n_code
        shown = n if limit is None else min(n, limit)
        lines = [self.line(k) for k in range(shown)]
        if shown < n:
            lines.append(f"... {n - shown} more")
        lines.append("return " + ", ".join(f"v{v}" for v in self.outputs))
        return "\n".join(lines)

    cdef str line(self, int32_t k):
        cdef instruction i = self.code[k]
        cdef int32_t j
        name = program_op_name(i.op)
        if i.op == MF_NUMBER:
            return f"v{k} = {self.numbers[i.x]!r}"
        if i.op == MF_INPUT or i.op == MF_CAPTURED:
            return f"v{k} = {name} {i.x}"
        if i.op == MF_TAKE or i.op == MF_LARGEST or i.op == MF_SMALLEST:
            choices = " ".join(f"v{self.args[i.x + j]}" for j in range(i.n))
            return f"v{k} = {name} [{choices}]" + (f" v{i.y}" if i.op == MF_TAKE else "")
        if i.op == MF_DOT:
            terms = [f"v{self.args[i.x + 2 * j]}*v{self.args[i.x + 2 * j + 1]}" for j in range(i.n)]
            return f"v{k} = dot " + " + ".join(([f"v{i.y}"] if i.y >= 0 else []) + terms)
        return f"v{k} = {name} v{i.x}" + (f" v{i.y}" if has_y(i.op) else "")

    def verify(self) -> None:
        """Raises ValueError where the program is not one that the executor may run."""
        cdef int32_t k, j, n_used
        cdef instruction i
        cdef bytearray given_block = bytearray(self.n_inputs + self.n_params)
        cdef char *given = <char *>given_block   # what is given is read once
        cdef int32_t which
        for k in range(self.n_code):
            i = self.code[k]
            if i.op == MF_INPUT or i.op == MF_CAPTURED:
                valid = 0 <= i.x < (self.n_inputs if i.op == MF_INPUT else self.n_params)
                which = i.x + (self.n_inputs if i.op == MF_CAPTURED else 0)
                valid = valid and not given[which]
                if valid:
                    given[which] = True
            elif i.op == MF_NUMBER:
                valid = 0 <= i.x < self.n_numbers
            elif has_args(i.op):
                n_used = n_args(&i)
                valid = (0 < i.n <= self.n_args and 0 <= i.x <= self.n_args - n_used
                         and (0 <= i.y < k or (i.op != MF_TAKE and i.y == MF_NONE))
                         and (i.y == MF_NONE or i.op == MF_TAKE or i.op == MF_DOT))
                for j in range(n_used if valid else 0):
                    valid = valid and 0 <= self.args[i.x + j] < k
            elif i.op == MF_DETACH or MF_FIRST_OP <= i.op < MF_N_OPS:
                valid = 0 <= i.x < k and (not has_y(i.op) or 0 <= i.y < k)
            else:
                valid = False
            if not valid:
                raise ValueError(f"instruction {k} of the program is not valid")
        for v in self.outputs:
            if not isinstance(v, int) or not 0 <= v < self.n_code:
                raise ValueError(f"output {v!r} is no value of the program")

    def __reduce__(self):
        return _program_from, (
            1, self.n_inputs, self.n_params, list(self.outputs),
            (<char *>self.code)[: self.n_code * sizeof(instruction)] if self.n_code else b"",
            (<char *>self.args)[: self.n_args * sizeof(int32_t)] if self.n_args else b"",
            (<char *>self.numbers)[: self.n_numbers * sizeof(double)] if self.n_numbers else b"",
        )


def _program_from(version, n_inputs, n_params, outputs, bytes code, bytes args, bytes numbers):
    """What pickle calls. Nothing is trusted: the program is verified before anything runs it."""
    cdef Program p = Program(n_inputs)
    if version != 1:
        raise ValueError(f"the program was saved in format {version!r}, this build reads 1")
    if (len(code) % sizeof(instruction) or len(args) % sizeof(int32_t)
            or len(numbers) % sizeof(double)):
        raise ValueError("the saved program is truncated")
    if not isinstance(outputs, list) or n_inputs < 0 or n_params < 0:
        raise ValueError("the saved program is not valid")
    p.n_params = n_params
    p.outputs = tuple(outputs)
    p.code = <instruction *>copied(code)
    p.args = <int32_t *>copied(args)
    p.numbers = <double *>copied(numbers)
    p.n_code = p.cap_code = <int32_t>(len(code) // sizeof(instruction))
    p.n_args = p.cap_args = <int32_t>(len(args) // sizeof(int32_t))
    p.n_numbers = p.cap_numbers = <int32_t>(len(numbers) // sizeof(double))
    p.verify()
    return p


cdef void *copied(bytes data) except? NULL:
    cdef void *block
    if not data:
        return NULL
    block = mf_resized(NULL, len(data), 1)
    if block is NULL:
        raise MemoryError("no room for the program")
    memcpy(block, <char *>data, len(data))
    return block
