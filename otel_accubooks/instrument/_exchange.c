/* One request on its way, and the body of its answer: what exchange.py does, without its cost.
 *
 * All that is not an everyday request is left to functions of exchange.py, which `configure` is given.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <time.h>

/* What is shared with exchange.py. One interpreter has it: others get an ImportError, and Python. */
static PyObject *known, *series_of, *methods, *other_method, *unmatched, *told, *fault;
static PyObject *s_request_method, *s_500, *s_url_rule, *s_rule, *s_add, *s_record, *s_record_in,
    *s_ended, *s_close, *s_sampled, *s_content_length, *s_empty;

typedef struct {
    PyObject_HEAD
    double began;       /* seconds of a monotonic clock */
    Py_ssize_t left;    /* bytes of the body still to come, where the answer says how many */
    PyObject *method, *start_response, *duration, *request, *status;
} Exchange;

typedef struct {
    PyObject_HEAD
    PyObject *body, *iterator;
    PyObject *exchange; /* NULL once it has ended */
} Body;

static PyTypeObject ExchangeType, BodyType, SizedBodyType;

static double
seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Hands the exception that is set to `fault`, which logs it or raises it. 0 if it was logged. */
static int
faulty(const char *place)
{
    PyObject *type, *value, *traceback, *done;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    done = PyObject_CallFunction(fault, "sO", place, value);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Exchange ------------------------------------------------------------------------------------- */

static PyObject *
exchange_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *environ, *start_response, *method = NULL;
    double began = seconds();
    if (known == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "configure() was not called");
        return NULL;
    }
    if (!PyArg_UnpackTuple(args, "Exchange", 2, 2, &environ, &start_response))
        return NULL;
    if (PyDict_Check(environ))
        method = PyDict_GetItemWithError(environ, s_request_method);
    Exchange *self = (Exchange *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->began = began;
    self->left = -1;
    self->method = Py_NewRef(method == NULL ? s_empty : method);
    self->start_response = Py_NewRef(start_response);
    self->request = Py_NewRef(Py_None);
    self->status = Py_NewRef(s_500);
    return (PyObject *)self;
}

static int
exchange_traverse(Exchange *self, visitproc visit, void *arg)
{
    Py_VISIT(self->method);
    Py_VISIT(self->start_response);
    Py_VISIT(self->duration);
    Py_VISIT(self->request);
    Py_VISIT(self->status);
    return 0;
}

static int
exchange_clear(Exchange *self)
{
    Py_CLEAR(self->method);
    Py_CLEAR(self->start_response);
    Py_CLEAR(self->duration);
    Py_CLEAR(self->request);
    Py_CLEAR(self->status);
    return 0;
}

static void
exchange_dealloc(Exchange *self)
{
    PyObject_GC_UnTrack(self);
    exchange_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* The length that the headers tell, if they are as PEP 3333 wants them; else nothing is known. */
static void
note_length(Exchange *self, PyObject *headers)
{
    if (!PyList_Check(headers))
        return;
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(headers); at++) {
        PyObject *pair = PyList_GET_ITEM(headers, at);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2)
            return;
        PyObject *name = PyTuple_GET_ITEM(pair, 0), *value = PyTuple_GET_ITEM(pair, 1);
        if (!PyUnicode_Check(name) || PyUnicode_Compare(name, s_content_length) != 0)
            continue;
        if (!PyUnicode_Check(value))
            return;
        PyObject *number = PyLong_FromUnicodeObject(value, 10);
        Py_ssize_t length = number == NULL ? -1 : PyLong_AsSsize_t(number);
        Py_XDECREF(number);
        if (length == -1 && PyErr_Occurred()) {
            PyErr_Clear(); /* for the server to judge */
            return;
        }
        self->left = length;
    }
}

PyDoc_STRVAR(start_response_doc, "Notes status and length and passes on, as PEP 3333 describes.");

