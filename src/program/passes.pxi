# Passes: each takes a Program and returns another that computes the same.
#
# A pass walks the instructions once and emits them again, rewritten; `moved` maps old values to new
# ones. A new pass is one function here and a line in PASSES. Agreement is to 1e-12: x * y**-1
# becomes x / y, which differs from it in the last bit.

from base.eval cimport (MF_ADD, MF_CAPTURED, MF_DETACH, MF_DIV, MF_DOT, MF_FIRST_OP, MF_INPUT,
                        MF_MUL, MF_NEG, MF_NUMBER, MF_N_OPS, MF_POW, MF_SQRT, MF_SQUARE, MF_SUB,
                        MF_VPOW, mf_forward)
from base.hash cimport mf_mix
from base.memory cimport mf_resized
from engine.node cimport MF_NONE


@cython.internal
cdef class Rewriting:
    """A program being rewritten into another one."""
    cdef Program old
    cdef Program new
    cdef int32_t *moved

    def __cinit__(self, Program old):
        self.old = old
        self.new = Program(old.n_inputs)
        self.new.n_params = old.n_params
        self.new.reserve(old.n_code, old.n_args)
        self.moved = <int32_t *>mf_resized(NULL, <uint64_t>old.n_code + 1, sizeof(int32_t))
        if self.moved is NULL:
            raise MemoryError("no room to compile the function")

    def __dealloc__(self):
        free(self.moved)

    cdef int32_t copy(self, int32_t k) except -1:
        """Emits instruction k as it is, over moved operands."""
        cdef instruction i = self.old.code[k]
        cdef int32_t j, start, n
        if i.op == MF_NUMBER:
            return self.new.emit_number(self.old.numbers[i.x])
        if i.op == MF_INPUT or i.op == MF_CAPTURED:
            return self.new.emit(i.op, i.x, MF_NONE, 0)
        if has_args(i.op):
            n = n_args(&i)
            start = self.new.n_args
            for j in range(n):
                self.new.add_arg(self.moved[self.old.args[i.x + j]])
            return self.new.emit(i.op, start, self.moved[i.y] if i.y >= 0 else MF_NONE, i.n)
        return self.new.emit(i.op, self.moved[i.x], self.moved[i.y] if has_y(i.op) else MF_NONE, 0)

    cdef Program finish(self):
        self.new.outputs = tuple([self.moved[v] for v in self.old.outputs])
        return self.new

    cdef inline bint is_number(self, int32_t value, double *number) noexcept:
        """Whether a new value is a number, and which."""
        if value < 0 or self.new.code[value].op != MF_NUMBER:
            return False
        number[0] = self.new.numbers[self.new.code[value].x]
        return True


cdef inline bint is_neutral(int32_t op, double number) noexcept:
    """Whether x op number, and for ADD and MUL number op x, is x."""
    if op == MF_ADD:
        return number == 0.0
    return number == 1.0 and (op == MF_MUL or op == MF_POW or op == MF_VPOW)


def fold_constants(Program program not None) -> Program:
    """Ops on numbers become numbers; x * 1, x**1 and x + 0 become x, x**0 becomes 1."""
    cdef Rewriting r = Rewriting(program)
    cdef instruction i
    cdef int32_t k, x, y
    cdef double a = 0.0, b = 0.0, z = 0.0
    cdef bint x_known, y_known
    for k in range(program.n_code):
        i = program.code[k]
        if MF_FIRST_OP <= i.op < MF_N_OPS:
            x = r.moved[i.x]
            y = r.moved[i.y] if has_y(i.op) else MF_NONE
            x_known = r.is_number(x, &a)
            y_known = r.is_number(y, &b)
            if x_known and (y_known or y < 0):
                mf_forward(i.op, a, b, &z)
                r.moved[k] = r.new.emit_number(z)
                continue
            if y_known and is_neutral(i.op, b):
                r.moved[k] = x
                continue
            if x_known and is_neutral(i.op, a) and (i.op == MF_ADD or i.op == MF_MUL):
                r.moved[k] = y
                continue
            if y_known and b == 0.0 and (i.op == MF_POW or i.op == MF_VPOW):
                r.moved[k] = r.new.emit_number(1.0)
                continue
        r.moved[k] = r.copy(k)
    return r.finish()


cdef int32_t reduced_power(Rewriting r, int32_t x, double exponent) except -2:
    """x**exponent by cheaper ops; MF_NONE where there are none."""
    if exponent == 2.0:
        return r.new.emit(MF_SQUARE, x, MF_NONE, 0)
    if exponent == 3.0:
        return r.new.emit(MF_MUL, r.new.emit(MF_SQUARE, x, MF_NONE, 0), x, 0)
    if exponent == 0.5:
        return r.new.emit(MF_SQRT, x, MF_NONE, 0)
    if exponent == -1.0:
        return r.new.emit(MF_DIV, r.new.emit_number(1.0), x, 0)
    return MF_NONE


