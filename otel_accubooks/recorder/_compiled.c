/* Bound recorders: `plain.py` compiled, for the everyday record.
 *
 * A record is a few stores into shared memory. In Python it costs some hundred times that; here it
 * is done while the GIL is held, so that no thread and no signal handler of Python's comes between,
 * and no lock is taken. All else (a fork, values that are being moved, amounts that are neither
 * float nor small int) is left to the functions of plain.py, which take the lock and raise what
 * there is to raise.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <structmember.h>
#ifdef __linux__
#include <time.h>
#endif

#ifdef Py_GIL_DISABLED
#error "records are made under the GIL: free-threaded Python has the recorders of plain.py"
#endif

typedef struct {
    PyObject_HEAD
    const volatile unsigned int *current; /* the generation of this process: see fork.py */
    volatile double *row;                 /* our values; volatile: each is stored at once, in order */
    PyObject *values;                     /* the view that keeps the memory behind `row` mapped */
    Py_ssize_t at;
    Py_ssize_t slots;
    int kind;
    unsigned int generation; /* of which `row` is; 0 while there is none to write to */
    PyObject *key;
    PyObject *attach;
    PyObject *lock;
    PyObject *bounds; /* from here on, of a histogram only */
    double *limits;   /* the same */
    Py_ssize_t limit_count;
} Series;

/* What of plain.py takes over where a record is not an everyday one. */
enum { ADD, RECORD, RECORD_SINCE, SET, PLAIN };

static const struct {
    const char *type, *method;
} plain_names[PLAIN] = {
    [ADD] = {"Counter", "add"},
    [RECORD] = {"Histogram", "record"},
    [RECORD_SINCE] = {"Histogram", "record_since"},
    [SET] = {"Gauge", "set"},
};

/* Each interpreter of a process has a module, a recorder and a generation of its own. */
typedef struct {
    PyObject *generation;
    const unsigned int *current;
    PyObject *plain[PLAIN];
} State;

static struct PyModuleDef definition;

/* NULL, without an exception, where the interpreter is taking the types apart. */
static State *
state_of(PyTypeObject *type)
{
    for (; type != NULL; type = type->tp_base) { /* classes in Python derive from ours */
        PyObject *module = PyType_GetModule(type);
        if (module == NULL) {
            PyErr_Clear();
        }
        else if (PyModule_GetDef(module) == &definition) {
            return PyModule_GetState(module);
        }
    }
    return NULL;
}

static PyObject *
plainly(Series *self, int method, PyObject *argument)
{
    State *state = state_of(Py_TYPE(self));
    if (state == NULL || state->plain[method] == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the interpreter ends");
        return NULL;
    }
    return PyObject_CallFunctionObjArgs(state->plain[method], self, argument, NULL);
}

/* False in a process, or in a moment, in which `row` is not ours to write to. */
static inline int
ready(const Series *self)
{
    unsigned int number = self->generation;
    return number != 0 && number == *self->current;
}

/* False for all but floats and the integers that a double has exactly. */
static inline int
simple(PyObject *number, double *value)
{
    if (PyFloat_CheckExact(number)) {
        *value = PyFloat_AS_DOUBLE(number);
        return 1;
    }
    if (PyLong_CheckExact(number)) {
        const long long most = 1LL << 53;
        int overflow;
        long long integer = PyLong_AsLongLongAndOverflow(number, &overflow);
        *value = (double)integer;
        return !overflow && -most <= integer && integer <= most;
    }
    return 0;
}

