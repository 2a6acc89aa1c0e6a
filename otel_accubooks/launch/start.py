"""Starting in a process. Where it is switched off, nothing but this and what loads it is imported.

Where it is on, as little is imported until there is something to record: `start` takes down what can
be known only at the start of a process, and `begin` does the rest once a library that is measured is
imported, or the application calls us.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import time
from _thread import RLock  # as it is before gevent may patch threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from otel_accubooks.launch.switches import asked_for, disabled

if TYPE_CHECKING:
    from otel_accubooks.launch.settings import Settings

_log = logging.getLogger("otel_accubooks")

OTHERS_SECONDS = 1.0

_started: tuple[int, float] | None = None  # in which process, and when (Unix seconds)
_environ: dict[str, str] = {}  # as it was then
_begun = False
_ready = False
_beginning = RLock()
_forked = False
_collects = True  # False while the garbage collector is held
_settings: Settings | None = None


def settings() -> Settings:
    """The settings of this process, as its environment was when it started."""
    global _settings
    if _settings is None:
        from otel_accubooks.launch.settings import read_settings

        _settings = read_settings(_environ or os.environ)
        for fault in _settings.faults:
            if not fault.name.startswith("OTEL_ACCUBOOKS_"):
                _mend(fault.name, fault.mended)
    return _settings


def _mend(name: str, value: str) -> None:
    # It was said: the SDK, here and in the exporter, would say it again, in lines of its own.
    if value:
        os.environ[name] = value
    else:
        os.environ.pop(name, None)


def start() -> None:
    """Gets this process ready to begin, unless that is off. Again is nothing. Never raises."""
    global _started, _environ
    if disabled() or _started is not None:
        return
    _started = os.getpid(), time.time()
    _environ = {name: os.environ[name] for name in os.environ if name.startswith("OTEL_")}
    try:
        import wrapt

        from otel_accubooks.recorder import unpatched  # noqa: F401

        wrapt.register_post_import_hook(lambda _: begin(), "otel_accubooks.business")
        atexit.register(_at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_before_fork, after_in_parent=_note_fork, after_in_child=_in_child
            )
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            from otel_accubooks.launch.user_switch import hand_over_with_user

            hand_over_with_user(_folder)
        if os.environ.get("OTEL_ACCUBOOKS_RULES", "").strip():
            _await_log_record()
        if asked_for("TRACES") or asked_for("LOGS"):
            begin()
    except Exception:
        _say_failed()


def begin() -> None:
    """Gets this process ready to record, unless that is off. Again is nothing. Never raises."""
    if disabled() or _ready:
        return
    # Another thread that imports a library meanwhile waits, or it would be measured without the rules;
    # not for ever, since it may hold the import that this one waits for.
    held = _beginning.acquire(timeout=OTHERS_SECONDS)
    try:
        _begin()
    finally:
        if held:
            _beginning.release()


def _begin() -> None:
    global _begun, _ready
    if _begun:
        return
    _begun = True
    try:
        start()
        _await_no_log_record()
        with no_collection():
            from otel_accubooks.launch import recording

            assert _started is not None
            recording.begin(settings(), *_started)
    except Exception:
        _say_failed()
    _ready = True
    try:
        _say_what_is_refused()
    except Exception:
        _say_failed()


def _say_what_is_refused() -> None:
    """Says at once what is wrong in the settings and rules, once for all processes of the service."""
    given = _settings
    if given is not None and (given.problems or given.unknown):
        from otel_accubooks.recorder.process import recorder

        recorder.join()  # by its folder they agree who says it


@contextmanager
def no_collection() -> Iterator[None]:
    """Imports without the garbage collector, which would look through all that the application has."""
    global _collects
    if not gc.isenabled():
        yield
        return
    _collects = False
    gc.disable()
    try:
        yield
    finally:
        _collect()


def _before_fork() -> None:
    try:
        from otel_accubooks.recorder import said

        said.share()
    except Exception:
        _say_failed()


def _in_child() -> None:
    global _beginning
    _beginning = RLock()  # the other one may be held by a thread that is not here
    _collect()


def _collect() -> None:
    """Lets the collector work again, also in a child that was forked by another thread meanwhile."""
    global _collects
    if not _collects:
        _collects = True
        gc.enable()


def _say_failed() -> None:
    try:
        _log.warning("otel-accubooks: not started; the application is not affected", exc_info=True)
    except Exception:
        pass  # a handler of the application's own, that cannot say it


def _folder() -> Any:
    from otel_accubooks.recorder.process import recorder

    begin()
    return recorder.folder


def _note_fork() -> None:
    global _forked
    _forked = True


def _at_exit() -> None:
    try:
        # Once only: the master of uWSGI ends without this, and runs it twice in its workers.
        atexit.unregister(_at_exit)
        if _forked and _started is not None and _started[0] == os.getpid():
            begin()  # what its children recorded is to be sent, also where it recorded nothing itself
        if _begun:
            from otel_accubooks.launch import recording

            recording.end()
    except Exception:
        _log.warning("otel-accubooks: the last counts may not be sent", exc_info=True)


# Rules may count log records: the first one is a reason to begin, and counted already.
_usual = logging.Logger.callHandlers


def _await_log_record() -> None:
    logging.Logger.callHandlers = _first_record  # type: ignore[method-assign]


def _await_no_log_record() -> None:
    if logging.Logger.callHandlers is _first_record:
        logging.Logger.callHandlers = _usual  # type: ignore[method-assign]


def _first_record(self: logging.Logger, record: logging.LogRecord) -> None:
    handlers = _usual
    try:
        if not _begun and record.name.partition(".")[0] != _log.name:
            begin()
            handlers = (
                logging.Logger.callHandlers
            )  # that of the rules, by now: for this record alone,
            # since whoever else has wrapped this one calls it again
    except Exception:
        _say_failed()
    (_usual if handlers is _first_record else handlers)(self, record)