def reduce_strength(Program program not None) -> Program:
    """Restores what micrograd composes: x + y * -1 is x - y, x * y**-1 is x / y, x**2 a square."""
    cdef Rewriting r = Rewriting(program)
    cdef instruction i
    cdef instruction *code
    cdef int32_t k, x, y, made
    cdef double number = 0.0
    for k in range(program.n_code):
        i = program.code[k]
        made = MF_NONE
        if i.op == MF_POW and r.is_number(r.moved[i.y], &number):
            made = reduced_power(r, r.moved[i.x], number)
        elif i.op == MF_MUL:
            x = r.moved[i.x]
            y = r.moved[i.y]
            code = r.new.code
            if r.is_number(y, &number) and number == -1.0:
                made = code[x].x if code[x].op == MF_NEG else r.new.emit(MF_NEG, x, MF_NONE, 0)
            elif r.is_number(x, &number) and number == -1.0:
                made = code[y].x if code[y].op == MF_NEG else r.new.emit(MF_NEG, y, MF_NONE, 0)
            elif x == y:
                made = r.new.emit(MF_SQUARE, x, MF_NONE, 0)
            elif code[y].op == MF_DIV and r.is_number(code[y].x, &number) and number == 1.0:
                made = r.new.emit(MF_DIV, x, code[y].y, 0)
            elif code[x].op == MF_DIV and r.is_number(code[x].x, &number) and number == 1.0:
                made = r.new.emit(MF_DIV, y, code[x].y, 0)
        elif i.op == MF_ADD:
            x = r.moved[i.x]
            y = r.moved[i.y]
            code = r.new.code
            if code[y].op == MF_NEG:
                made = r.new.emit(MF_SUB, x, code[y].x, 0)
            elif code[x].op == MF_NEG:
                made = r.new.emit(MF_SUB, y, code[x].x, 0)
        r.moved[k] = made if made >= 0 else r.copy(k)
    return r.finish()


cdef struct table_slot:
    int32_t value    # -1: free
    uint32_t hash


cdef uint64_t hash_instruction(Program p, const instruction *i) noexcept:
    cdef uint64_t h = 0
    cdef int32_t j
    if i.op == MF_NUMBER:   # equal by its bits, wherever it is stored
        memcpy(&h, &p.numbers[i.x], sizeof(double))
        return mf_mix(i.op, 0, 0, h)
    if has_args(i.op):
        for j in range(n_operands(i)):
            h = mf_mix(i.op, <uint32_t>operand(p, i, j), i.n, h)
        return h
    if i.op == MF_ADD or i.op == MF_MUL:   # the order of their operands makes no difference
        return mf_mix(i.op, <uint32_t>min(i.x, i.y), <uint32_t>max(i.x, i.y), 0)
    return mf_mix(i.op, <uint32_t>i.x, <uint32_t>i.y, 0)


def share_common(Program program not None) -> Program:
    """An op on the same operands is computed once; so is the same number."""
    cdef Rewriting r = Rewriting(program)
    cdef int32_t k, made, slot, args_before, n_slots = 64
    cdef table_slot *table
    cdef instruction *code
    cdef uint64_t hash
    while n_slots < 2 * program.n_code:
        n_slots *= 2
    table = <table_slot *>mf_resized(NULL, n_slots, sizeof(table_slot))
    if table is NULL:
        raise MemoryError("no room to compile the function")
    memset(table, 0xFF, <size_t>n_slots * sizeof(table_slot))
    try:
        for k in range(program.n_code):
            args_before = r.new.n_args
            made = r.copy(k)
            r.moved[k] = made
            code = &r.new.code[made]
            if code.op == MF_INPUT or code.op == MF_CAPTURED:
                continue   # each is there once
            hash = hash_instruction(r.new, code)
            slot = <int32_t>(hash & <uint64_t>(n_slots - 1))
            while table[slot].value >= 0:
                if (table[slot].hash == <uint32_t>(hash >> 32)
                        and same_value(r.new, code, &r.new.code[table[slot].value])):
                    break
                slot = (slot + 1) & (n_slots - 1)
            if table[slot].value < 0:
                table[slot].value = made
                table[slot].hash = <uint32_t>(hash >> 32)
            else:
                r.moved[k] = table[slot].value
                r.new.n_code -= 1   # the copy just made
                r.new.n_numbers -= code.op == MF_NUMBER
                r.new.n_args = args_before
    finally:
        free(table)
    return r.finish()


cdef inline bint same_value(Program p, const instruction *a, const instruction *b) noexcept:
    if a.op != b.op:
        return False
    if a.op == MF_NUMBER:
        return memcmp(&p.numbers[a.x], &p.numbers[b.x], sizeof(double)) == 0
    if has_args(a.op):
        return (a.n == b.n and a.y == b.y
                and memcmp(&p.args[a.x], &p.args[b.x], n_args(a) * sizeof(int32_t)) == 0)
    if a.x == b.x and a.y == b.y:
        return True
    return (a.op == MF_ADD or a.op == MF_MUL) and a.x == b.y and a.y == b.x


