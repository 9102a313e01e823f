# Layout: gives every value of a program its slot and makes the steps of a plan.
#
# Equal ops of a level whose operands stand in adjacent slots, or share one, become one step. Slots
# are handed out in the order of their operands' slots, so that what is adjacent stays adjacent.

from base.eval cimport MF_CAPTURED, MF_CHAIN, MF_DOT, MF_INPUT, MF_NUMBER
from plan.step cimport MF_NO_SLOT, mf_step

cdef struct candidate:   # an instruction of a level that may share a step with others
    int32_t k
    int32_t key          # op, whether it has a backward step, which operands want a gradient
    int32_t x, y         # slots of operands


cdef inline int32_t position(int32_t slot) noexcept nogil:
    """Where a slot is among those of its kind."""
    return slot if slot >= 0 else ~slot


cdef inline int compare_slots(int32_t a, int32_t b) noexcept nogil:
    if (a >= 0) != (b >= 0):
        return 1 if a >= 0 else -1
    return (position(a) > position(b)) - (position(a) < position(b))


cdef int compare_candidates(const void *pa, const void *pb) noexcept nogil:
    cdef const candidate *a = <const candidate *>pa
    cdef const candidate *b = <const candidate *>pb
    cdef int order = (a.key > b.key) - (a.key < b.key)
    if order == 0:
        order = compare_slots(a.x, b.x)
    if order == 0:
        order = compare_slots(a.y, b.y)
    return order if order else (a.k > b.k) - (a.k < b.k)


cdef struct captured_leaf:
    int32_t id
    int32_t k


cdef int compare_captured(const void *pa, const void *pb) noexcept nogil:
    cdef int32_t a = (<const captured_leaf *>pa).id
    cdef int32_t b = (<const captured_leaf *>pb).id
    return (a > b) - (a < b)


cdef class Grouping