static PyObject *
exchange_start_response(Exchange *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 2) {
        PyErr_SetString(PyExc_TypeError, "start_response() takes a status and headers");
        return NULL;
    }
    PyObject *status = PyUnicode_Check(args[0]) ? PyUnicode_Substring(args[0], 0, 3)
                                                : PySequence_GetSlice(args[0], 0, 3);
    if (status != NULL)
        Py_SETREF(self->status, status);
    else if (PyErr_ExceptionMatches(PyExc_Exception))
        PyErr_Clear(); /* for the server to judge */
    else
        return NULL;
    note_length(self, args[1]);
    return PyObject_Vectorcall(self->start_response, args, count, NULL);
}

/* Counts the request; 0, or -1 with an exception. */
static int
count_request(Exchange *self)
{
    PyObject *rule = NULL, *labels = NULL, *found = NULL, *done = NULL;
    int is_known = PySet_Contains(methods, self->method);
    if (is_known < 0)
        return -1;
    if (self->request != Py_None) {
        PyObject *url_rule = PyObject_GetAttr(self->request, s_url_rule);
        if (url_rule == NULL)
            return -1;
        if (url_rule != Py_None) {
            rule = PyObject_GetAttr(url_rule, s_rule);
            if (rule == NULL) {
                Py_DECREF(url_rule);
                return -1;
            }
        }
        Py_DECREF(url_rule);
    }
    if (rule == NULL)
        rule = Py_NewRef(unmatched);
    labels = PyTuple_Pack(3, is_known ? self->method : other_method, rule, self->status);
    Py_DECREF(rule);
    if (labels == NULL)
        return -1;
    found = PyDict_GetItemWithError(known, labels);
    if (found != NULL)
        Py_INCREF(found);
    else if (!PyErr_Occurred())
        found = PyObject_CallOneArg(series_of, labels);
    Py_DECREF(labels);
    if (found == NULL)
        return -1;
    Py_XSETREF(self->duration, Py_NewRef(PyTuple_GET_ITEM(found, 0)));
    done = PyObject_CallMethodNoArgs(PyTuple_GET_ITEM(found, 1), s_add);
    Py_DECREF(found);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int
record_duration(Exchange *self)
{
    PyObject *elapsed = PyFloat_FromDouble((seconds() - self->began) * 1000.0), *done = NULL;
    if (elapsed == NULL)
        return -1;
    if (self->duration == NULL && count_request(self) < 0)
        goto end;
    PyObject *sampled = PyDict_GetItemWithError(told, s_sampled); /* of the module exemplars */
    if (sampled == NULL || sampled == Py_None) {
        if (!PyErr_Occurred())
            done = PyObject_CallMethodOneArg(self->duration, s_record, elapsed);
        goto end;
    }
    PyObject *span = PyObject_CallOneArg(sampled, self->request);
    if (span != NULL) {
        done = PyObject_CallMethodObjArgs(self->duration, s_record_in, span, elapsed, NULL);
        Py_DECREF(span);
    }
end:
    Py_DECREF(elapsed);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

PyDoc_STRVAR(ended_doc, "Records how long the request took, and counts it if it was not yet.");

static PyObject *
exchange_ended(Exchange *self, PyObject *Py_UNUSED(ignored))
{
    if (record_duration(self) < 0 && faulty("recording a request") < 0)
        return NULL;
    Py_SETREF(self->request, Py_NewRef(Py_None)); /* which refers to the environ, and that to this */
    Py_RETURN_NONE;
}

static PyMethodDef exchange_methods[] = {
    {"start_response", (PyCFunction)(void (*)(void))exchange_start_response, METH_FASTCALL,
     start_response_doc},
    {"ended", (PyCFunction)exchange_ended, METH_NOARGS, ended_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef exchange_members[] = {
    {"request", T_OBJECT, offsetof(Exchange, request), 0, NULL},
    {"status", T_OBJECT, offsetof(Exchange, status), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject ExchangeType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "otel_accubooks.instrument._exchange.Exchange",
    .tp_doc = "One request on its way.",
    .tp_basicsize = sizeof(Exchange),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = exchange_new,
    .tp_dealloc = (destructor)exchange_dealloc,
    .tp_traverse = (traverseproc)exchange_traverse,
    .tp_clear = (inquiry)exchange_clear,
    .tp_methods = exchange_methods,
    .tp_members = exchange_members,
};

/* Body ----------------------------------------------------------------------------------------- */

static PyObject *
make_body(PyTypeObject *type, PyObject *body, PyObject *exchange)
{
    PyObject *iterator;
    if (!PyObject_TypeCheck(exchange, &ExchangeType)) {
        PyErr_SetString(PyExc_TypeError, "expected an Exchange of this module");
        return NULL;
    }
    iterator = PyObject_GetIter(body);
    if (iterator == NULL)
        return NULL;
    Body *self = (Body *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_DECREF(iterator);
        return NULL;
    }
    self->iterator = iterator;
    self->body = Py_NewRef(body);
    self->exchange = Py_NewRef(exchange);
    return (PyObject *)self;
}

static PyObject *
body_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *body, *exchange;
    if (!PyArg_UnpackTuple(args, "Body", 2, 2, &body, &exchange))
        return NULL;
    return make_body(type, body, exchange);
}

static int
body_traverse(Body *self, visitproc visit, void *arg)
{
    Py_VISIT(self->body);
    Py_VISIT(self->iterator);
    Py_VISIT(self->exchange);
    return 0;
}

static int
body_clear(Body *self)
{
    Py_CLEAR(self->body);
    Py_CLEAR(self->iterator);
    Py_CLEAR(self->exchange);
    return 0;
}

static void
body_dealloc(Body *self)
{
    PyObject_GC_UnTrack(self);
    body_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Tells the exchange, once, and keeps an exception that is on its way. 0, or -1 with another. */
static int
end_exchange(Body *self)
{
    PyObject *exchange = self->exchange, *type, *value, *traceback, *done;
    if (exchange == NULL)
        return 0;
    self->exchange = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    done = Py_IS_TYPE(exchange, &ExchangeType) ? exchange_ended((Exchange *)exchange, NULL)
                                               : PyObject_CallMethodNoArgs(exchange, s_ended);
    Py_DECREF(exchange);
    if (done == NULL) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
        return -1;
    }
    Py_DECREF(done);
    PyErr_Restore(type, value, traceback);
    return 0;
}

/* Counts the request before its last part is sent: once that has arrived, the client knows the
 * answer, and a server may be killed at any moment. 0, or -1 with an exception. */
static int
hand_over(Exchange *exchange, PyObject *part)
{
    Py_ssize_t size = PyBytes_CheckExact(part) ? PyBytes_GET_SIZE(part) : PyObject_Size(part);
    if (size >= 0) {
        exchange->left -= size;
        if (exchange->left != 0 || exchange->duration != NULL || count_request(exchange) == 0)
            return 0;
    }
    return faulty("counting a request");
}

static PyObject *
body_next(Body *self)
{
    PyObject *part = Py_TYPE(self->iterator)->tp_iternext(self->iterator);
    Exchange *exchange = (Exchange *)self->exchange;
    if (part == NULL) {
        if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_StopIteration))
            end_exchange(self);
        else if (exchange != NULL)
            Py_SETREF(exchange->status, Py_NewRef(s_500));
        return NULL;
    }
    if (exchange != NULL) {
        Py_INCREF(exchange); /* whoever runs meanwhile may close the body */
        if (hand_over(exchange, part) < 0)
            Py_CLEAR(part);
        Py_DECREF(exchange);
    }
    return part;
}

PyDoc_STRVAR(close_doc,
             "Closes the body: servers call this once all is sent, or when the client has left.");

static PyObject *
body_close(Body *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *done = NULL, *close = PyObject_GetAttr(self->body, s_close);
    if (close != NULL) {
        done = PyObject_CallNoArgs(close);
        Py_DECREF(close);
    }
    else if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        done = Py_NewRef(Py_None);
    }
    if (end_exchange(self) < 0)
        Py_CLEAR(done);
    if (done == NULL)
        return NULL;
    Py_DECREF(done);
    Py_RETURN_NONE;
}

static Py_ssize_t
sized_body_length(Body *self)
{
    return PyObject_Size(self->body);
}

static PyMethodDef body_methods[] = {
    {"close", (PyCFunction)body_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject BodyType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "otel_accubooks.instrument._exchange.Body",
    .tp_doc = "The body of an answer, passed on as it is; its end is the end of the request.",
    .tp_basicsize = sizeof(Body),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = body_new,
    .tp_dealloc = (destructor)body_dealloc,
    .tp_traverse = (traverseproc)body_traverse,
    .tp_clear = (inquiry)body_clear,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)body_next,
    .tp_methods = body_methods,
};

static PySequenceMethods sized_body_as_sequence = {.sq_length = (lenfunc)sized_body_length};

static PyTypeObject SizedBodyType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "otel_accubooks.instrument._exchange.SizedBody",
    .tp_doc = "A body with a length, which servers use to know the size of the answer.",
    .tp_base = &BodyType,
    .tp_basicsize = sizeof(Body),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)body_traverse,
    .tp_clear = (inquiry)body_clear,
    .tp_as_sequence = &sized_body_as_sequence,
};

