# Grouping: dots of a level that share their inputs become one matrix step; the others stay dots.
#
# z[m] = bias[m] + the sum over k of W[m][k] * x[k] needs W at regular distances and x side by side.
# Parameters stand in the order in which they were made, results in the order of their operands, so
# that both come about by themselves; where they do not, a gather step brings them together.

from base.eval cimport MF_CAPTURED, MF_DOT, MF_GATHER, MF_INNER, MF_MATRIX, MF_NUMBER
from base.hash cimport mf_mix
from plan.step cimport MF_NO_SLOT, mf_step

cdef struct dot_entry:
    uint64_t hash      # of the second factors, and whether the first ones are rows
    int32_t k
    int32_t n
    int32_t first      # n first factors in Grouping.factors, then n second factors; as slots
    int32_t bias

cdef struct dot_group:
    int32_t start, n   # among the entries
    int32_t w, x       # slots of the first factors


cdef int compare_dots(const void *pa, const void *pb) noexcept nogil:
    cdef const dot_entry *a = <const dot_entry *>pa
    cdef const dot_entry *b = <const dot_entry *>pb
    if a.hash != b.hash:
        return 1 if a.hash > b.hash else -1
    return (a.k > b.k) - (a.k < b.k)


cdef int compare_groups(const void *pa, const void *pb) noexcept nogil:
    cdef const dot_group *a = <const dot_group *>pa
    cdef const dot_group *b = <const dot_group *>pb
    cdef int order = compare_slots(a.w, b.w)
    if order == 0:
        order = compare_slots(a.x, b.x)
    return order if order else (a.start > b.start) - (a.start < b.start)


cdef int compare_hashes(const void *pa, const void *pb) noexcept nogil:
    cdef uint64_t a = (<const uint64_t *>pa)[0]
    cdef uint64_t b = (<const uint64_t *>pb)[0]
    return (a > b) - (a < b)


cdef uint64_t hash_slots(const int32_t *slots, int32_t n) noexcept nogil:
    cdef uint64_t h = <uint64_t>n
    cdef int32_t k
    for k in range(n):
        h = mf_mix(h, <uint32_t>slots[k], 0, 0)
    return h


cdef int32_t regular(const int32_t *slots, int32_t n) noexcept nogil:
    """The distance of neighbours among n slots of a kind; MF_NO_SLOT if it is not one."""
    cdef int32_t k, move
    if n == 1:
        return 1
    move = position(slots[1]) - position(slots[0])
    for k in range(1, n):
        if ((slots[k] >= 0) != (slots[0] >= 0)
                or position(slots[k]) - position(slots[k - 1]) != move):
            return MF_NO_SLOT
    return move