@cython.internal
cdef class Layout:
    """Fills the blocks of a plan."""
    cdef Plan plan
    cdef Program program   # its dots are separated
    cdef Facts facts
    cdef list kinds
    cdef Block candidates
    cdef bytearray slot_of
    cdef int32_t *slots    # by value: a row >= 0 or a uniform slot < 0
    cdef Grouping dots

    def __init__(self, Plan plan, Program program, list kinds):
        cdef int32_t k
        self.plan = plan
        self.program = program
        self.kinds = kinds
        self.facts = Facts(program, kinds)
        self.candidates = Block(sizeof(candidate))
        self.slot_of = bytearray(4 * (len(program) + 1))
        self.slots = <int32_t *><char *>self.slot_of
        self.dots = Grouping(self)
        for k in range(program.n_params):
            plan.captured_slots.add_int(MF_NO_SLOT)
        for k in range(program.n_inputs):
            plan.input_slots.add_int(MF_NO_SLOT)

    cdef int32_t new_slot(self, bint row, bint wants) except? -1:
        cdef uint8_t flag = wants
        if row:
            return self.plan.row_wants.add(&flag)
        return ~self.plan.uniform_wants.add(&flag)

    cdef int32_t last_slot(self, bint row) noexcept:
        """The slot that new_slot gave out last."""
        return self.plan.row_wants.n - 1 if row else ~(self.plan.uniform_wants.n - 1)

    cdef inline bint wants(self, int32_t slot) noexcept:
        if slot >= 0:
            return self.plan.row_wants.data[slot]
        return self.plan.uniform_wants.data[~slot]

    cdef int lay_out(self) except -1:
        cdef int32_t bucket, start, n_levels = self.facts.n_levels
        cdef Schedule schedule = Schedule(self.program, self.facts)
        self.place_inputs(True)
        self.plan.plan.n_columns = self.plan.row_wants.n
        self.place_inputs(False)
        self.place_captured()
        self.place_numbers()
        for bucket in range(2 * n_levels):
            start = schedule.starts[bucket]
            if schedule.starts[bucket + 1] > start:
                self.place_level(schedule.order + start, schedule.starts[bucket + 1] - start)
        for v in self.program.outputs:
            self.plan.outputs.add_int(self.slots[<int32_t>v])
        self.dots = None   # which refers to this
        return self.find_sole_users()

    cdef int find_sole_users(self) except -1:
        cdef bytearray value_uses = use_counts(self.program)
        cdef bytearray slot_uses = bytearray(4 * (self.plan.uniform_wants.n + 1))
        cdef int32_t *uses = <int32_t *><char *>slot_uses
        cdef int32_t k
        for k in range(self.program.n_code):
            if self.slots[k] < 0 and self.slots[k] != MF_NO_SLOT:
                uses[~self.slots[k]] += (<int32_t *><char *>value_uses)[k]
        return self.plan.find_sole_users(uses)

    cdef int add_step(self, const mf_step *step, bint row) except -1:
        (self.plan.lane_steps if row else self.plan.steps).add(step)
        return 0

    # ---- what is given ----

    cdef int place_inputs(self, bint rows) except -1:
        """Rows 0, 1, ... are the columns that the inputs load."""
        cdef int32_t k
        cdef instruction i
        for k in range(self.program.n_code):
            i = self.program.code[k]
            if i.op == MF_INPUT and self.facts.row[k] == rows:
                self.slots[k] = self.new_slot(rows, self.facts.wants[k])
                (<int32_t *>self.plan.input_slots.data)[i.x] = self.slots[k]
        return 0

    cdef int place_captured(self) except -1:
        """In the order in which the nodes were made: a list of parameters stands side by side."""
        cdef Block leaves = Block(sizeof(captured_leaf))
        cdef captured_leaf leaf
        cdef int32_t k, j
        for k in range(self.program.n_code):
            if self.program.code[k].op == MF_CAPTURED:
                leaf.id = (<Value>self.plan.captured[self.program.code[k].x]).id
                leaf.k = k
                leaves.add(&leaf)
        leaves.sort(compare_captured)
        for j in range(leaves.n):
            k = (<captured_leaf *>leaves.data)[j].k
            self.slots[k] = self.new_slot(False, True)
            (<int32_t *>self.plan.captured_slots.data)[self.program.code[k].x] = self.slots[k]
        return 0

    cdef int place_numbers(self) except -1:
        cdef number_slot pair
        cdef int32_t k
        for k in range(self.program.n_code):
            if self.program.code[k].op == MF_NUMBER:
                self.slots[k] = pair.slot = self.new_slot(False, False)
                pair.number = self.program.numbers[self.program.code[k].x]
                self.plan.numbers.add(&pair)
        return 0

    # ---- what is computed ----

    cdef int place_level(self, const int32_t *members, int32_t n) except -1:
        """Steps for instructions of one level, none of which needs another."""
        cdef candidate c
        cdef instruction *i
        cdef int32_t m, start = 0, end
        self.candidates.n = 0
        for m in range(n):
            i = &self.program.code[members[m]]
            if i.op == MF_DOT:
                self.dots.add(members[m])
            elif has_args(i.op):
                self.place_choice(members[m], i)
            elif self.facts.chain[members[m]]:
                self.place_chain(members[m])
            else:
                c.k = members[m]
                c.x = self.slots[i.x]
                c.y = self.slots[i.y] if has_y(i.op) else MF_NO_SLOT
                c.key = 8 * i.op + 4 * self.facts.wants[c.k] + 2 * self.wants(c.x)
                if c.y != MF_NO_SLOT:
                    c.key += self.wants(c.y)
                self.candidates.add(&c)
        cdef candidate *first = <candidate *>self.candidates.data
        self.candidates.sort(compare_candidates)
        while start < self.candidates.n:
            end = run_end(first, start, self.candidates.n)
            self.place_run(first + start, end - start)
            start = end
        return self.dots.place()

    cdef int place_run(self, const candidate *c, int32_t count) except -1:
        """One step for `count` equal ops."""
        cdef mf_step step
        cdef int32_t j
        cdef bint row = self.facts.row[c.k]
        memset(&step, 0, sizeof(step))
        step.op = self.program.code[c.k].op
        step.count = count
        step.x = c.x
        step.y = c.y
        step.x_move = 1
        if count > 1:
            step.x_move = position(c[1].x) - position(c.x)
            step.y_move = position(c[1].y) - position(c.y) if c.y != MF_NO_SLOT else 0
        elif c.y != MF_NO_SLOT:   # lanes of a single op: rows move, numbers do not
            step.x_move = not row or c.x >= 0
            step.y_move = not row or c.y >= 0
        step.wants_gradient = self.facts.wants[c.k]
        for j in range(count):
            self.slots[c[j].k] = self.new_slot(row, step.wants_gradient)
        step.z = self.slots[c.k]
        return self.add_step(&step, row)

    cdef int place_chain(self, int32_t end) except -1:
        """One step for ops each of which takes the result of the one before."""
        cdef mf_step step
        cdef int32_t j, k = end, n = self.facts.chain[end]
        cdef bint row = self.facts.row[end]
        cdef Block members = Block(sizeof(int32_t))
        memset(&step, 0, sizeof(step))
        step.op = MF_CHAIN
        step.link = self.program.code[end].op
        step.count = n
        step.args = self.plan.args.n
        step.wants_gradient = self.facts.wants[end]
        for j in range(n):
            members.add_int(k)
            k = self.program.code[k].x
        step.x = self.slots[k]
        step.y = MF_NO_SLOT
        for j in range(n - 1, -1, -1):
            k = (<int32_t *>members.data)[j]
            self.plan.args.add_int(self.slots[self.program.code[k].y])
            self.slots[k] = self.new_slot(row, step.wants_gradient)
        step.z = self.last_slot(row) - (n - 1 if row else 1 - n)
        return self.add_step(&step, row)

    cdef int place_choice(self, int32_t k, const instruction *i) except -1:
        """A take, the largest or the smallest: one of the args."""
        cdef mf_step step
        cdef int32_t j
        memset(&step, 0, sizeof(step))
        step.op = i.op
        step.count = 1
        step.x = MF_NO_SLOT
        step.y = self.slots[i.y] if i.y >= 0 else MF_NO_SLOT
        step.args = self.plan.args.n
        step.n_rows = i.n
        for j in range(i.n):
            self.plan.args.add_int(self.slots[self.program.args[i.x + j]])
        step.wants_gradient = self.facts.wants[k]
        step.z = self.slots[k] = self.new_slot(self.facts.row[k], step.wants_gradient)
        return self.add_step(&step, self.facts.row[k])


cdef int32_t run_end(const candidate *c, int32_t start, int32_t n) noexcept nogil:
    """Where the run of candidates ends that can be one step: each operand advances by a slot from
    one to the next, or stays; one of them advances."""
    cdef int32_t k, x_move, y_move
    if start + 1 == n:
        return n
    x_move = position(c[start + 1].x) - position(c[start].x)
    y_move = position(c[start + 1].y) - position(c[start].y)
    if x_move < 0 or x_move > 1 or y_move < 0 or y_move > 1 or x_move + y_move == 0:
        return start + 1
    for k in range(start + 1, n):
        if (c[k].key != c[start].key or (c[k].x >= 0) != (c[start].x >= 0)
                or (c[k].y >= 0) != (c[start].y >= 0)
                or position(c[k].x) - position(c[k - 1].x) != x_move
                or position(c[k].y) - position(c[k - 1].y) != y_move):
            return k
    return n
