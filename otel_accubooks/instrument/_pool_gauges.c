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

PyDoc_STRVAR(show_doc,
             "show(taken, idle, most, active, utilization, opened)\n\n"
             "Sets the gauges of a pool to what its containers say now.");

static PyObject *
show(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t used, idle;
    double most = 0.0;
    PyObject *name = *(PyObject **)PyModule_GetState(module);
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "show() takes six arguments");
        return NULL;
    }
    if (args[2] != Py_None && (most = PyFloat_AsDouble(args[2])) == -1.0 && PyErr_Occurred())
        return NULL;
    for (;;) {
        if ((used = PyObject_Size(args[0])) < 0 || (idle = PyObject_Size(args[1])) < 0
            || set(name, args[3], (double)used) < 0
            || (most > 0 && set(name, args[4], 100.0 * (double)used / most) < 0)
            || set(name, args[5], (double)(used + idle)) < 0)
            return NULL;
        /* Whoever sets last has read again, so what stands in the end is what is. */
        if (PyObject_Size(args[0]) == used && PyObject_Size(args[1]) == idle)
            Py_RETURN_NONE;
        if (PyErr_Occurred())
            return NULL;
    }
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
