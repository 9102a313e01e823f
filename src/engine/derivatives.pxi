# Derivatives as graphs: the nodes that partial derivatives are, built over the nodes of y by the
# rules of the op table. They are nodes like any other: differentiable again, drawn, traced.
#
# An adjoint (reverse mode) or a tangent (forward mode) is a term, a node or a number that is known:
# products with 0 and 1 and sums with 0 are never built. A number is also what a program wrote into
# its formula, a leaf that is nobody's.

from libc.math cimport fabs, isfinite

from base.eval cimport (MF_ADD, MF_ANY, MF_CALL, MF_CHOICE, MF_COMPARE, MF_CUSTOM, MF_EQUAL,
                        MF_FIRST_OP, MF_LARGEST, MF_LEAF, MF_LINK, MF_MUL, MF_N_EAGER_OPS,
                        MF_PARAM, MF_POW, MF_REACHED, MF_SMALLEST, MF_TAKE, MF_UNARY, MF_VPOW,
                        mf_forward, mf_kind_of_partials, mf_ops)
from base.memory cimport mf_resized
from engine.modes cimport mf_n_modes, mf_tracing_here
from engine.node cimport MF_F_HOOK, MF_F_STASHED, MF_NONE, mf_is_number, mf_node
from engine.node_backward cimport mf_partials_fail
from engine.order cimport MF_WALK_RESULTS, mf_order_fill, mf_order_free
from engine.store cimport mf_leaf_new, mf_mark_number, mf_node_new, mf_node_release, mf_order

cdef enum:
    MAX_RULE = 48                    # steps
    MADE_HERE = -1                   # for the place of a term
    RULE_X = -1                      # beside ops, in a step
    RULE_Y = -2
    RULE_Z = -3
    RULE_NUMBER = -4


cdef enum:                           # what made an adjoint 0, so that nothing is reached
    BY_NUMBERS                       # no choice
    BY_OP                            # relu, a maximum and the like: products stay products
    BY_CONDITION                     # an arm that was not taken, where everything may be wrong


cdef struct term:
    int32_t id       # MF_NONE: the number
    double number
    int chosen       # of an adjoint: BY_...; of a partial: not BY_NUMBERS where a 0 is a choice


cdef struct operand_partial:
    int32_t operand
    term partial


cdef struct rule_step:               # a node of a rule's tree; operands stand before their users
    int op                           # a code of the table, or RULE_...
    int x, y                         # the steps that are its operands
    double number


cdef struct rule:
    int n                            # the last step is the partial
    rule_step steps[MAX_RULE]


cdef rule rules[MF_N_EAGER_OPS][2]   # by op and operand; n is 0 where the partial is 0 or unread
cdef bint rules_read = False


def set_rules(table) -> None:
    """The rules of all ops: for each row of OPS, for each operand, a list of steps (op, x, y,
    number). op: the name of an op or 'x', 'y', 'z', 'number'; x, y: earlier steps."""
    global rules_read
    cdef int code, k, n
    cdef dict codes = {"x": RULE_X, "y": RULE_Y, "z": RULE_Z, "number": RULE_NUMBER}
    for code in range(MF_FIRST_OP, MF_N_EAGER_OPS):
        codes[mf_ops[code].name.decode()] = code
    for code, by_operand in enumerate(table, MF_FIRST_OP):
        for k, steps in enumerate(by_operand):
            if len(steps) > MAX_RULE:
                name = mf_ops[code].name.decode()
                raise ValueError(f"a rule of {name} has over {MAX_RULE} steps")
            for n, (op, x, y, number) in enumerate(steps):
                rules[code][k].steps[n] = rule_step(codes[op], x, y, number)
            rules[code][k].n = len(steps)
    rules_read = True


cdef inline term number_term(double number) noexcept:
    return term(MF_NONE, number, BY_NUMBERS)


cdef inline term node_term(int32_t id) noexcept:
    return term(id, 0.0, BY_NUMBERS)