static inline void
count(Series *self, double value)
{
    Py_ssize_t low = 0, high = self->limit_count;
    while (low < high) { /* bisect_left, for which NaN is in the first bucket too */
        Py_ssize_t middle = (low + high) / 2;
        if (self->limits[middle] < value) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    self->row[2 + low] += 1.0;
    self->row[1] += value;
}

static PyObject *
counter_add(Series *self, PyObject *const *arguments, Py_ssize_t given)
{
    double amount = 1.0;
    if (given > 1) {
        PyErr_Format(PyExc_TypeError, "add() takes at most 1 argument (%zd given)", given);
        return NULL;
    }
    if ((given == 1 && !simple(arguments[0], &amount)) || !ready(self)) {
        return plainly(self, ADD, given == 1 ? arguments[0] : NULL);
    }
    self->row[1] += amount;
    Py_RETURN_NONE;
}

static PyObject *
histogram_record(Series *self, PyObject *given)
{
    double value;
    if (!simple(given, &value) || !ready(self)) {
        return plainly(self, RECORD, given);
    }
    count(self, value);
    Py_RETURN_NONE;
}

static PyObject *
histogram_record_since(Series *self, PyObject *given)
{
#ifdef __linux__ /* where this is the clock of time.perf_counter */
    double began;
    struct timespec now;
    if (simple(given, &began) && ready(self) && clock_gettime(CLOCK_MONOTONIC, &now) == 0) {
        long long nanoseconds = now.tv_sec * 1000000000LL + now.tv_nsec;
        count(self, ((double)nanoseconds / 1e9 - began) * 1000.0);
        Py_RETURN_NONE;
    }
#endif
    return plainly(self, RECORD_SINCE, given);
}

static PyObject *
histogram_record_in(Series *self, PyObject *const *arguments, Py_ssize_t given)
{
    if (given != 2) {
        PyErr_Format(PyExc_TypeError, "record_in() takes 2 arguments (%zd given)", given);
        return NULL;
    }
    return histogram_record(self, arguments[1]);
}

static PyObject *
gauge_set(Series *self, PyObject *given)
{
    double value;
    if (!simple(given, &value) || !ready(self)) {
        return plainly(self, SET, given);
    }
    self->row[0] = value;
    Py_RETURN_NONE;
}

static PyObject *
series_place(Series *self, PyObject *arguments)
{
    PyObject *view, *lock;
    Py_ssize_t at;
    unsigned int number;
    if (!PyArg_ParseTuple(arguments, "OnOI:place", &view, &at, &lock, &number)) {
        return NULL;
    }
    Py_buffer buffer;
    if (PyObject_GetBuffer(view, &buffer, PyBUF_CONTIG | PyBUF_FORMAT) < 0) {
        return NULL;
    }
    Py_ssize_t length = buffer.len / (Py_ssize_t)sizeof(double);
    volatile double *row = (volatile double *)buffer.buf + at;
    int fits = strcmp(buffer.format, "d") == 0 && (uintptr_t)buffer.buf % sizeof(double) == 0
               && at >= 0 && at <= length - self->slots;
    /* Not held on to: a view that is collected while it is lent out takes the process with it. */
    PyBuffer_Release(&buffer);
    if (!fits) {
        PyErr_Format(PyExc_ValueError, "no room for %zd doubles at %zd of %zd", self->slots, at,
                     length);
        return NULL;
    }
    self->row = row;
    self->at = at;
    self->generation = number;
    Py_XSETREF(self->lock, Py_NewRef(lock));
    Py_XSETREF(self->values, Py_NewRef(view));
    Py_RETURN_NONE;
}

static PyObject *
series_leave(Series *self, PyObject *Py_UNUSED(nothing))
{
    self->generation = 0;
    Py_RETURN_NONE;
}

static PyObject *
series_kept(Series *self, PyObject *Py_UNUSED(nothing))
{
    if (self->values == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_values");
        return NULL;
    }
    PyObject *row = PySequence_GetSlice(self->values, self->at, self->at + self->slots);
    PyObject *kept = row == NULL ? NULL : PySequence_List(row);
    Py_XDECREF(row);
    return kept;
}

static int
series_traverse(Series *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->values);
    Py_VISIT(self->key);
    Py_VISIT(self->attach); /* a method of the recorder, which knows its series */
    Py_VISIT(self->lock);
    Py_VISIT(self->bounds);
    return 0;
}

static int
series_clear(Series *self)
{
    self->generation = 0; /* whoever still records is told by plain.py that there is no `_attach` */
    self->row = NULL;
    Py_CLEAR(self->values);
    Py_CLEAR(self->key);
    Py_CLEAR(self->attach);
    Py_CLEAR(self->lock);
    Py_CLEAR(self->bounds);
    return 0;
}

