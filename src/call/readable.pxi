# Finds what a function may read beside its arguments: everything that its code can name and that is
# reached from it.

from base.memory cimport mf_resized
from call.watch cimport (MF_WATCH_DICT, MF_WATCH_ITEMS, MF_WATCH_OBJECT, MF_WATCH_SLOW,
                         MF_WATCH_TYPE, MF_WATCH_WORD, mf_items_of, mf_slot_offset, mf_version_of,
                         mf_version_of_attributes, mf_watch_scan, mf_watched)

cdef enum:
    MAX_WATCHED = 16384     # objects and containers of one trace; a call looks at each
    MAX_ROUNDS = 8          # until no more names are found
    MAX_SET = 64            # items of a set that is compared


cdef class Watch(Watched):
    """Everything that a function may read beside its arguments, as it is when this is made.

    First settle(), then look with change() while the function (of a bound method: the object too)
    is alive.
    """
    cdef dict seen           # id -> object, until it is settled
    cdef list todo           # objects to walk
    cdef list code_todo      # functions, classes and methods, which come first: they give names
    cdef set skipped         # keys of dicts and classes walked that were no names then
    cdef list modules        # dicts of the modules walked
    cdef bint again          # whether a name came too late
    cdef dict kinds          # class -> its slots, () of a class that is opaque
    cdef dict global_names   # id of a globals dict -> names watched there
    cdef dict not_watched    # id of a dict, list or cell -> what a trace itself changes there
    cdef readonly list sources   # of random numbers or time, among what was reached
    cdef readonly list codes     # code objects reached
    cdef readonly bint full      # MAX_WATCHED was not enough

    def __init__(self, function, Watch before=None, tuple kinds=()):
        """before: settled after the trace, whose own changes do not count. kinds: classes of
        Values that the function is called with."""
        cdef int k
        self.names = set()
        self.not_watched = {} if before is None else before.not_watched
        for k in range(MAX_ROUNDS):
            self.begin()
            if PyMethod_Check(function):   # made anew each time that it is asked for
                self.visit(function.__func__, ("", "the function", None))
                self.visit(function.__self__, ("", "the object", None))
            else:
                self.visit(function, ("", "the function", None))
            self.walk_code()
            self.visit_class(Value)
            for kind in kinds:
                self.visit_class(kind)
            self.walk()
            if not self.again:
                break
        self.global_names = self.kinds = None
        self.todo = self.code_todo = self.modules = self.skipped = None

    def settle(self) -> list:
        """All that has changed since this was made, in words; "" for what was only added. From now
        on this holds no object."""
        cdef Py_ssize_t k = mf_watch_scan(self.entries, 0, self.n)
        cdef list found = []
        while k < self.n:
            text = self.changed(k)
            if text is not None:
                found.append("" if self.only_added else text)
                self.leave_alone(k)
            k = mf_watch_scan(self.entries, k + 1, self.n)
        self.seen = self.sources = self.codes = None
        return found

    cdef int leave_alone(self, Py_ssize_t k) except -1:
        """What the trace of the function changed: the next trace would do so again."""
        cdef mf_watched *w = &self.entries[k]
        if w.kind == MF_WATCH_OBJECT or w.kind == MF_WATCH_DICT:
            found = <object>(w.saved if w.kind == MF_WATCH_OBJECT else w.object)
            names = (<Names>self.records[w.index]).all_changed(found)
            self.not_watched.setdefault(id(found), set()).update(names)
        elif w.kind == MF_WATCH_WORD:
            self.not_watched[<uintptr_t>w.where] = None
        else:
            self.not_watched[<uintptr_t>w.object] = None
        return 0

    cdef int begin(self) except -1:
        self.drop_entries()
        self.labels, self.records, self.classes, self.todo = [], [], [], []
        self.code_todo, self.modules = [], []
        self.seen, self.global_names, self.kinds = {}, {}, {}
        self.skipped = set()
        self.sources, self.codes = [], []
        self.full = self.again = False
        return 0

    cdef int add(self, int kind, object o, tuple label, object record) except -1:
        """An entry for o, to be filled. Its place is self.n - 1."""
        cdef mf_watched *w
        cdef Py_ssize_t cap
        if self.n == self.cap:
            cap = max(64, 2 * self.cap)
            w = <mf_watched *>mf_resized(self.entries, cap, sizeof(mf_watched))
            if w is NULL:
                raise MemoryError("no room to watch what the function reads")
            self.entries, self.cap = w, cap
        self.labels.append(label)
        w = &self.entries[self.n]
        memset(w, 0, sizeof(mf_watched))
        w.kind = kind
        w.object = <PyObject *>o
        w.type = Py_TYPE(o)
        w.index = -1
        if record is not None:
            w.index = <int32_t>len(self.records)
            self.records.append(record)
        self.n += 1
        return 0

    cdef int visit(self, object o, tuple label) except -1:
        """Puts o on the list of what is to be walked, if anything in it may change."""
        if is_leaf(o) and not isinstance(o, type):
            return 0
        if id(o) in self.seen or self.not_watched.get(id(o), o) is None:
            return 0
        if len(self.seen) >= MAX_WATCHED:
            self.full = True
            return 0
        self.seen[id(o)] = o
        code = PyFunction_Check(o) or isinstance(o, type) or PyMethod_Check(o)
        (self.code_todo if code else self.todo).append((o, label))
        return 0

    cdef int walk_code(self) except -1:
        cdef Py_ssize_t k = 0
        while k < len(self.code_todo):
            o, label = self.code_todo[k]
            k += 1
            if PyFunction_Check(o):
                self.walk_function(o, label)
            elif PyMethod_Check(o):
                self.walk_method(o, label)
            else:
                self.walk_type(o, True)
        self.code_todo = []
        return 0

    cdef int walk(self) except -1:
        cdef Py_ssize_t k = 0
        while k < len(self.todo):
            o, label = self.todo[k]
            k += 1
            if type(o) not in self.kinds and not PyModule_Check(o):
                self.visit_class(type(o))
            if self.code_todo:
                self.walk_code()
            if PyModule_Check(o):
                self.walk_module(o)
            elif PyCell_Check(o):
                self.walk_word(&(<PyCellObject *>o).ob_ref, o, label)
            elif PyList_Check(o) or PyTuple_Check(o):
                self.walk_items(o, label)
                self.walk_object(o, label)
            elif PyDict_Check(o):
                self.walk_dict(o, None, ("item ", None, label))
                self.walk_object(o, label)
            else:
                self.walk_other(o, label)
            if self.code_todo:
                self.walk_code()
        return 0

    cdef int take_names(self, object names, bint any_name) except -1:
        """Names of attributes that code was found to have."""
        cdef set new = set(names) - self.names
        if any_name and not self.any_name:
            self.any_name = True
            self.again = True
        if new:
            self.names |= new
            if not self.skipped.isdisjoint(new):
                self.again = True
            for found in self.modules:
                if not new.isdisjoint(found):
                    self.again = True
        return 0

    cdef int walk_word(self, PyObject **where, object owner, tuple label) except -1:
        """A pointer in an object that may be set anew."""
        if <uintptr_t>where in self.not_watched:
            return 0
        found = <object>where[0] if where[0] is not NULL else None
        self.add(MF_WATCH_WORD, owner, label,
                 found if where[0] is not NULL and is_leaf(found) else None)
        self.entries[self.n - 1].where = where
        self.entries[self.n - 1].saved = where[0]
        if where[0] is not NULL:
            self.visit(found, label)
        return 0

    cdef int walk_function(self, object function, tuple label) except -1:
        cdef PyFunctionObject *f = <PyFunctionObject *>function
        name = function.__name__
        self.walk_word(&f.func_code, function, ("the code of ", name, None))
        self.walk_word(&f.func_defaults, function, ("the defaults of ", name, None))
        self.walk_word(&f.func_kwdefaults, function, ("the keyword defaults of ", name, None))
        # None: made by exec() in a dict without __name__, by the user.
        if function.__module__ is not None and watching.is_opaque(function.__module__):
            return 0
        if f.func_dict is not NULL and <dict>f.func_dict:
            self.walk_dict(<dict>f.func_dict, self.names, ("attribute ", None, name))
        code = <object>f.func_code
        self.codes.append(code)
        names, attributes, any_name, only_added, modules = watching.reads(code)
        self.take_names(attributes, any_name)
        self.walk_closure(function, f, code.co_freevars, only_added)
        if function.__module__ not in watching.WALKED_INTO:
            self.walk_globals(<dict>f.func_globals, names)
        for module in modules:
            self.visit(sys.modules.get(module), ("module ", module, None))
        return 0

    cdef int walk_closure(self, object function, PyFunctionObject *f, tuple names,
                          object only_added) except -1:
        cdef Py_ssize_t k
        if f.func_closure is NULL:
            return 0
        cells = <tuple>f.func_closure
        self.add(MF_WATCH_WORD, function, ("the closure of ", function.__name__, None), None)
        self.entries[self.n - 1].where = &f.func_closure
        self.entries[self.n - 1].saved = f.func_closure
        self.add_items(cells, ("the closure of ", function.__name__, None))
        for k in range(len(cells)):
            if names[k] not in only_added:
                self.visit(cells[k], ("variable ", names[k], function.__name__))
        return 0

    cdef int walk_globals(self, dict found, tuple names) except -1:
        """Of the module of a function those names that its code has."""
        cdef set known = self.global_names.setdefault(id(found), set())
        known.update(self.not_watched.get(id(found), ()))
        names = tuple([name for name in names if name not in known])
        if not names:
            return 0
        known.update(names)
        self.watch_names(found, names, ("global ", None, None))
        return 0

    cdef int watch_names(self, dict found, tuple names, tuple label) except -1:
        """An entry for some keys of a dict, each looked up; what they are is visited."""
        cdef Names reads = Names.__new__(Names)
        cdef const uint64_t *version = mf_version_of(<PyObject *>found)
        cdef uint64_t seen = version[0]
        values = [(<dict>found).get(name, GONE) for name in names]
        reads.by_key = True
        reads.fill(list(names), values)
        self.add(MF_WATCH_DICT, found, label, reads)
        self.entries[self.n - 1].version = version
        self.entries[self.n - 1].seen = seen
        for name, value in zip(names, values):
            if value is not GONE:
                self.visit(value, (label[0], name, label[2]))
        return 0

    cdef int walk_module(self, object module) except -1:
        name = getattr(module, "__name__", None)
        if watching.is_opaque(name):
            self.note_source(module)
            return 0
        found = module.__dict__
        self.modules.append(found)
        self.watch_names(found, tuple([n for n in sorted(self.names) if n in found]),
                         ("attribute ", None, f"module {name}"))
        return 0

    cdef int walk_dict(self, object found, object wanted, tuple label) except -1:
        """The values of a dict, of all keys or of some."""
        cdef const uint64_t *version = mf_version_of(<PyObject *>found)
        cdef uint64_t seen = version[0]
        cdef Names reads = Names.__new__(Names)
        own = self.not_watched.get(id(found), ())
        if own:
            wanted = set(found if wanted is None else wanted).difference(own)
        cdef list keys = [key for key in found if counts(key, wanted)]
        cdef list values = [found[key] for key in keys]
        reads.wanted = wanted
        reads.fill(keys, values)
        self.add(MF_WATCH_DICT, found, label, reads)
        self.entries[self.n - 1].version = version
        self.entries[self.n - 1].seen = seen
        for key, value in zip(keys, values):
            self.visit(value, (label[0], key if is_leaf(key) else type(key).__name__, label[2]))
        return 0

    cdef int walk_items(self, object o, tuple label) except -1:
        cdef Py_ssize_t k
        cdef list items = self.add_items(o, label)
        if self.entries[self.n - 1].saved is not NULL:   # not all are leaves
            for k in range(len(items)):
                self.visit(items[k], ("item ", k, label))
        return 0

    cdef list add_items(self, object o, tuple label):
        """An entry for a list or tuple: a copy of it where all in it can be held, else pointers.
        Returns the items."""
        cdef Py_ssize_t k, n
        cdef list items = list(<list>o if PyList_Check(o) else <tuple>o)
        cdef list leaves = items
        cdef PyObject **where = NULL
        n = len(items)
        for k in range(n):
            if not is_leaf(items[k]):
                leaves = [item if is_leaf(item) else UNKNOWN for item in items]
                where = <PyObject **>some_memory(n, sizeof(PyObject *))
                memcpy(where, mf_items_of(<PyObject *>items), n * sizeof(PyObject *))
                break
        self.add(MF_WATCH_ITEMS, o, label, leaves)
        self.entries[self.n - 1].seen = n
        self.entries[self.n - 1].saved = <PyObject *>where
        self.entries[self.n - 1].where = where if where is not NULL else (
            mf_items_of(<PyObject *>items))
        return items

    cdef int walk_method(self, object method, tuple label) except -1:
        self.walk_word(&(<PyMethodObject *>method).im_func, method, label)
        self.walk_word(&(<PyMethodObject *>method).im_self, method, label)
        return 0

    cdef int walk_object(self, object o, tuple label) except -1:
        """The attributes of an object, in its __dict__ and in slots, and its class."""
        cdef PyObject **where
        cdef Names reads
        cdef const uint64_t *version
        cdef uint64_t seen
        kind = type(o)
        where = _PyObject_GetDictPtr(o)
        if where is NULL and not PyType_HasFeature(<PyTypeObject *>kind, Py_TPFLAGS_HEAPTYPE):
            return 0
        if where is not NULL and where[0] is NULL:
            PyObject_GenericGetDict(o, NULL)
            where = _PyObject_GetDictPtr(o)
        if where is not NULL and where[0] is not NULL and type(<object>where[0]) is dict:
            found = <dict>where[0]
            version = mf_version_of_attributes(where[0])
            seen = version[0]
            reads = Names.__new__(Names)
            wanted = None if self.any_name else self.names
            own = self.not_watched.get(id(found), ())
            if own:
                wanted = set(found if wanted is None else wanted).difference(own)
            keys, values = [], []
            for key, value in found.items():
                if counts(key, wanted):
                    keys.append(key)
                    values.append(value)
                else:
                    self.skipped.add(key)
            reads.wanted = wanted
            reads.fill(keys, values)
            self.add(MF_WATCH_OBJECT, o, label, reads)
            self.entries[self.n - 1].where = where
            self.entries[self.n - 1].saved = where[0]
            self.entries[self.n - 1].version = version
            self.entries[self.n - 1].seen = seen
            for key, value in zip(keys, values):
                self.visit(value, ("attribute ", key, kind.__name__))
        else:
            self.walk_word(<PyObject **>&(<PyObject *>o).ob_type, o,
                           ("the class of ", kind.__name__, None))
        for name, offset in self.kinds[kind]:
            self.walk_word(<PyObject **>(<char *><PyObject *>o + <Py_ssize_t>offset), o,
                           ("attribute ", name, kind.__name__))
        return 0

    cdef int visit_class(self, object kind) except -1:
        """Of an object: what it is made by does not count."""
        cdef list slots = []
        if kind in self.kinds:
            return 0
        if watching.is_opaque_class(kind) and kind is not Value:
            self.kinds[kind] = ()
            return 0
        self.kinds[kind] = slots
        self.walk_type(kind, False)
        self.walk_code()
        for base in kind.__mro__:
            if "__slots__" not in base.__dict__:
                continue
            for name, member in list(base.__dict__.items()):
                if mf_slot_offset(member) > 0:
                    if self.any_name or name in self.names:
                        slots.append((name, mf_slot_offset(member)))
                    else:
                        self.skipped.add(name)
        return 0

    cdef int walk_type(self, object kind, bint constructed) except -1:
        cdef Names reads = Names.__new__(Names)
        cdef list keys = [], values = []
        cdef uint64_t seen
        if watching.is_opaque_class(kind) and kind is not Value:
            return self.note_source(kind)
        seen = version_for(kind)
        self.class_reads(kind, keys, values, constructed)
        reads.wanted = constructed
        reads.fill(keys, values)
        self.classes.append(kind)
        self.skipped.update([name for base in kind.__mro__ if base is Value
                             or not watching.is_opaque_class(base)
                             for name in base.__dict__ if name not in keys])
        self.add(MF_WATCH_TYPE, kind, ("class ", kind.__name__, None), reads)
        self.entries[self.n - 1].type = <PyTypeObject *>kind
        self.entries[self.n - 1].seen = seen
        for key, value in zip(keys, values):
            label = ("attribute ", key, f"class {kind.__name__}")
            if type(value) is property:
                self.visit(value.fget, label)
            elif type(value) is staticmethod or type(value) is classmethod:
                self.visit(value.__func__, label)
            elif type(value).__name__ == "cached_property":
                self.visit(getattr(value, "func", None), label)
            else:
                self.visit(value, label)
        return 0

    cdef int walk_other(self, object o, tuple label) except -1:
        record = None
        if isinstance(o, partial):
            return self.walk_members(o, ("func", "args", "keywords"), label)
        if isinstance(o, Dispatcher):
            return self.walk_members(o, ("__wrapped__",), label)
        kind = type(o)
        if watching.is_array(o):
            record = Elements.__new__(Elements)
            (<Elements>record).form = form_of(o)
            (<Elements>record).data = elements_of(o)
            self.add(MF_WATCH_SLOW, o, label, record)
            if o.dtype.kind == "O":
                self.walk_elements(o, <Elements>record, label)
            return 0
        if watching.is_small(o, MAX_SET):
            if all([is_leaf(item) for item in o]):
                record = Copied.__new__(Copied)
                (<Copied>record).copy = o[:] if kind.__name__ == "array" else o.copy()
                self.add(MF_WATCH_SLOW, o, label, record)
            return 0
        if watching.is_opaque_class(kind):
            self.note_source(o)
            if kind.__module__ not in ("types", "argparse"):   # namespaces for anything
                return 0
        return self.walk_object(o, label)

    cdef int walk_elements(self, object array, Elements record, tuple label) except -1:
        cdef list items = array.ravel().tolist()
        record.leaves = [item for item in items if is_leaf(item)]
        for item in items:
            self.visit(item, ("item ", "of an array", label))
        return 0

    cdef int walk_members(self, object o, tuple names, tuple label) except -1:
        cdef Members members = Members.__new__(Members)
        found = [getattr(o, name, None) for name in names]
        members.names = names
        members.ids = tuple([id(value) for value in found])
        self.add(MF_WATCH_SLOW, o, label, members)
        for value in found:
            self.visit(value, label)
        return 0

    cdef int note_source(self, object o) except -1:
        """Random numbers and clocks are told when they are asked, see compiler.py."""
        if watching.is_source(o, self.names):
            self.sources.append(o)
        return 0