cdef bytearray use_counts(Program p):
    """How often each value is used, as int32: by instructions and by outputs."""
    cdef bytearray counts = bytearray(4 * (p.n_code + 1))
    cdef int32_t *uses = <int32_t *><char *>counts
    cdef int32_t k, j
    cdef instruction i
    for v in p.outputs:
        uses[<int32_t>v] += 1
    for k in range(p.n_code - 1, -1, -1):
        i = p.code[k]
        if uses[k] == 0:
            continue   # dead: what it uses is not used through it
        if has_args(i.op):
            for j in range(n_args(&i)):
                uses[p.args[i.x + j]] += 1
            if i.y >= 0:
                uses[i.y] += 1
        elif i.op == MF_DETACH or i.op >= MF_FIRST_OP and i.op < MF_N_OPS:
            uses[i.x] += 1
            if has_y(i.op):
                uses[i.y] += 1
    return counts


def drop_dead(Program program not None) -> Program:
    """What no output depends on goes; inputs and captured nodes stay, they are the interface."""
    cdef Rewriting r = Rewriting(program)
    cdef bytearray counts = use_counts(program)
    cdef int32_t *uses = <int32_t *><char *>counts
    cdef int32_t k
    for k in range(program.n_code):
        r.moved[k] = r.copy(k) if uses[k] > 0 else 0
    return r.finish()


def fuse_dots(Program program not None) -> Program:
    """b + w0*x0 + w1*x1 + ... becomes one instruction, where the steps have no other use; so does a
    sum of four terms or more, whose weights are then 1."""
    cdef Rewriting r = Rewriting(program)
    cdef bytearray counts = use_counts(program), inside_of = bytearray(program.n_code + 1)
    cdef int32_t *uses = <int32_t *><char *>counts
    cdef char *inside = <char *>inside_of   # 1: computed as part of a dot
    cdef instruction *code = program.code
    cdef int32_t k, j, at, start, n_steps, n_terms, bias, one = MF_NONE
    for k in range(program.n_code - 1, -1, -1):
        if inside[k] or uses[k] == 0:
            continue
        n_steps = dot_steps(code, uses, k)
        at = k
        for j in range(n_steps):
            inside[at] = at != k
            inside[code[at].y] = is_product(code, uses, code[at].y)
            at = code[at].x
        if n_steps and is_product(code, uses, at):
            inside[at] = 1
    for k in range(program.n_code):
        if inside[k] or uses[k] == 0:
            r.moved[k] = 0
            continue
        n_steps = dot_steps(code, uses, k)
        if n_steps == 0:
            r.moved[k] = r.copy(k)
            continue
        at = k
        for j in range(n_steps):
            if one < 0 and not is_product(code, uses, code[at].y):
                one = r.new.emit_number(1.0)
            at = code[at].x
        n_terms = n_steps + is_product(code, uses, at)
        start = r.new.n_args
        for j in range(2 * n_terms):
            r.new.add_arg(one)
        if n_terms > n_steps:
            put_term(r, uses, start, at)
        at = k
        for j in range(n_terms - 1, n_terms - n_steps - 1, -1):
            put_term(r, uses, start + 2 * j, code[at].y)
            at = code[at].x
        bias = MF_NONE if n_terms > n_steps else r.moved[at]
        r.moved[k] = r.new.emit(MF_DOT, start, bias, n_terms)
    return r.finish()


cdef inline bint is_product(instruction *code, int32_t *uses, int32_t v) noexcept:
    return uses[v] == 1 and (code[v].op == MF_MUL or code[v].op == MF_SQUARE)


cdef int32_t dot_steps(instruction *code, int32_t *uses, int32_t top) noexcept:
    """How many of the additions that end at top become part of one dot."""
    cdef int32_t at = top, n = 0, n_plain = 0, n_leading = 0
    while code[at].op == MF_ADD and (at == top or uses[at] == 1) and code[at].x != code[at].y:
        n += 1
        n_plain += not is_product(code, uses, code[at].y)
        n_leading += n_plain == 0
        at = code[at].x
    if n_plain >= 3:
        return n
    at = top
    for n in range(n_leading):
        at = code[at].x
    return n_leading if n_leading + is_product(code, uses, at) >= 2 else 0


cdef void put_term(Rewriting r, int32_t *uses, int32_t where, int32_t v) noexcept:
    """Term v of a dot as a product; the weight stands there already if it is 1."""
    cdef instruction *i = &r.old.code[v]
    if not is_product(r.old.code, uses, v):
        r.new.args[where + 1] = r.moved[v]
        return
    r.new.args[where] = r.moved[i.x]
    r.new.args[where + 1] = r.moved[i.y] if i.op == MF_MUL else r.moved[i.x]


PASSES = (fold_constants, reduce_strength, fuse_dots, share_common, drop_dead)


def optimized(Program program not None) -> Program:
    """All passes, in order."""
    for rewrite in PASSES:
        program = rewrite(program)
    return program