static void
series_dealloc(Series *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    series_clear(self);
    PyMem_Free(self->limits);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static int
series_init(Series *self, PyObject *arguments, const char *expected, Py_ssize_t least)
{
    State *state = state_of(Py_TYPE(self));
    PyObject *key, *attach, *bounds = NULL;
    Py_ssize_t slots;
    int kind;
    if (!PyArg_ParseTuple(arguments, expected, &kind, &key, &slots, &attach, &PyTuple_Type, &bounds)) {
        return -1;
    }
    Py_ssize_t many = bounds == NULL ? 0 : PyTuple_GET_SIZE(bounds);
    if (state == NULL || self->limits != NULL || slots < least + many) {
        PyErr_Format(PyExc_ValueError, "%zd slots, expected %zd, of a new series", slots, least + many);
        return -1;
    }
    self->limits = PyMem_New(double, many);
    if (self->limits == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (; self->limit_count < many; self->limit_count++) {
        double limit = PyFloat_AsDouble(PyTuple_GET_ITEM(bounds, self->limit_count));
        if (limit == -1.0 && PyErr_Occurred()) {
            return -1;
        }
        self->limits[self->limit_count] = limit;
    }
    self->current = state->current;
    self->kind = kind;
    self->slots = slots;
    self->key = Py_NewRef(key);
    self->attach = Py_NewRef(attach);
    self->bounds = Py_XNewRef(bounds);
    return 0;
}

static int
counter_init(Series *self, PyObject *arguments, PyObject *Py_UNUSED(named))
{
    return series_init(self, arguments, "iSnO:Counter", 2);
}

static int
histogram_init(Series *self, PyObject *arguments, PyObject *Py_UNUSED(named))
{
    return series_init(self, arguments, "iSnOO!:Histogram", 3);
}

static int
gauge_init(Series *self, PyObject *arguments, PyObject *Py_UNUSED(named))
{
    return series_init(self, arguments, "iSnO:Gauge", 1);
}

static PyMemberDef series_members[] = {
    {"key", T_OBJECT_EX, offsetof(Series, key), READONLY, NULL},
    {"kind", T_INT, offsetof(Series, kind), READONLY, NULL},
    {"slots", T_PYSSIZET, offsetof(Series, slots), READONLY, NULL},
    {"_at", T_PYSSIZET, offsetof(Series, at), READONLY, NULL},
    {"_attach", T_OBJECT_EX, offsetof(Series, attach), READONLY, NULL},
    {"_generation", T_UINT, offsetof(Series, generation), READONLY, NULL},
    {"_lock", T_OBJECT_EX, offsetof(Series, lock), READONLY, NULL},
    {"_values", T_OBJECT_EX, offsetof(Series, values), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef series_methods[] = {
    {"kept", (PyCFunction)series_kept, METH_NOARGS, "The values as they are."},
    {"place", (PyCFunction)series_place, METH_VARARGS, "As Series.place of plain.py."},
    {"leave", (PyCFunction)series_leave, METH_NOARGS, "As Series.leave of plain.py."},
    {NULL, NULL, 0, NULL},
};

/* A C function of another signature, as METH_FASTCALL has it, goes through a pointer to any. */
#define FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef counter_methods[] = {
    {"add", FAST(counter_add), METH_FASTCALL, "As Counter.add of plain.py."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef histogram_members[] = {
    {"_bounds", T_OBJECT_EX, offsetof(Series, bounds), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef histogram_methods[] = {
    {"record", (PyCFunction)histogram_record, METH_O, "As Histogram.record of plain.py."},
    {"record_since", (PyCFunction)histogram_record_since, METH_O,
     "As Histogram.record_since of plain.py."},
    {"record_in", FAST(histogram_record_in), METH_FASTCALL, "As Histogram.record_in of plain.py."},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef gauge_methods[] = {
    {"set", (PyCFunction)gauge_set, METH_O, "As Gauge.set of plain.py."},
    {NULL, NULL, 0, NULL},
};

/* Given to each type: one that is made from a spec does not take them from its base. */
#define OWN                                                                                    \
    {Py_tp_dealloc, series_dealloc}, {Py_tp_traverse, series_traverse}, {Py_tp_clear, series_clear}

static PyType_Slot series_slots[] = {
    OWN, {Py_tp_members, series_members},
    {Py_tp_methods, series_methods}, {0, NULL},
};
static PyType_Slot counter_slots[] = {
    OWN, {Py_tp_init, counter_init}, {Py_tp_methods, counter_methods}, {0, NULL},
};
static PyType_Slot histogram_slots[] = {
    OWN, {Py_tp_init, histogram_init}, {Py_tp_members, histogram_members},
    {Py_tp_methods, histogram_methods}, {0, NULL},
};
static PyType_Slot gauge_slots[] = {
    OWN, {Py_tp_init, gauge_init}, {Py_tp_methods, gauge_methods}, {0, NULL},
};

#define MODULE "otel_accubooks.recorder._compiled"
#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC)

static PyType_Spec specs[] = { /* the first is the base of the others */
    {MODULE ".Series", sizeof(Series), 0, FLAGS, series_slots},
    {MODULE ".Counter", sizeof(Series), 0, FLAGS, counter_slots},
    {MODULE ".Histogram", sizeof(Series), 0, FLAGS, histogram_slots},
    {MODULE ".Gauge", sizeof(Series), 0, FLAGS, gauge_slots},
};

static int
find_plain(State *state)
{
    PyObject *plain = PyImport_ImportModule("otel_accubooks.recorder.plain");
    for (int i = 0; plain != NULL && i < PLAIN; i++) {
        PyObject *type = PyObject_GetAttrString(plain, plain_names[i].type);
        state->plain[i] = type ? PyObject_GetAttrString(type, plain_names[i].method) : NULL;
        Py_XDECREF(type);
        if (state->plain[i] == NULL) {
            Py_CLEAR(plain);
        }
    }
    Py_XDECREF(plain);
    return plain == NULL ? -1 : 0;
}

static int
find_generation(State *state)
{
    PyObject *fork = PyImport_ImportModule("otel_accubooks.recorder.fork");
    Py_buffer buffer;
    state->generation = fork ? PyObject_GetAttrString(fork, "generation") : NULL;
    Py_XDECREF(fork);
    if (state->generation == NULL
        || PyObject_GetBuffer(state->generation, &buffer, PyBUF_CONTIG) < 0) {
        return -1;
    }
    state->current = buffer.buf; /* as long as there is the view; given back at once, as in `place` */
    int fits = buffer.len >= (Py_ssize_t)sizeof(unsigned int);
    PyBuffer_Release(&buffer);
    if (!fits) {
        PyErr_SetString(PyExc_ImportError, "fork.generation is not an unsigned int");
        return -1;
    }
    return 0;
}

static int
execute(PyObject *module)
{
    State *state = PyModule_GetState(module);
    if (find_plain(state) < 0 || find_generation(state) < 0) {
        return -1;
    }
    PyObject *base = NULL;
    int failed = 0;
    for (size_t i = 0; !failed && i < sizeof specs / sizeof *specs; i++) {
        PyObject *type = PyType_FromModuleAndSpec(module, &specs[i], base);
        failed = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
        if (i == 0) {
            base = Py_XNewRef(type);
        }
        Py_XDECREF(type);
    }
    Py_XDECREF(base);
    return failed;
}

static int
traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    for (int i = 0; i < PLAIN; i++) {
        Py_VISIT(state->plain[i]);
    }
    return 0;
}

static int
clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    for (int i = 0; i < PLAIN; i++) {
        Py_CLEAR(state->plain[i]);
    }
    return 0;
}

static void
end(void *module)
{
    State *state = PyModule_GetState((PyObject *)module);
    clear((PyObject *)module);
    Py_CLEAR(state->generation); /* only now: every series has looked there */
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, execute},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = MODULE,
    .m_doc = "Counter, Histogram and Gauge, as those of plain.py, compiled.",
    .m_size = sizeof(State),
    .m_slots = module_slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = end,
};

PyMODINIT_FUNC
PyInit__compiled(void)
{
    return PyModuleDef_Init(&definition);
}
