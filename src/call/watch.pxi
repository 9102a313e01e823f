# What a trace read, remembered and looked at again before each call that replays it.
#
# Nothing tells the compiler which global or attribute a function read while it ran. So everything
# is watched that its code can name (micrograd_fast/watch.py) and that is reached from it: globals,
# closures, defaults, functions it calls, attributes of objects and classes, what lists hold.
#
# Only leaves are held: numbers, text, Values, code. Containers, objects and functions are borrowed,
# see watch.h, so that an object with a compiled method goes as soon as the last reference does.

from micrograd_fast import watch as watching

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.dict cimport PyDict_GetItemWithError, PyDict_Next
from cpython.object cimport hashfunc
from cpython.list cimport PyList_SET_ITEM
from cpython.method cimport PyMethod_Check

from call.watch cimport (MF_WATCH_DICT, MF_WATCH_ITEMS, MF_WATCH_OBJECT, MF_WATCH_TYPE,
                         MF_WATCH_WORD, mf_items_of, mf_type_version, mf_version_drop,
                         mf_watch_scan, mf_watched)

cdef extern from "Python.h":
    ctypedef struct PyFunctionObject:
        PyObject *func_code
        PyObject *func_globals
        PyObject *func_defaults
        PyObject *func_kwdefaults
        PyObject *func_closure
        PyObject *func_dict
    ctypedef struct PyCellObject:
        PyObject *ob_ref
    ctypedef struct PyMethodObject:
        PyObject *im_func
        PyObject *im_self
    bint PyFunction_Check(object o)
    bint PyCell_Check(object o)
    bint PyModule_Check(object o)
    bint PyList_Check(object o)
    bint PyTuple_Check(object o)
    bint PyDict_Check(object o)
    bint PyType_Check(object o)
    PyObject **_PyObject_GetDictPtr(object o)
    object PyObject_GenericGetDict(object o, void *unused)
    Py_ssize_t Py_SIZE(object o)
    PyTypeObject *Py_TYPE(object o)
    Py_hash_t PyObject_HashNotImplemented(object o) except -1
    unsigned long Py_TPFLAGS_HEAPTYPE
    bint PyType_HasFeature(PyTypeObject *type, unsigned long feature)

cdef enum:
    WHOLE_ARRAY = 65536     # bytes; of a larger one a part is compared
    DEEPEST_LEAF = 32       # of tuples in tuples; what goes deeper is walked


cdef frozenset LEAF_TYPES = frozenset((type(None), bool, int, float, complex, str, bytes, type(...),
                                       type(NotImplemented), range, type(compile("0", "", "eval"))))
# Special methods that no operator and no call of an object comes to.
cdef frozenset NOT_CALLED = frozenset(
    f"__{name}__" for name in ("init", "new", "post_init", "del", "repr", "str", "format", "reduce",
                               "reduce_ex", "getstate", "setstate", "copy", "deepcopy",
                               "init_subclass", "class_getitem", "set_name", "subclasshook", "dir",
                               "sizeof", "getnewargs", "getnewargs_ex"))

cdef frozenset CONSTRUCTING = frozenset(("__init__", "__new__", "__post_init__"))


cdef bint is_leaf(object o, int depth=0) except -1:
    """What may be held: it refers to nothing that could be in a cycle with the function. Asks no
    object of a user anything: that would run code."""
    if type(o) is Value or type(o) is float or type(o) in LEAF_TYPES:
        return True
    if isinstance(o, Value) or isinstance(o, type):
        return True
    if type(o) is tuple or type(o) is frozenset:
        if depth == DEEPEST_LEAF:
            return False
        for item in o:
            if not is_leaf(item, depth + 1):
                return False
        return True
    # What has no hash may change in place, as arrays do.
    return (not PyObject_IS_GC(<PyObject *>o)
            and Py_TYPE(o).tp_hash is not <hashfunc>PyObject_HashNotImplemented)


cdef bint same_leaf(object a, object b) except -1:
    """Whether b may stand for a, of which it is another object: equal to the last bit."""
    cdef double x, y
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, float):   # of NumPy too
        x, y = a, b
        return memcmp(&x, &y, sizeof(double)) == 0
    if type(a) is int or type(a) is str or type(a) is bytes:
        return a == b
    if type(a) is tuple and len(a) == len(b):
        for k in range(len(a)):
            if not same_leaf(a[k], b[k]):
                return False
        return True
    return False