/* Module --------------------------------------------------------------------------------------- */

PyDoc_STRVAR(watched_doc, "watched(body, exchange)\n\nThe body of an answer, to be watched.");

static PyObject *
watched(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "watched() takes two arguments");
        return NULL;
    }
    PyTypeObject *type = Py_TYPE(args[0]);
    int has_length = (type->tp_as_sequence != NULL && type->tp_as_sequence->sq_length != NULL)
                     || (type->tp_as_mapping != NULL && type->tp_as_mapping->mp_length != NULL);
    return make_body(has_length ? &SizedBodyType : &BodyType, args[0], args[1]);
}

PyDoc_STRVAR(configure_doc,
             "configure(known, series_of, methods, other_method, unmatched, told, fault)\n\n"
             "Gives what is shared with exchange.py; `told` are the variables of exemplars.py.");

static PyObject *
configure(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *given[7], **kept[7] = {&known,     &series_of, &methods, &other_method,
                                     &unmatched, &told,      &fault};
    if (!PyArg_ParseTuple(args, "O!OO!OOO!O:configure", &PyDict_Type, &given[0], &given[1],
                          &PyFrozenSet_Type, &given[2], &given[3], &given[4], &PyDict_Type,
                          &given[5], &given[6]))
        return NULL;
    for (int at = 0; at < 7; at++)
        Py_XSETREF(*kept[at], Py_NewRef(given[at]));
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"configure", configure, METH_VARARGS, configure_doc},
    {"watched", (PyCFunction)(void (*)(void))watched, METH_FASTCALL, watched_doc},
    {NULL, NULL, 0, NULL},
};

