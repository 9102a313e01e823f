# All derivatives of some Values by others that are not 0 for good, in one sweep of forward mode:
# each node has a row of terms, one for each x that it depends on. The pattern of 0s comes with it.
# For few Values by many, where those rows would be long, there is a sweep of reverse mode for each.


from libc.string cimport memmove

cdef struct entry:
    int32_t column   # which x
    term value


class TooManyEntries(Exception):
    """Entry by entry a Jacobian would be too long a program."""


@cython.internal
cdef class Rows(Derivation):
    cdef entry *entries          # of all rows, columns ascending
    cdef int64_t n_entries, cap_entries, most
    cdef int64_t *first          # by place of a node: where its row begins, and ends
    cdef int64_t *end

    def __dealloc__(self):
        free(self.entries)
        free(self.first)
        free(self.end)

    cdef int append(self, int32_t column, term value) except -1:
        cdef void *block
        if is_the_number(value, 0.0):
            return 0
        if self.n_entries == self.most:
            raise TooManyEntries("of a Jacobian")
        if self.n_entries == self.cap_entries:
            block = mf_resized(self.entries, 2 * self.cap_entries + 64, sizeof(entry))
            if block is NULL:
                raise MemoryError("no room for a derivative")
            self.entries, self.cap_entries = <entry *>block, 2 * self.cap_entries + 64
        self.entries[self.n_entries].column = column
        self.entries[self.n_entries].value = value
        self.n_entries += 1
        return 0

    cdef int begin(self, list xs) except -1:
        """The rows of xs: a 1 each, in the column where it stands last."""
        cdef int32_t column, k
        self.first = <int64_t *>some_memory(<uint64_t>self.n_terms + 1, sizeof(int64_t))
        self.end = <int64_t *>some_memory(<uint64_t>self.n_terms + 1, sizeof(int64_t))
        memset(self.first, 0, (self.n_terms + 1) * sizeof(int64_t))
        memset(self.end, 0, (self.n_terms + 1) * sizeof(int64_t))
        for column, v in enumerate(xs):
            k = self.places.at((<Value>v).id)[0]
            self.first[k] = self.n_entries
            self.append(column, number_term(1.0))
            self.end[k] = self.n_entries
        return 0

    cdef int row(self, int32_t id) except -1:
        """The row of a node: those of its operands, times the partials, added up."""
        cdef int32_t k, place = self.places.at(id)[0]
        cdef int64_t begin, start = self.n_entries
        self.first[place] = self.end[place] = start
        self.find_partials(id)
        for k in range(self.n_partials):
            begin = self.n_entries
            self.merge(place, self.places.at(self.partials[k].operand)[0],
                       self.partials[k].partial, store.nodes[id].op)
            # The new row takes the place of what it was before this operand.
            memmove(&self.entries[start], &self.entries[begin],
                    <size_t>(self.n_entries - begin) * sizeof(entry))
            self.n_entries -= begin - start
            self.end[place] = self.n_entries
        return 0

    cdef int merge(self, int32_t row, int32_t operand, term partial, int op) except -1:
        """The sum of the row of a place and `partial` times that of another, at the end."""
        cdef int64_t i = self.first[row], end = self.end[row]
        cdef int64_t j = self.first[operand], stop = self.end[operand]
        cdef int32_t column
        cdef term value
        while i < end or j < stop:
            if j == stop or i < end and self.entries[i].column < self.entries[j].column:
                column, value = self.entries[i].column, self.entries[i].value
                i += 1
            else:
                column = self.entries[j].column
                value = self.contribution(op, partial, self.entries[j].value)
                if i < end and self.entries[i].column == column:
                    value = self.plus(self.entries[i].value, value)
                    i += 1
                j += 1
            self.append(column, value)
        return 0


def jacobian_rows(list xs not None, list ys not None, bint lower=False, int64_t few=-1,
                  int64_t share=-1) -> tuple:
    """(Values, where each row ends, columns): what is not 0 of the Jacobian of ys by xs, by rows.
    lower: no column beyond the row's number. xs are different Values. Raises TooManyEntries where
    more than `few` entries were made on the way and more than `share` for each node, and what
    pullback() raises. -1: any number."""
    cdef Rows rows = Rows()
    cdef int64_t k, j
    cdef int32_t id, place, n = 0
    cdef list values = [], ends = [], columns = []
    rows.walk(ys, xs)
    rows.most = -1 if few < 0 else max(few, share * rows.order.n)
    rows.begin(xs)
    cdef set given = {(<Value>v).id for v in xs}
    for k in range(rows.order.n):
        id = rows.order.ids[k]
        if store.nodes[id].op != MF_LINK and rows.depends(id) and id not in given:
            rows.row(id)
    for v in ys:
        place = rows.places.at((<Value>v).id)[0]
        if place > 0:
            for j in range(rows.first[place], rows.end[place]):
                if not lower or rows.entries[j].column <= n:
                    values.append(value_of(rows.node_of(rows.entries[j].value)))
                    columns.append(rows.entries[j].column)
        ends.append(len(values))
        n += 1
    return values, ends, columns


def gradient_rows(list xs not None, list ys not None, int64_t few=-1, int64_t share=-1) -> tuple:
    """As jacobian_rows(), by a sweep of reverse mode for each y; `few` counts the nodes made."""
    cdef Derivation d
    cdef list values = [], ends = [], columns = []
    cdef int64_t k, n_made = 0
    cdef int32_t column
    cdef term a
    for y in ys:
        d = Derivation()
        d.walk([y], xs)
        d.add((<Value>y).id, number_term(1.0))
        for k in range(d.order.n - 1, -1, -1):
            d.pull(d.order.ids[k])
        for column, x in enumerate(xs):
            a = d.at((<Value>x).id)
            if not is_the_number(a, 0.0):
                values.append(value_of(d.node_of(a)))
                columns.append(column)
        ends.append(len(values))
        n_made += d.n_made
        if few >= 0 and n_made > max(few, share * d.order.n):
            raise TooManyEntries("of a Jacobian")
    return values, ends, columns