cdef inline bint is_the_number(term a, double number) noexcept:
    return a.id < 0 and a.number == number


@cython.internal
cdef class Derivation:
    """One call of gradients or tangents: the terms of the nodes that depend on xs."""
    cdef IdMap places            # by node: where its term is in terms, + 1; or MADE_HERE
    cdef term *terms
    cdef int32_t n_terms, cap_terms
    cdef int32_t *made           # nodes made here, one use of each
    cdef int64_t n_made, cap_made
    cdef operand_partial *partials   # of the node that find_partials() looked at last
    cdef int32_t n_partials, cap_partials
    cdef mf_order order
    cdef list asked              # what the rules of custom ops gave

    def __cinit__(self):
        self.places = IdMap()
        self.asked = []

    def __dealloc__(self):
        cdef int64_t k
        for k in range(self.n_made - 1, -1, -1):
            mf_node_release(&store, self.made[k])
        free(self.made)
        free(self.terms)
        free(self.partials)
        mf_order_free(&self.order)

    # ---- nodes ----

    cdef int32_t keep(self, int32_t id) except -1:
        """A new node, one use of which is this object's."""
        cdef void *block
        if id < 0:
            raise_no_node()
        if self.n_made == self.cap_made:
            block = mf_resized(self.made, 2 * self.cap_made + 64, sizeof(int32_t))
            if block is NULL:
                mf_node_release(&store, id)
                raise MemoryError("no room for a derivative")
            self.made, self.cap_made = <int32_t *>block, 2 * self.cap_made + 64
        self.made[self.n_made] = id
        self.n_made += 1
        self.places.at(id)[0] = MADE_HERE
        return id

    cdef int32_t node_of(self, term a) except -1:
        return a.id if a.id >= 0 else self.keep(mf_leaf_new(&store, a.number))

    cdef term new(self, int op, term x, term y) except *:
        """op of terms, of which one is a node. What has no number here has IEEE's: whether the
        derivative exists is asked before."""
        cdef bint unary = mf_ops[op].kind == MF_UNARY
        cdef int32_t a = self.node_of(x), b = MF_NONE if unary else self.node_of(y)
        cdef double z = 0.0
        mf_forward(op, store.data[a], 0.0 if unary else store.data[b], &z)
        if op == MF_VPOW and x.id < 0:
            mf_mark_number(&store, a)
        return node_term(self.keep(mf_node_new(&store, z, a, b, op)))

    cdef term apply(self, int op, term x, term y) except *:
        """op of terms, simplified."""
        cdef double z = 0.0
        if x.id < 0 and (y.id < 0 or mf_ops[op].kind == MF_UNARY):
            mf_forward(op, x.number, y.number, &z)
            return number_term(z)
        if op == MF_ADD:
            return self.plus(x, y)
        if op == MF_MUL:
            return self.times(x, y)
        if op == MF_VPOW and y.id < 0:
            op = MF_POW
        if op == MF_POW and (y.number == 0.0 or y.number == 1.0):
            return x if y.number == 1.0 else number_term(1.0)
        return self.new(op, x, y)

    cdef term plus(self, term x, term y) except *:
        if x.id < 0 and y.id < 0:
            return number_term(x.number + y.number)
        if is_the_number(x, 0.0):
            return y
        if is_the_number(y, 0.0):
            return x
        return self.new(MF_ADD, y, x) if x.id < 0 else self.new(MF_ADD, x, y)

    cdef term times(self, term x, term y) except *:
        """A number comes last. Signs meet where both are made here: (a * -1) * c is a * -c."""
        cdef term inner, sign
        if x.id < 0 and y.id < 0:
            return number_term(x.number * y.number)
        if x.id < 0:
            x, y = y, x
        if y.id < 0:
            if y.number == 0.0 or y.number == 1.0:
                return y if y.number == 0.0 else x
            if store.nodes[x.id].op == MF_MUL and self.places.at(x.id)[0] == MADE_HERE:
                inner, sign = self.known(store.nodes[x.id].x), self.known(store.nodes[x.id].y)
                if sign.id < 0 and (fabs(sign.number) == 1.0 or fabs(y.number) == 1.0):
                    return self.times(inner, number_term(sign.number * y.number))
        return self.new(MF_MUL, x, y)

    cdef term known(self, int32_t id) except *:
        """A node as a term: a leaf that is nobody's is a number."""
        cdef const mf_node *n = &store.nodes[id]
        if n.op == MF_LEAF and store.owners[id] < 0 and not n.flags & MF_F_STASHED:
            return number_term(store.data[id])
        return node_term(id)

    # ---- rules ----

    cdef term partial(self, int32_t id, int operand) except *:
        """d node / d operand by the op's rule. Raises what backward() raises there."""
        cdef const mf_node *n = &store.nodes[id]
        cdef const rule *r = &rules[n.op][operand]
        cdef term y = number_term(0.0)
        if n.y >= 0:
            y = number_term(store.data[n.y]) if mf_ops[n.op].kind == MF_PARAM else self.known(n.y)
        if r.n == 0:
            return number_term(0.0)
        cdef term found = self.step(r, r.n - 1, self.known(n.x), y, node_term(id))
        if mf_kind_of_partials(store.nodes[id].op) == MF_CHOICE:
            found.chosen = BY_OP
        elif store.nodes[id].op == MF_REACHED and operand == 0:
            found.chosen = BY_CONDITION
        else:
            found.chosen = BY_NUMBERS
        return found

    cdef term step(self, const rule *r, int k, term x, term y, term z) except *:
        cdef const rule_step *s = &r.steps[k]
        cdef term a, b = number_term(0.0)   # a factor of 0 leaves the other one out
        if s.op == RULE_X:
            return x
        if s.op == RULE_Y:
            return y
        if s.op == RULE_Z:
            return z
        if s.op == RULE_NUMBER:
            return number_term(s.number)
        if mf_ops[s.op].kind != MF_UNARY:
            b = self.step(r, s.y, x, y, z)
            if s.op == MF_MUL and is_the_number(b, 0.0):
                return b
        a = self.step(r, s.x, x, y, z)
        return self.apply(s.op, a, b)

    cdef term share(self, int32_t id, int32_t child, term n_equal) except *:
        """d extreme / d child: of what is as large as it is, each its share. n_equal: how many."""
        cdef term c = self.apply(MF_COMPARE, self.known(child), node_term(id))
        cdef double sign = 1.0 if store.nodes[id].op == MF_LARGEST else -1.0
        c = self.plus(self.times(c, number_term(sign)), number_term(1.0))
        return self.times(c, self.apply(MF_POW, n_equal, number_term(-1.0)))

    cdef term n_equal(self, int32_t id, list children) except *:
        cdef term n = number_term(0.0)
        for child in children:
            n = self.plus(n, self.share(id, child, number_term(1.0)))
        return n

    cdef term is_not_zero(self, term g) except *:
        cdef term zero = self.new(MF_EQUAL, g, number_term(0.0))
        return self.plus(self.times(zero, number_term(-1.0)), number_term(1.0))

    cdef term contribution(self, int op, term partial, term g) except *:
        """What a partial of an op and the adjoint of its result add. As in backward() (reach.h)
        zero times infinity is not computed where a choice has made the 0."""
        cdef bint apart = mf_kind_of_partials(op) == MF_ANY and (
            g.chosen == BY_CONDITION or g.chosen == BY_OP and op != MF_MUL)
        cdef term found
        cdef int chosen
        if g.id >= 0 and apart and partial.id < 0 and not isfinite(partial.number):
            found = self.new(MF_REACHED, partial, g)
        elif partial.id >= 0 and partial.chosen and g.id < 0 and not isfinite(g.number):
            found = self.new(MF_REACHED, g, partial)
        elif partial.id < 0 or g.id < 0:
            found = self.times(partial, g)
        elif g.chosen == BY_CONDITION and (op == MF_LARGEST or op == MF_SMALLEST
                                           or mf_kind_of_partials(op) != MF_ANY):
            # What is nan has a nan for its choice, by the rules of relu, abs and extremes.
            chosen = partial.chosen
            partial = self.new(MF_REACHED, partial, self.is_not_zero(g))
            partial.chosen = chosen
            found = self.times(g, partial) if not chosen else self.new(MF_REACHED, g, partial)
        elif partial.chosen != BY_NUMBERS:
            found = self.new(MF_REACHED, g, partial)
        else:
            found = self.new(MF_REACHED, partial, g) if apart else self.times(partial, g)
        found.chosen = max(g.chosen, partial.chosen)
        return found

    cdef int check(self, int32_t id) except -1:
        """Raises for a node over xs whose derivative is not known, or does not exist."""
        cdef const mf_node *n = &store.nodes[id]
        cdef double x, y
        if n.op == MF_CALL:
            raise TypeError("a result of a compiled function has its gradient by backward() alone: "
                            "differentiate the function, mg.grad(f), or call its value_and_grad")
        if n.flags & MF_F_HOOK and n.op != MF_LEAF and step_of_rule(id) is None:
            raise TypeError("a node with a _backward in Python has its gradient by backward() "
                            "alone: write it with the ops of Value, or give its derivative in "
                            "Values, mg.custom(f, rule)")
        if n.op < MF_FIRST_OP or mf_n_modes and mf_tracing_here():
            return 0
        x, y = store.data[n.x], store.data[n.y] if n.y >= 0 else 0.0
        if not mf_is_number(&store.nodes[n.x]) and mf_partials_fail(n.op, x, y, store.data[id]):
            raise_backward(id)
        return 0

    # ---- terms of nodes ----

    cdef int32_t *place(self, int32_t id) except NULL:
        """Where the place of a node's term is, a term of 0 if it had none."""
        cdef int32_t *found = self.places.at(id)
        cdef void *block
        if found[0] == 0:
            if self.n_terms == self.cap_terms:
                block = mf_resized(self.terms, 2 * self.cap_terms + 64, sizeof(term))
                if block is NULL:
                    raise MemoryError("no room for a derivative")
                self.terms, self.cap_terms = <term *>block, 2 * self.cap_terms + 64
            self.terms[self.n_terms] = number_term(0.0)
            self.n_terms += 1
            found[0] = self.n_terms
        return found

    cdef inline bint depends(self, int32_t id) except -1:
        return id >= 0 and self.places.at(id)[0] > 0

    cdef inline term at(self, int32_t id) except *:
        """The term of a node; 0 where it does not depend on xs."""
        cdef int32_t k = self.places.at(id)[0] if id >= 0 else 0
        return self.terms[k - 1] if k > 0 else number_term(0.0)

    cdef int add(self, int32_t id, term a) except -1:
        """Adds to the term of a node, if it depends on xs."""
        cdef int32_t k = self.places.at(id)[0]
        cdef int chosen
        if k > 0:
            chosen = max(self.terms[k - 1].chosen, a.chosen)
            a = self.plus(self.terms[k - 1], a)   # may move the terms
            a.chosen = chosen
            self.terms[k - 1] = a
        return 0

    cdef int walk(self, list ys, list xs) except -1:
        """Orders the nodes under ys, and gives each that depends on xs a term."""
        cdef int64_t k
        cdef int32_t id, root
        cdef const mf_node *n
        if not rules_read:
            raise RuntimeError("the rules of the op table have not been read")
        for v in xs:
            self.place((<Value>v).id)
        cdef list roots = ys.copy()
        roots.append(own_leaf(0.0))
        root = self.keep(many_new(0.0, tuple(roots), MF_LINK))
        if not mf_order_fill(&store, &self.order, root, MF_WALK_RESULTS):
            raise MemoryError("no room to order the graph")
        for k in range(self.order.n):
            id = self.order.ids[k]
            n = &store.nodes[id]
            if self.depends(n.x) or self.depends(n.y) or self.reads(id):
                self.place(id)   # of a detached one too, which has no partials
        return 0

    cdef bint reads(self, int32_t id) except -1:
        """Whether a result of a compiled call may depend on xs beside its operands."""
        if store.nodes[id].op != MF_CALL or not store.nodes[id].flags & MF_F_HOOK:
            return False
        step = (<NodeState>value_of(id).state).hook
        if isinstance(step, Step):
            for k in (<Step>step).ids_read():
                if self.depends(k):
                    return True
        return False

    cdef list results(self, list values):
        """The terms of Values, as Values."""
        cdef list found = []
        cdef term a
        cdef bint recorded = records()
        for v in values:
            a = self.at((<Value>v).id)
            if a.id >= 0 and recorded:
                found.append(value_of(a.id))
            else:
                found.append(leaf_value(a.number if a.id < 0 else store.data[a.id]))
        return found

    # ---- of one node ----

    cdef int note(self, int32_t operand, term partial) except -1:
        """The next of the partials of a node, if the operand depends on xs."""
        cdef int32_t cap = 2 * self.cap_partials + 64
        cdef void *block
        if not self.depends(operand) or is_the_number(partial, 0.0):
            return 0
        if self.n_partials == self.cap_partials:
            block = mf_resized(self.partials, cap, sizeof(operand_partial))
            if block is NULL:
                raise MemoryError("no room for a derivative")
            self.partials, self.cap_partials = <operand_partial *>block, cap
        self.partials[self.n_partials].operand = operand
        self.partials[self.n_partials].partial = partial
        self.n_partials += 1
        return 0

    cdef int find_partials(self, int32_t id) except -1:
        """Of a node by its operands, as terms. Raises where one does not exist."""
        cdef const mf_node *n = &store.nodes[id]
        cdef int32_t x = n.x, y = n.y
        cdef int op = n.op
        self.n_partials = 0
        self.check(id)
        if op >= MF_FIRST_OP:
            if self.depends(x):
                self.note(x, self.partial(id, 0))
            if y >= 0 and mf_ops[op].kind != MF_PARAM and self.depends(y):
                self.note(y, self.partial(id, 1))
        elif op == MF_CUSTOM and x >= 0:   # of steps in Python check() leaves those with a rule
            self.ask(id, step_of_rule(id))
        elif op == MF_CUSTOM:   # y: the first link
            while y >= 0:
                self.note(store.nodes[y].x, number_term(store.data[y]))
                y = store.nodes[y].y
        elif op == MF_TAKE:
            self.find_gates(id)
        elif op == MF_LARGEST or op == MF_SMALLEST:
            self.find_choices(id)
        return 0

    cdef int find_gates(self, int32_t id) except -1:
        """Of what an index chooses: 1 by that, 0 by the others, whatever they are."""
        cdef list children = operand_ids(id)
        cdef term gate
        cdef int k
        for k in range(1, len(children)):
            if self.depends(children[k]):
                gate = self.apply(MF_EQUAL, self.known(children[0]), number_term(k - 1))
                gate.chosen = BY_CONDITION
                self.note(children[k], gate)
        return 0

    cdef int ask(self, int32_t id, RuleStep step) except -1:
        """The partials of a custom op, by its rule."""
        cdef Value out = value_of(id)
        cdef tuple children = children_of(out)
        cdef list partials = step.ask(out, children)
        self.asked.append(partials)
        for child, p in zip(children, partials, strict=True):
            self.note((<Value>child).id, seed_of(p))
        return 0

    cdef int find_choices(self, int32_t id) except -1:
        cdef list children = operand_ids(id)
        cdef term n_equal, share
        n_equal = self.n_equal(id, children)
        for child in children:
            if self.depends(child):
                share = self.share(id, child, n_equal)
                share.chosen = BY_OP
                self.note(child, share)
        return 0

    # ---- both modes ----

    cdef int pull(self, int32_t id) except -1:
        """Passes the adjoint of a node on to its operands."""
        cdef const mf_node *n = &store.nodes[id]
        cdef term g = self.at(id)
        cdef int32_t k
        if n.op == MF_LINK or is_the_number(g, 0.0):
            return 0
        if not (self.depends(n.x) or self.depends(n.y) or self.reads(id)):
            return 0   # an x itself
        self.find_partials(id)
        for k in range(self.n_partials):
            self.add(self.partials[k].operand,
                     self.contribution(store.nodes[id].op, self.partials[k].partial, g))
        return 0

    cdef int push(self, int32_t id) except -1:
        """The tangent of a node by those of its operands."""
        cdef term t = number_term(0.0)
        cdef int32_t k
        if store.nodes[id].op == MF_TAKE:
            t = self.taken(id)
        else:
            self.find_partials(id)
            for k in range(self.n_partials):
                t = self.plus(t, self.contribution(store.nodes[id].op, self.partials[k].partial,
                                                   self.at(self.partials[k].operand)))
        t.chosen = BY_NUMBERS
        self.terms[self.places.at(id)[0] - 1] = t
        return 0

    cdef term taken(self, int32_t id) except *:
        """The tangent of what an index chooses: it chooses that too."""
        cdef list tangents = []
        cdef list ids = operand_ids(id)
        for child in ids[1:]:
            tangents.append(value_of(self.node_of(self.at(child))))
        return node_term(self.keep(many_new(0.0, (value_of(ids[0]), *tangents), MF_TAKE)))


