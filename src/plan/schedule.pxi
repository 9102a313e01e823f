# The order in which a plan computes a program: what is a row of lanes, what gradient is asked for,
# and how early each value can be known.
#
# Values of one level depend on earlier levels only, so that equal ops of a level can join into one
# step over adjacent slots (layout.pxi), and dots over the same inputs into a matrix (grouping.pxi).
# max(a, b, c, ...) is a chain of ops, each of which needs the one before: a chain is one step,
# known as soon as its operands are, however long it is.

from base.eval cimport (MF_ADD, MF_CAPTURED, MF_DETACH, MF_DOT, MF_INPUT, MF_MAXIMUM, MF_MINIMUM,
                        MF_MUL, MF_NUMBER, MF_TAKE)
from engine.node cimport MF_NONE


@cython.internal
cdef class Facts:
    """By value of a program: whether it is a row, whether backward has anything to do for it (it
    depends on what a gradient is asked for, and an output on it other than through detach or as an
    index), its level; of a value that stands at the end of a chain, how many members that has."""
    cdef bytearray rows_block, wants_block, levels_block, chains_block
    cdef char *row
    cdef char *wants
    cdef int32_t *level
    cdef int32_t *chain
    cdef int32_t n_levels

    def __cinit__(self, Program p, list kinds):
        self.rows_block = bytearray(p.n_code + 1)
        self.wants_block = bytearray(p.n_code + 1)
        self.levels_block = bytearray(4 * (p.n_code + 1))
        self.row = self.rows_block
        self.wants = self.wants_block
        self.level = <int32_t *><char *>self.levels_block
        self.find_kinds(p, kinds)
        self.find_reached(p)
        self.chains_block = chain_lengths(p, self.row)
        self.chain = <int32_t *><char *>self.chains_block
        self.find_levels(p)

    cdef int find_kinds(self, Program p, list kinds) except -1:
        """What is a row, and what depends on something that a gradient is asked for."""
        cdef int32_t k, j
        cdef instruction i
        cdef bint row, wants
        for k in range(p.n_code):
            i = p.code[k]
            row = wants = False
            if i.op == MF_INPUT:
                row = kinds[i.x].startswith("lane")
                wants = kinds[i.x].endswith("grad")
            elif i.op == MF_CAPTURED:
                wants = True
            elif i.op != MF_NUMBER:
                for j in range(n_operands(&i)):
                    row = row or self.row[operand(p, &i, j)]
                    wants = wants or self.wants[operand(p, &i, j)]
                if i.op == MF_TAKE:   # no gradient by the index, which is operand 0
                    wants = False
                    for j in range(1, n_operands(&i)):
                        wants = wants or self.wants[operand(p, &i, j)]
            self.row[k] = row
            self.wants[k] = wants and i.op != MF_DETACH
        return 0

    cdef int find_reached(self, Program p) except -1:
        """Takes `wants` from what no output depends on in a way that gradient goes: backward would
        bring it zeros. What is given keeps it, its gradient is read."""
        cdef bytearray reached_block = bytearray(p.n_code + 1)
        cdef char *reached = reached_block
        cdef int32_t k, j, first
        cdef instruction i
        for v in p.outputs:
            reached[<int32_t>v] = True
        for k in range(p.n_code - 1, -1, -1):
            i = p.code[k]
            if i.op == MF_INPUT or i.op == MF_CAPTURED:
                continue
            self.wants[k] = self.wants[k] and reached[k]
            if not self.wants[k]:
                continue
            first = i.op == MF_TAKE   # operand 0 is the index
            for j in range(first, n_operands(&i)):
                reached[operand(p, &i, j)] = True
        return 0

    cdef int find_levels(self, Program p) except -1:
        """0 for what is given; else below the users, as late as can be: what leads to a result in
        as many steps is then of one level, however early it could be known. A chain has one."""
        cdef int32_t k, j, level
        cdef instruction i
        self.n_levels = 1
        for k in range(p.n_code):
            i = p.code[k]
            level = 0
            for j in range(n_operands(&i)):
                level = max(level, self.level[operand(p, &i, j)])
            # Inside a chain: what its operands have, as if it were none itself.
            self.level[k] = level + (n_operands(&i) > 0 and self.chain[k] != MF_INSIDE)
            self.n_levels = max(self.n_levels, self.level[k] + 1)
        for k in range(p.n_code):
            self.level[k] = self.n_levels - 1
        for k in range(p.n_code - 1, -1, -1):
            i = p.code[k]
            level = self.level[k] - (self.chain[k] != MF_INSIDE)
            for j in range(n_operands(&i)):
                self.level[operand(p, &i, j)] = min(level, self.level[operand(p, &i, j)])
            if n_operands(&i) == 0:
                self.level[k] = 0
        return 0


cdef enum:
    MF_INSIDE = -1       # in a chain, but not its end
    MIN_CHAIN = 2