cdef str shown(object o):
    """For a message: a number or a text as it is, else what it is."""
    if o is None or isinstance(o, (int, float, complex, str, bytes)):
        text = repr(o)
        return text if len(text) <= 60 else f"{text[:57]}..."
    if isinstance(o, type):
        return f"class {o.__name__}"
    return f"{type(o).__name__}"


cdef str told(tuple label):
    """Where something stands: (words before the name, name, label of what it is in)."""
    cdef list words = []
    within = label
    while type(within) is tuple:   # as long as a chain of objects is: nothing recurses
        before, name, within = within
        words.append(f"{before}{name!r}" if type(name) is str else f"{before}{name}")
    if within is not None:
        words.append(within)
    return " of ".join(words)


cdef object change(str what, object old, object new):
    """The sentence for it. old: held, or None where nothing is left to show; new: likewise."""
    if new is GONE:
        return f"{what} is gone"
    if old is GONE:
        return f"{what} is new: {shown(new)}"
    if type(old) is type(new) and not isinstance(old, (int, float, complex, str, bytes)):
        return f"{what} is another {shown(new)}"
    if old is UNKNOWN:
        return f"{what} is another {type(new).__name__}"
    return f"{what} changed from {shown(old)} to {shown(new)}"


cdef object GONE = object()
cdef object UNKNOWN = object()   # what was borrowed and may be gone


@cython.internal
cdef class Names:
    """Values of a dict, or attributes of a class, by key: borrowed pointers, leaves held beside."""
    cdef list keys
    cdef list leaves        # leaf, UNKNOWN, or GONE where there was none
    cdef PyObject **values
    cdef object wanted      # of those of a dict that counts whole: a set of names; None: all
    cdef bint only_added    # whether the last change found put something where nothing was
    cdef bint by_key        # each key is looked up, else the dict is gone through

    def __dealloc__(self):
        free(self.values)

    cdef int fill(self, list keys, list values) except -1:
        """values: objects, GONE where there is none."""
        cdef Py_ssize_t k
        free(self.values)
        self.values = <PyObject **>some_memory(max(1, len(keys)), sizeof(PyObject *))
        self.keys = [key if is_leaf(key) else UNKNOWN for key in keys]
        self.leaves = []
        for k in range(len(keys)):
            self.values[k] = NULL if values[k] is GONE else <PyObject *>values[k]
            self.leaves.append(values[k] if values[k] is GONE or is_leaf(values[k]) else UNKNOWN)
        return 0

    cdef object check(self, Py_ssize_t k, PyObject *now, object label, str before):
        """None where entry k is now the same, else what changed."""
        if now == self.values[k]:
            return None
        new = GONE if now is NULL else <object>now
        if new is not GONE and self.leaves[k] is not UNKNOWN and same_leaf(self.leaves[k], new):
            self.leaves[k] = new
            self.values[k] = now
            return None
        self.only_added = self.leaves[k] is GONE or self.leaves[k] is None
        return change(told((before, self.keys[k], label)), self.leaves[k], new)

    cdef object changed_in(self, object found, object label, str before):
        """What changed in a dict, or None."""
        cdef Py_ssize_t k = 0, place = 0
        cdef PyObject *key
        cdef PyObject *value
        if self.by_key:
            for k in range(len(self.keys)):
                text = self.check(k, PyDict_GetItemWithError(found, self.keys[k]), label, before)
                if text is not None:
                    return text
            return None
        while PyDict_Next(found, &place, &key, &value):
            if not counts(<object>key, self.wanted):
                continue
            if k >= len(self.keys) or not (
                    self.keys[k] is <object>key or same_leaf(self.keys[k], <object>key)):
                if k < len(self.keys) and self.keys[k] is not UNKNOWN and (
                        self.keys[k] not in found):
                    return change(told((before, self.keys[k], label)), self.leaves[k], GONE)
                return self.other_keys(<object>key, <object>value, label, before)
            text = self.check(k, value, label, before)
            if text is not None:
                return text
            k += 1
        if k < len(self.keys):
            return change(told((before, self.keys[k], label)), self.leaves[k], GONE)
        return None

    cdef list all_changed(self, object found):
        """The keys that are not what they were, but for those that are new, which is how attributes
        are made that the next trace will find."""
        cdef list changed = []
        cdef Py_ssize_t k
        for k in range(len(self.keys)):
            if self.leaves[k] is not None and self.leaves[k] is not GONE and (
                    PyDict_GetItemWithError(found, self.keys[k]) != self.values[k]):
                changed.append(self.keys[k])
        return changed

    cdef object other_keys(self, key, value, label, before):
        self.only_added = True
        name = key if is_leaf(key) else type(key).__name__
        return change(told((before, name, label)), GONE, value)


