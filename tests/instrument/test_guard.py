"""What a hook keeps to itself, and what it passes on to the application."""

from __future__ import annotations

import ctypes
import functools
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from rq.timeouts import JobTimeoutException

from otel_accubooks.instrument import guard


class LedgerError(Exception):
    """What the application may raise where we look at what is its own."""


class TimeIsUp(Exception):
    """What the application's own time limit raises."""


def hook(work: Callable[[], Any]) -> None:
    """As every hook is."""
    try:
        work()
    except Exception:
        guard.failed("a hook")


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_told", set())


def raising(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    "error",
    [
        *(RuntimeError("r"), MemoryError(), OSError(28, "full"), KeyError("k"), TypeError("t")),
        *(RecursionError(), AssertionError(), ImportError("i"), NameError("n"), BufferError("b")),
        *(StopIteration(), ConnectionResetError(104, "reset"), UserWarning("w"), LedgerError("l")),
        OSError(110, "of a file system"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_fault_is_logged_once_and_goes_no_further(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Of whatever class; also what the application's objects raise when a hook looks at them."""
    for _ in range(3):
        hook(raising(error))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(
    "error",
    [
        *(SystemExit(1), KeyboardInterrupt(), GeneratorExit(), TimeoutError("a request's")),
        *(JobTimeoutException("a job's"), SoftTimeLimitExceeded(1)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_ends_the_application_passes(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the same exception, without another one behind it."""
    with pytest.raises(type(error)) as caught:
        hook(raising(error))
    assert caught.value is error
    assert error.__context__ is None
    assert not caplog.records


class Limit:
    """A time limit whose handler is a method, as RQ's is."""

    def strike(self, _: int, __: object) -> None:
        raise TimeIsUp


def strike(_: int, __: object) -> None:
    raise TimeIsUp


@pytest.fixture(params=[strike, Limit().strike, functools.partial(strike)], ids=["f", "m", "p"])
def handler(request: pytest.FixtureRequest) -> Iterator[Any]:
    before = signal.signal(signal.SIGUSR1, request.param)
    yield request.param
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("handler")
def test_what_a_signal_handler_raises_passes(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever its class is: a request that is stopped while a hook runs is to be stopped."""
    with pytest.raises(TimeIsUp):
        hook(lambda: signal.raise_signal(signal.SIGUSR1))
    assert not caplog.records


def test_a_job_is_stopped_from_another_thread() -> None:
    """As RQ's timer does it where there are no signals: the exception comes from nowhere."""
    stopped = []

    def work() -> None:
        limit = ctypes.py_object(JobTimeoutException)
        own = ctypes.c_ulong(threading.get_ident())
        try:
            hook(lambda: ctypes.pythonapi.PyThreadState_SetAsyncExc(own, limit))
        except JobTimeoutException:
            stopped.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert stopped == [True]


def test_a_handler_of_the_log_that_raises_is_no_fault_of_the_hook() -> None:
    """The application's own handlers see our one line, and may do with it what they want."""

    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise LedgerError("the log is full")

    broken = Broken()
    logging.getLogger("otel_accubooks").addHandler(broken)
    try:
        hook(raising(KeyError("k")))
    finally:
        logging.getLogger("otel_accubooks").removeHandler(broken)


def test_what_an_object_was_asked_for_may_end_in_a_timeout() -> None:
    """That is its answer, and no limit of the request: a property may ask a server itself."""
    guard.pass_on(TimeoutError("timed out"), asked=True)
    with pytest.raises(JobTimeoutException):
        guard.pass_on(JobTimeoutException("a job's"), asked=True)


def test_saying_never_raises() -> None:
    """Also where a handler of the log says that its own time is up."""

    class Late(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise TimeoutError("timed out")

    late = Late()
    logging.getLogger("otel_accubooks").addHandler(late)
    try:
        guard.say_failed("a poll", KeyError("k"))
    finally:
        logging.getLogger("otel_accubooks").removeHandler(late)
