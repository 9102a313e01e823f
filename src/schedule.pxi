# The order in which a plan computes a program: what is a row of lanes, what gradient is asked for,
# and how early each value can be known. Needs program.pxi and passes.pxi.
#
# Values of one level depend on earlier levels only, so that equal ops of a level can join into one
# step over adjacent slots (plan.pxi), and dots over the same inputs into a matrix (grouping.pxi).

@cython.internal
cdef class Facts:
    """By value of a program: whether it is a row, whether a gradient is asked for, its level."""
    cdef bytearray rows_block, wants_block, levels_block
    cdef char *row
    cdef char *wants
    cdef int32_t *level
    cdef int32_t n_levels

    def __cinit__(self, Program p, list kinds):
        cdef int32_t k, j, level
        cdef instruction i
        cdef bint row, wants
        self.rows_block = bytearray(p.n_code + 1)
        self.wants_block = bytearray(p.n_code + 1)
        self.levels_block = bytearray(4 * (p.n_code + 1))
        self.row = self.rows_block
        self.wants = self.wants_block
        self.level = <int32_t *><char *>self.levels_block
        self.n_levels = 1
        for k in range(p.n_code):
            i = p.code[k]
            row = wants = False
            level = 0
            if i.op == MF_INPUT:
                row = kinds[i.x].startswith("lane")
                wants = kinds[i.x].endswith("grad")
            elif i.op == MF_CAPTURED:
                wants = True
            elif i.op == MF_TAKE or i.op == MF_DOT:
                for j in range(i.x, i.x + i.n * (2 if i.op == MF_DOT else 1)):
                    row = row or self.row[p.args[j]]
                    wants = wants or self.wants[p.args[j]]
                    level = max(level, self.level[p.args[j]])
                if i.y >= 0:
                    row = row or self.row[i.y]
                    wants = wants or (i.op == MF_DOT and self.wants[i.y])
                    level = max(level, self.level[i.y])
                level += 1
            elif i.op != MF_NUMBER:
                row = self.row[i.x]
                wants = self.wants[i.x] and i.op != MF_DETACH
                level = self.level[i.x]
                if has_y(i.op):
                    row = row or self.row[i.y]
                    wants = wants or self.wants[i.y]
                    level = max(level, self.level[i.y])
                level += 1
            self.row[k] = row
            self.wants[k] = wants
            self.level[k] = level
            self.n_levels = max(self.n_levels, level + 1)


def separate_dots(Program program, list kinds) -> Program:
    """Each dot becomes of one kind: products of uniform numbers, of a uniform and a row, or of two
    rows. kinds: as a Plan takes them."""
    cdef Facts facts = Facts(program, kinds)
    cdef Rewriting r = Rewriting(program)
    cdef instruction i
    cdef int32_t k, j, n_rows
    cdef int32_t counts[3]
    for k in range(program.n_code):
        i = program.code[k]
        if i.op != MF_DOT or not facts.row[k]:
            r.moved[k] = r.copy(k)
            continue
        counts[0] = counts[1] = counts[2] = 0
        for j in range(i.n):
            n_rows = facts.row[program.args[i.x + 2 * j]] + facts.row[program.args[i.x + 2 * j + 1]]
            counts[n_rows] += 1
        r.moved[k] = separated(r, facts, &i, counts)
    return r.finish()


cdef int32_t separated(Rewriting r, Facts facts, const instruction *i, const int32_t *counts) except -1:
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
    """The products with n_rows rows of a dot, n of them; a uniform factor comes first."""
    cdef int32_t start = r.new.n_args
    cdef int32_t j, a, b
    for j in range(i.x, i.x + 2 * i.n, 2):
        a = r.old.args[j]
        b = r.old.args[j + 1]
        if facts.row[a] + facts.row[b] != n_rows:
            continue
        if facts.row[a] and not facts.row[b]:
            a, b = b, a
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
            if facts.level[k]:
                self.starts[facts.row[k] * n + facts.level[k] + 1] += 1
        for k in range(1, 2 * n + 2):
            self.starts[k] += self.starts[k - 1]
        cdef bytearray next_block = bytearray(self.starts_block)
        cdef int32_t *next_free = <int32_t *><char *>next_block
        for k in range(p.n_code):
            if facts.level[k]:
                bucket = facts.row[k] * n + facts.level[k]
                self.order[next_free[bucket]] = k
                next_free[bucket] += 1