cdef bytearray chain_lengths(Program p, const char *row):
    """By value, as int32: the length of the chain that ends there, MF_INSIDE, or 0."""
    cdef bytearray counts = use_counts(p), lengths_block = bytearray(4 * (p.n_code + 1))
    cdef int32_t *uses = <int32_t *><char *>counts
    cdef int32_t *lengths = <int32_t *><char *>lengths_block
    cdef int32_t k, j, x, n
    cdef instruction i
    for k in range(p.n_code):
        i = p.code[k]
        if i.op == MF_MAXIMUM or i.op == MF_MINIMUM or i.op == MF_MUL:
            x = i.x
            lengths[k] = 1
            if x != i.y and p.code[x].op == i.op and uses[x] == 1 and row[x] == row[k]:
                lengths[k] += lengths[x]
    # From the ends down: the members of what is long enough are inside, the others are no chains.
    for k in range(p.n_code - 1, -1, -1):
        n = lengths[k]
        if n == MF_INSIDE or n == 0:
            continue
        if n < MIN_CHAIN:
            lengths[k] = 0
            continue
        j = k
        while n > 1:
            j = p.code[j].x
            lengths[j] = MF_INSIDE
            n -= 1
    return lengths_block


def separate_dots(Program program not None, list kinds not None) -> Program:
    """Each dot becomes of one kind: products of uniform numbers, of a uniform and a row, or of two
    rows. kinds: as a Plan takes them. Most programs have no other dots: they come back as they
    are."""
    cdef Facts facts
    cdef Rewriting r
    cdef int32_t k
    cdef int32_t counts[3]
    cdef bint any_mixed = False
    if len(kinds) != program.n_inputs:
        raise ValueError("kinds must name a kind for each input of the program")
    facts = Facts(program, kinds)
    for k in range(program.n_code):
        any_mixed = any_mixed or is_mixed(program, facts, k, counts)
    if not any_mixed:
        return program
    r = Rewriting(program)
    for k in range(program.n_code):
        if is_mixed(program, facts, k, counts):
            r.moved[k] = separated(r, facts, &program.code[k], counts)
        else:
            r.moved[k] = r.copy(k)
    return r.finish()


cdef bint is_mixed(Program p, Facts facts, int32_t k, int32_t *counts) noexcept:
    """Whether a dot over lanes adds up products of several kinds, or of uniform numbers alone: its
    bias is then the row. counts: how many products have 0, 1 or 2 rows."""
    cdef const instruction *i = &p.code[k]
    cdef int32_t j
    counts[0] = counts[1] = counts[2] = 0
    if i.op != MF_DOT or not facts.row[k]:
        return False
    for j in range(i.x, i.x + 2 * i.n, 2):
        counts[facts.row[p.args[j]] + facts.row[p.args[j + 1]]] += 1
    return counts[0] > 0 or (counts[1] > 0 and counts[2] > 0)


cdef int32_t separated(Rewriting r, Facts facts, const instruction *i,
                       const int32_t *counts) except -1:
    """The dots that add up to the dot *i; the last of them is its value."""
    cdef int32_t made = r.moved[i.y] if i.y >= 0 else MF_NONE
    cdef int32_t uniform
    if counts[0] and made >= 0 and facts.row[i.y]:
        uniform = part_of_dot(r, facts, i, 0, counts[0], MF_NONE)
        made = r.new.emit(MF_ADD, made, uniform, 0)
    elif counts[0]:
        made = part_of_dot(r, facts, i, 0, counts[0], made)
    if counts[1]:
        made = part_of_dot(r, facts, i, 1, counts[1], made)
    if counts[2]:
        made = part_of_dot(r, facts, i, 2, counts[2], made)
    return made


cdef int32_t part_of_dot(Rewriting r, Facts facts, const instruction *i, int32_t n_rows, int32_t n,
                         int32_t bias) except -1:
    """The products with n_rows rows of a dot, n of them."""
    cdef int32_t start = r.new.n_args
    cdef int32_t j, a, b
    for j in range(i.x, i.x + 2 * i.n, 2):
        a = r.old.args[j]
        b = r.old.args[j + 1]
        if facts.row[a] + facts.row[b] != n_rows:
            continue
        r.new.add_arg(r.moved[a])
        r.new.add_arg(r.moved[b])
    return r.new.emit(MF_DOT, start, bias, n)


@cython.internal
cdef class Schedule:
    """Instructions that compute something, uniform ones first, by level; starts[l] says where
    level l begins among the uniform ones, starts[n_levels + l] among those over lanes."""
    cdef bytearray order_block, starts_block
    cdef int32_t *order
    cdef int32_t *starts

    def __cinit__(self, Program p, Facts facts):
        cdef int32_t k, bucket, n = facts.n_levels
        self.order_block = bytearray(4 * (p.n_code + 1))
        self.starts_block = bytearray(4 * (2 * n + 2))
        self.order = <int32_t *><char *>self.order_block
        self.starts = <int32_t *><char *>self.starts_block
        # a counting sort; level 0 is what is given
        for k in range(p.n_code):
            if is_step(facts, k):
                self.starts[facts.row[k] * n + facts.level[k] + 1] += 1
        for k in range(1, 2 * n + 2):
            self.starts[k] += self.starts[k - 1]
        cdef bytearray next_block = bytearray(self.starts_block)
        cdef int32_t *next_free = <int32_t *><char *>next_block
        for k in range(p.n_code):
            if is_step(facts, k):
                bucket = facts.row[k] * n + facts.level[k]
                self.order[next_free[bucket]] = k
                next_free[bucket] += 1


cdef inline bint is_step(Facts facts, int32_t k) noexcept:
    """Whether value k is computed, and not as a part of the chain that ends elsewhere."""
    return facts.level[k] > 0 and facts.chain[k] != MF_INSIDE
