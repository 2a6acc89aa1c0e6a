/* The gauges that each checkout of a connection changes: what pool_gauges.py does, without its cost. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Calls gauge.set(value), where `name` is "set". 0, or -1 with an exception. */
static int
set(PyObject *name, PyObject *gauge, double value)
{
    PyObject *done, *number = PyFloat_FromDouble(value);
    if (number == NULL)
        return -1;
    done = PyObject_CallMethodOneArg(gauge, name, number);
    Py_DECREF(number);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

typedef struct {
    Py_ssize_t used, idle;
    double share; /* the highest, in percent; negative where no pool has a limit */
} State;

/* Adds up what the containers say now. 0, or -1 with an exception. */
static int
look(PyObject *parts, State *state)
{
    state->used = state->idle = 0;
    state->share = -1.0;
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(parts); at++) {
        PyObject *pool = PyTuple_GET_ITEM(parts, at);
        if (!PyTuple_Check(pool) || PyTuple_GET_SIZE(pool) != 3) {
            PyErr_SetString(PyExc_TypeError, "expected (taken, idle, most) of each pool");
            return -1;
        }
        Py_ssize_t used = PyObject_Size(PyTuple_GET_ITEM(pool, 0));
        Py_ssize_t idle = used < 0 ? -1 : PyObject_Size(PyTuple_GET_ITEM(pool, 1));
        double most = 0.0;
        if (idle < 0)
            return -1;
        if (PyTuple_GET_ITEM(pool, 2) != Py_None
            && (most = PyFloat_AsDouble(PyTuple_GET_ITEM(pool, 2))) == -1.0 && PyErr_Occurred())
            return -1;
        state->used += used;
        state->idle += idle;
        if (most > 0 && 100.0 * (double)used / most > state->share)
            state->share = 100.0 * (double)used / most;
    }
    return 0;
}

PyDoc_STRVAR(show_doc, "show(parts, active, utilization, opened)\n\n"
                       "Sets the gauges of a database to what the containers of its pools say now.");

static PyObject *
show(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    State now, again;
    PyObject *name = *(PyObject **)PyModule_GetState(module);
    if (count != 4 || !PyTuple_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "show() takes a tuple and three gauges");
        return NULL;
    }
    if (look(args[0], &again) < 0)
        return NULL;
    do {
        now = again;
        if (set(name, args[1], (double)now.used) < 0
            || (now.share >= 0 && set(name, args[2], now.share) < 0)
            || set(name, args[3], (double)(now.used + now.idle)) < 0)
            return NULL;
        /* Whoever sets last has looked again, so what stands in the end is what is. */
        if (look(args[0], &again) < 0)
            return NULL;
    } while (now.used != again.used || now.idle != again.idle || now.share != again.share);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"show", (PyCFunction)(void (*)(void))show, METH_FASTCALL, show_doc},
    {NULL, NULL, 0, NULL},
};

static int
module_exec(PyObject *module)
{
    PyObject **name = PyModule_GetState(module);
    *name = PyUnicode_InternFromString("set");
    return *name == NULL ? -1 : 0;
}

static void
module_free(void *module)
{
    PyObject **name = PyModule_GetState(module);
    if (name != NULL)
        Py_CLEAR(*name);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "otel_accubooks.instrument._pool_gauges",
    .m_doc = "The gauges of pools, compiled.",
    .m_size = sizeof(PyObject *),
    .m_methods = methods,
    .m_slots = module_slots,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__pool_gauges(void)
{
    return PyModuleDef_Init(&module_def);
}