@cython.internal
cdef class Grouping:
    """The dots of one level: add() them, then place() all."""
    cdef Layout layout
    cdef Block entries, groups, factors, hashes

    def __init__(self, Layout layout):
        self.layout = layout
        self.entries = Block(sizeof(dot_entry))
        self.groups = Block(sizeof(dot_group))
        self.factors = Block(sizeof(int32_t))
        self.hashes = Block(sizeof(uint64_t))

    cdef inline int32_t *first_factors(self, const dot_entry *e) noexcept:
        return <int32_t *>self.factors.data + e.first

    cdef int add(self, int32_t k) except -1:
        cdef Program p = self.layout.program
        cdef instruction *i = &p.code[k]
        cdef int32_t *slots = self.layout.slots
        cdef dot_entry e
        cdef int32_t j, side
        e.k = k
        e.n = i.n
        e.bias = slots[i.y] if i.y >= 0 else MF_NO_SLOT
        e.first = self.factors.n
        for side in range(2):
            for j in range(i.n):
                self.factors.add_int(slots[p.args[i.x + 2 * j + side]])
        self.turn_parameters(&e, i)
        e.hash = hash_slots(self.first_factors(&e) + e.n, e.n) + (self.first_factors(&e)[0] >= 0)
        return self.entries.add(&e)

    cdef int turn_parameters(self, const dot_entry *e, const instruction *i) except -1:
        """A uniform factor comes before a row, a parameter or number before what is computed."""
        cdef Program p = self.layout.program
        cdef int32_t *w = self.first_factors(e)
        cdef int32_t j
        for j in range(e.n):
            if w[e.n + j] < 0 and (w[j] >= 0 or not is_given(p, p.args[i.x + 2 * j])
                                   and is_given(p, p.args[i.x + 2 * j + 1])):
                w[j], w[e.n + j] = w[e.n + j], w[j]
        return 0

    cdef int place(self) except -1:
        """Makes the steps of all dots that were added."""
        cdef int32_t k, start = 0, end
        cdef dot_entry *e
        cdef dot_group group
        if self.entries.n == 0:
            return 0
        self.turn_shared()
        e = <dot_entry *>self.entries.data
        self.entries.sort(compare_dots)
        while start < self.entries.n:
            end = start + 1
            while end < self.entries.n and self.same_inputs(e + start, e + end):
                end += 1
            self.sort_rows(e + start, end - start)
            group.start = start
            group.n = end - start
            group.w = self.first_factors(e + start)[0]
            group.x = self.first_factors(e + start)[e[start].n]
            self.groups.add(&group)
            start = end
        self.gather_inputs(e)
        self.groups.sort(compare_groups)
        k = 0
        while k < self.groups.n:
            k += self.place_groups(e, k)
        self.entries.n = self.groups.n = self.factors.n = 0
        return 0

    cdef int turn_shared(self) except -1:
        """Where a dot's first factors are shared by more dots than its second ones, they change
        places. Lanes' dots stay: their first factors are the uniform ones."""
        cdef dot_entry *e = <dot_entry *>self.entries.data
        cdef uint64_t first
        cdef uint64_t *hashes
        cdef int32_t k, j
        cdef int32_t *w
        self.hashes.n = 0
        for k in range(self.entries.n):
            w = self.first_factors(e + k)
            first = hash_slots(w, e[k].n)
            self.hashes.add(&first)
            self.hashes.add(&e[k].hash)
        hashes = <uint64_t *>self.hashes.data
        self.hashes.sort(compare_hashes)
        for k in range(self.entries.n):
            w = self.first_factors(e + k)
            if w[0] >= 0 or w[e[k].n] >= 0:
                continue
            first = hash_slots(w, e[k].n)
            if (occurrences(hashes, self.hashes.n, first)
                    > occurrences(hashes, self.hashes.n, e[k].hash)):
                for j in range(e[k].n):
                    w[j], w[e[k].n + j] = w[e[k].n + j], w[j]
                e[k].hash = first
        return 0

    cdef bint same_inputs(self, const dot_entry *a, const dot_entry *b) noexcept:
        return (a.hash == b.hash and a.n == b.n
                and (self.first_factors(a)[0] >= 0) == (self.first_factors(b)[0] >= 0)
                and memcmp(self.first_factors(a) + a.n, self.first_factors(b) + b.n,
                           a.n * sizeof(int32_t)) == 0)

    cdef int sort_rows(self, dot_entry *e, int32_t n) except -1:
        """By the slot of the first factor, so that the rows of a matrix follow each other."""
        cdef int32_t k
        for k in range(n):   # the hash has done its work: the key of another sort
            e[k].hash = <uint64_t>position(self.first_factors(e + k)[0])
        qsort(e, n, sizeof(dot_entry), compare_dots)
        return 0

    # ---- steps ----

    cdef int gather_inputs(self, dot_entry *entries) except -1:
        """Inputs x that are not side by side are copied together, where that pays."""
        cdef dot_group *group
        cdef dot_entry *e
        cdef int32_t *x
        cdef int32_t k, m
        cdef bint wants
        for k in range(self.groups.n):
            group = <dot_group *>self.groups.data + k
            e = entries + group.start
            x = self.first_factors(e) + e.n
            if group.n < 4 or e.n < 4 or group.w >= 0 or regular(x, e.n) == 1:
                continue
            wants = False
            for m in range(group.n):
                wants = wants or self.layout.facts.wants[e[m].k]
            self.gather(x, e.n, self.layout.facts.row[e.k], wants)
            group.x = x[0]
            for m in range(1, group.n):
                memcpy(self.first_factors(e + m) + e.n, x, e.n * sizeof(int32_t))
        return 0

    cdef int32_t place_groups(self, dot_entry *entries, int32_t k) except -1:
        """Group k, and those after it that are the same matrix times other vectors; how many."""
        cdef dot_group *groups = <dot_group *>self.groups.data
        cdef dot_group *group = groups + k
        cdef dot_entry *e = entries + group.start
        cdef int32_t n_vectors = 1, x_step = 0
        if self.layout.facts.row[e.k] or not self.is_matrix(e, group.n):
            self.place_group(e, group.n)
            return 1
        while k + n_vectors < self.groups.n:
            if not self.same_matrix(e, entries + group[n_vectors].start, group, group + n_vectors):
                break
            if n_vectors == 1:
                x_step = position(group[1].x) - position(group.x)
            if (x_step < e.n
                    or position(group[n_vectors].x) - position(group[n_vectors - 1].x) != x_step):
                break
            n_vectors += 1
        self.place_matrix(entries, group, n_vectors, x_step)
        return n_vectors

    cdef bint is_matrix(self, const dot_entry *e, int32_t n) noexcept:
        return (n > 1 and n * e.n >= 8 and self.first_factors(e)[0] < 0
                and regular(self.first_factors(e) + e.n, e.n) == 1 and self.part(e, n) == n)

    cdef bint same_matrix(self, const dot_entry *e, const dot_entry *f, const dot_group *a,
                          const dot_group *b) noexcept:
        """Whether two groups are dots with the same first factors and biases."""
        cdef int32_t m
        if a.n != b.n or e.n != f.n or a.w != b.w or not self.is_matrix(f, b.n):
            return False
        for m in range(a.n):
            if (e[m].bias != f[m].bias
                    or self.layout.facts.wants[e[m].k] != self.layout.facts.wants[f[m].k]):
                return False
            if memcmp(self.first_factors(e + m), self.first_factors(f + m), e.n * sizeof(int32_t)):
                return False
        return True

    cdef int place_group(self, dot_entry *e, int32_t n) except -1:
        """Matrices where W and x allow, else dots."""
        cdef dot_group group
        cdef int32_t k = 0, n_parts = 0
        if n >= 4 and e.n >= 4 and self.layout.facts.row[e.k] and self.first_factors(e)[0] < 0:
            while k < n:
                k += self.part(e + k, n - k)
                n_parts += 1
        if n_parts * 4 > n:
            self.gather_rows(e, n)
        group.start = 0
        while n > 0:
            group.n = self.part(e, n)
            if self.is_matrix(e, group.n):
                self.place_matrix(e, &group, 1, 0)
            else:
                group.n = 1
                self.place_dot(e)
            e += group.n
            n -= group.n
        return 0

    cdef int32_t part(self, const dot_entry *e, int32_t n) noexcept:
        """How many of n dots, from the first on, have their factors W at regular distances."""
        cdef int32_t col = regular(self.first_factors(e), e.n)
        cdef int32_t m, row, bias_move
        if n == 1 or col == MF_NO_SLOT:
            return 1
        row = position(self.first_factors(e + 1)[0]) - position(self.first_factors(e)[0])
        bias_move = position(e[1].bias) - position(e.bias)
        # Rows side by side or columns side by side; never one over the other.
        if not (col == 1 and row >= e.n or row == 1 and col > 1):
            return 1
        for m in range(1, n):
            if (regular(self.first_factors(e + m), e.n) != col
                    or position(self.first_factors(e + m)[0])
                    - position(self.first_factors(e + m - 1)[0]) != row
                    # Backward runs for all results of a step, or for none.
                    or self.layout.facts.wants[e[m].k] != self.layout.facts.wants[e.k]
                    or (e[m].bias >= 0) != (e.bias >= 0)
                    or (e[m].bias == MF_NO_SLOT) != (e.bias == MF_NO_SLOT)
                    or position(e[m].bias) - position(e[m - 1].bias) != bias_move
                    or (col > 1 and m == col)):
                return m
        return n

    cdef int gather(self, int32_t *slots, int32_t n, bint row, bint wants) except -1:
        """Copies n slots into adjacent new ones; `slots` names those afterwards. wants: whether
        gradient comes back to the copies."""
        cdef mf_step step
        cdef int32_t j
        memset(&step, 0, sizeof(step))
        step.op = MF_GATHER
        step.count = n
        step.x = step.y = MF_NO_SLOT
        step.args = self.layout.plan.args.n
        for j in range(n):
            self.layout.plan.args.add_int(slots[j])
            step.wants_gradient = step.wants_gradient or wants and self.layout.wants(slots[j])
        for j in range(n):
            slots[j] = self.layout.new_slot(row, step.wants_gradient)
        step.z = slots[0]
        return self.layout.add_step(&step, row)

    cdef int gather_rows(self, dot_entry *e, int32_t n) except -1:
        """The factors W of n dots side by side."""
        cdef int32_t m
        for m in range(n):
            self.gather(self.first_factors(e + m), e.n, False, self.layout.facts.wants[e[m].k])
        return 0

    cdef int place_matrix(self, const dot_entry *entries, const dot_group *group,
                          int32_t n_vectors, int32_t x_step) except -1:
        cdef mf_step step
        cdef const dot_entry *e = entries + group.start
        cdef const int32_t *w = self.first_factors(e)
        cdef bint row = self.layout.facts.row[e.k]
        cdef int32_t m, v, k
        memset(&step, 0, sizeof(step))
        step.op = MF_MATRIX
        step.count = group.n
        step.n = e.n
        step.w = ~w[0]
        step.w_col = regular(w, e.n)
        step.w_row = ~self.first_factors(e + 1)[0] - step.w
        step.x = w[e.n]
        step.y = e.bias
        step.y_move = position(e[1].bias) - position(e.bias)
        step.n_vectors = n_vectors
        step.x_step = x_step
        for v in range(n_vectors):
            for m in range(group.n):
                k = entries[group[v].start + m].k
                self.note_wants(&step, entries + group[v].start + m)
                self.layout.slots[k] = self.layout.new_slot(row, self.layout.facts.wants[k])
        step.z = self.layout.slots[e.k]
        return self.layout.add_step(&step, row)

    cdef int note_wants(self, mf_step *step, const dot_entry *e) except -1:
        cdef const int32_t *w = self.first_factors(e)
        cdef int32_t j
        for j in range(e.n):
            step.wants_w = step.wants_w or self.layout.wants(w[j])
            step.wants_x = step.wants_x or self.layout.wants(w[e.n + j])
        step.wants_gradient = step.wants_gradient or self.layout.facts.wants[e.k]
        return 0

    cdef int place_dot(self, const dot_entry *e) except -1:
        """A dot of its own: over adjacent slots, or over any."""
        cdef mf_step step
        cdef const int32_t *w = self.first_factors(e)
        cdef bint row = self.layout.facts.row[e.k]
        cdef int32_t j, w_move = regular(w, e.n)
        memset(&step, 0, sizeof(step))
        step.count = 1
        step.x = MF_NO_SLOT
        step.y = e.bias
        self.note_wants(&step, e)
        if not row and e.n >= 4 and (w_move == 0 or w_move == 1) and regular(w + e.n, e.n) == 1:
            step.op = MF_INNER
            step.w = ~w[0]
            step.w_col = w_move
            step.x = w[e.n]
            step.n = e.n
        else:
            step.op = MF_DOT
            step.args = self.layout.plan.args.n
            if row and w[0] < 0:
                step.n_rows = e.n
            else:
                step.n_pairs = e.n
            for j in range(e.n):
                self.layout.plan.args.add_int(w[j])
                self.layout.plan.args.add_int(w[e.n + j])
        step.z = self.layout.slots[e.k] = self.layout.new_slot(row, step.wants_gradient)
        return self.layout.add_step(&step, row)


cdef inline bint is_given(Program p, int32_t value) noexcept:
    return p.code[value].op == MF_CAPTURED or p.code[value].op == MF_NUMBER


cdef int32_t occurrences(const uint64_t *hashes, int32_t n, uint64_t wanted) noexcept nogil:
    """How often a hash stands in a sorted list."""
    return first_not_below(hashes, n, wanted, True) - first_not_below(hashes, n, wanted, False)


cdef int32_t first_not_below(const uint64_t *hashes, int32_t n, uint64_t wanted,
                             bint nor_equal) noexcept nogil:
    cdef int32_t low = 0, high = n, middle
    while low < high:
        middle = (low + high) // 2
        if hashes[middle] < wanted or (nor_equal and hashes[middle] == wanted):
            low = middle + 1
        else:
            high = middle
    return low