static int
module_exec(PyObject *module)
{
    static PyInterpreterState *owner;
    struct {
        PyObject **kept;
        const char *text;
    } names[] = {
        {&s_request_method, "REQUEST_METHOD"}, {&s_500, "500"},         {&s_url_rule, "url_rule"},
        {&s_rule, "rule"},                     {&s_add, "add"},         {&s_record, "record"},
        {&s_record_in, "record_in"},           {&s_ended, "ended"},     {&s_close, "close"},
        {&s_sampled, "sampled"},               {&s_content_length, "Content-Length"},
        {&s_empty, ""},
    };
    if (owner != NULL && owner != PyInterpreterState_Get()) {
        PyErr_SetString(PyExc_ImportError, "another interpreter of this process uses it");
        return -1;
    }
    owner = PyInterpreterState_Get();
    for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++)
        if (*names[at].kept == NULL
            && (*names[at].kept = PyUnicode_InternFromString(names[at].text)) == NULL)
            return -1;
    if (PyModule_AddType(module, &ExchangeType) < 0 || PyModule_AddType(module, &BodyType) < 0)
        return -1;
    return PyModule_AddType(module, &SizedBodyType);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "otel_accubooks.instrument._exchange",
    .m_doc = "Requests and the bodies of their answers, compiled.",
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__exchange(void)
{
    return PyModuleDef_Init(&module_def);
}