cdef inline bint counts(object key, object wanted) except -1:
    if wanted is not None:
        return key in wanted if type(key) is str else False
    return not (type(key) is str and (<str>key).startswith("_compiled_"))


@cython.internal
cdef class Members:
    """Attributes in C of an object that cannot be changed in place, such as those of a partial."""
    cdef tuple names
    cdef tuple ids

    cdef bint same(self, object o) except -1:
        return tuple([id(getattr(o, name, None)) for name in self.names]) == self.ids


@cython.internal
cdef class Copied:
    """What a small object of C compares equal to: a set, a deque, a bytearray, an array.array."""
    cdef object copy

    cdef bint same(self, object o) except -1:
        return type(o) is type(self.copy) and o == self.copy


@cython.internal
cdef class Elements:
    """The elements of a NumPy array: shape, type, and the bytes, or a part of the bytes."""
    cdef object form
    cdef bytes data
    cdef list leaves   # of object arrays

    cdef bint same(self, object o) except -1:
        return form_of(o) == self.form and elements_of(o) == self.data


cdef tuple form_of(object array):
    return (type(array), array.shape, array.dtype.str, array.strides)


cdef bytes elements_of(object array):
    """The bytes that are compared: all, or the ends and some hundred elements between them."""
    cdef Py_ssize_t step
    if array.nbytes <= WHOLE_ARRAY:
        return array.tobytes()
    flat = array.reshape(-1) if array.flags.c_contiguous else array.flat
    step = max(1, array.size // 509)
    return flat[:512].tobytes() + flat[::step].tobytes() + flat[array.size - 512:].tobytes()


cdef uint64_t version_for(object kind) except? 0:
    """Of a class; looking an attribute up gives it one."""
    _PyType_Lookup(<PyTypeObject *>kind, "__class__")
    return mf_type_version(<PyTypeObject *>kind)


cdef class Watched:
    """What there is to watch, and the look whether it has changed."""
    cdef mf_watched *entries
    cdef Py_ssize_t n, cap
    cdef list labels         # an entry's place in words, see told()
    cdef list records        # what entries' index refers to
    cdef list classes        # those among the entries
    cdef set names           # attributes that the code may mean
    cdef bint any_name       # or all
    cdef bint only_added     # whether the last change found took nothing away

    def __dealloc__(self):
        self.drop_entries()

    cdef int drop_entries(self) except -1:
        cdef Py_ssize_t k
        for k in range(self.n):
            if self.entries[k].version is not NULL:
                mf_version_drop(self.entries[k].version)
            if self.entries[k].kind == MF_WATCH_ITEMS:
                free(self.entries[k].saved)   # the pointers, where not all items could be held
        free(self.entries)
        self.entries = NULL
        self.n = self.cap = 0
        return 0

    cdef bint is_current(self) except -1:
        """Whether all is as it was. Runs no Python code."""
        cdef Py_ssize_t k = mf_watch_scan(self.entries, 0, self.n)
        while k < self.n:
            if self.changed(k) is not None:
                return False
            k = mf_watch_scan(self.entries, k + 1, self.n)
        return True

    def change(self):
        """What has changed, in words; None: nothing."""
        cdef Py_ssize_t k = mf_watch_scan(self.entries, 0, self.n)
        while k < self.n:
            text = self.changed(k)
            if text is not None:
                return text
            k = mf_watch_scan(self.entries, k + 1, self.n)
        return None

    def __len__(self):
        return self.n

    cdef object changed(self, Py_ssize_t k):
        """What an entry that does not look the same has become, or None: it is the same."""
        cdef mf_watched *w = &self.entries[k]
        cdef tuple label = self.labels[k]
        self.only_added = False
        if w.kind == MF_WATCH_WORD:
            return self.changed_word(w, label)
        if w.kind == MF_WATCH_TYPE:
            return self.changed_type(w, label)
        if Py_TYPE(<object>w.object) != w.type:
            return f"{told(label)} is of another class, {type(<object>w.object).__name__}"
        if w.kind == MF_WATCH_OBJECT:
            if w.where[0] != w.saved:
                return f"__dict__ of {told(label)} is another one"
            return self.changed_dict(w, <object>w.saved, "attribute ",
                                     type(<object>w.object).__name__)
        if w.kind == MF_WATCH_DICT:
            return self.changed_dict(w, <object>w.object, label[0], label[2])
        if w.kind == MF_WATCH_ITEMS:
            return self.changed_items(w, label)
        return self.changed_slowly(w, label)

    cdef object changed_dict(self, mf_watched *w, object found, str before, object label):
        cdef uint64_t version = w.version[0]
        cdef Names then = <Names>self.records[w.index]
        text = then.changed_in(found, label, before)
        self.only_added = then.only_added
        if text is None:
            w.seen = version
        return text

    cdef object changed_word(self, mf_watched *w, tuple label):
        cdef PyObject *now = w.where[0]
        new = GONE if now is NULL else <object>now
        old = self.records[w.index] if w.index >= 0 else UNKNOWN
        if new is not GONE and old is not UNKNOWN and same_leaf(old, new):
            self.records[w.index] = new
            w.saved = now
            return None
        return change(told(label), old, new)

    cdef object changed_items(self, mf_watched *w, tuple label):
        cdef PyObject **now
        cdef Py_ssize_t k, n = Py_SIZE(<object>w.object)
        if <uint64_t>n != w.seen:
            self.only_added = n > <Py_ssize_t>w.seen and (w.seen == 0 or memcmp(
                mf_items_of(w.object), w.where, w.seen * sizeof(PyObject *)) == 0)
            return f"the length of {told(label)} changed from {w.seen} to {n}"
        now = mf_items_of(w.object)
        for k in range(n):
            if now[k] == w.where[k]:
                continue
            old = (<list>self.records[w.index])[k] if w.index >= 0 else UNKNOWN
            if old is UNKNOWN or not same_leaf(old, <object>now[k]):
                return change(told(("item ", k, label)), old, <object>now[k])
            (<list>self.records[w.index])[k] = <object>now[k]
            w.where[k] = now[k]
        return None

    cdef object changed_type(self, mf_watched *w, tuple label):
        cdef Names then = <Names>self.records[w.index]
        cdef list keys = [], values = []
        cdef Py_ssize_t k
        kind = <object>w.object
        self.class_reads(kind, keys, values, then.wanted)
        for k in range(min(len(keys), len(then.keys))):
            if keys[k] != then.keys[k]:
                break
            text = then.check(k, <PyObject *>values[k], f"class {kind.__name__}", "attribute ")
            if text is not None:
                return text
        if keys != then.keys:
            other = set(keys) ^ set(then.keys)
            return f"class {kind.__name__} has other attributes: {', '.join(sorted(other))}"
        w.seen = version_for(kind)
        return None

    cdef object changed_slowly(self, mf_watched *w, tuple label):
        record = self.records[w.index]
        o = <object>w.object
        if type(record) is Elements:
            same = (<Elements>record).same(o)
        elif type(record) is Copied:
            same = (<Copied>record).same(o)
        else:
            same = (<Members>record).same(o)
        return None if same else f"{told(label)} has changed: {type(o).__name__}"

    cdef int class_reads(self, object kind, list keys, list values, bint constructed) except -1:
        """The attributes of a class and those above it that the code may mean."""
        cdef set known = set()
        for base in kind.__mro__:
            if base is not Value and watching.is_opaque_class(base):
                continue
            for name, value in list(base.__dict__.items()):
                if name not in known and self.means(name, value, constructed):
                    known.add(name)
                    keys.append(name)
                    values.append(value)
        return 0

    cdef bint means(self, object name, object value, bint constructed) except -1:
        if type(name) is not str:
            return False
        if (<str>name).startswith("__") and (<str>name).endswith("__"):
            if not PyFunction_Check(value):
                return False
            return name in CONSTRUCTING if name in NOT_CALLED and constructed else (
                name not in NOT_CALLED)
        return self.any_name or name in self.names