def stand_in(Value v not None) -> Value:
    """A Value of v's class without attributes, of the number and derivative of v: what depends on
    it is told from what depends on v by another way. Recorded under no_grad too."""
    cdef object kind = type(v)
    cdef Value value
    cdef int32_t id
    if kind is Value:
        value = blank_value()
        adopt(value, times_node(v.id, 1.0))
        return value
    # Without the class's own __new__ and __init__.
    value = mf_value_new(<PyTypeObject *>kind, NULL, NULL)
    id = times_node(v.id, 1.0)
    if id < 0:
        raise_no_node()
    replace_node(value, id)
    return value


cdef term seed_of(object seed) except *:
    return node_term((<Value>seed).id) if isinstance(seed, Value) else number_term(seed)


def pullback(list ys not None, list seeds not None, list xs not None) -> list:
    """For each x the Value sum(seed * dy/dx) over the ys, built by reverse mode. ys, xs: Values;
    seeds: Values or floats, one for each y. Raises TypeError where a node between them has no
    derivative that is made of ops, and what backward() raises where it does not exist."""
    cdef Derivation d = Derivation()
    cdef int64_t k
    d.walk(ys, xs)
    for y, seed in zip(ys, seeds, strict=True):
        d.add((<Value>y).id, seed_of(seed))
    for k in range(d.order.n - 1, -1, -1):
        d.pull(d.order.ids[k])
    return d.results(xs)


def pushforward(list xs not None, list seeds not None, list ys not None) -> list:
    """For each y the Value sum(seed * dy/dx) over the xs, built by forward mode; as pullback()."""
    cdef Derivation d = Derivation()
    cdef int64_t k
    cdef int32_t id
    d.walk(ys, xs)
    cdef IdMap given = IdMap()
    for x, seed in zip(xs, seeds, strict=True):
        given.at((<Value>x).id)[0] = 1
        d.add((<Value>x).id, seed_of(seed))
    for k in range(d.order.n):
        id = d.order.ids[k]
        if store.nodes[id].op != MF_LINK and d.depends(id) and not given.at(id)[0]:
            d.push(id)
    return d.results(ys)
