"""Whether what this process sends arrives: said once for all processes of the service."""

from __future__ import annotations

import logging
import re
import threading
from typing import Any

from otel_accubooks.export.status import not_arriving
from otel_accubooks.launch.process_end import at_end
from otel_accubooks.recorder import said
from otel_accubooks.recorder.process import recorder

_log = logging.getLogger("otel_accubooks")


def say_once(name: str, text: str) -> None:
    """Logs `text`, unless a process of the service already said what goes by `name`.

    Before the service has its folder nobody can know, and it is said once there is one.
    """
    if recorder.folder is None or recorder.folder.path.is_dir():
        _say(name, text)
    elif name not in _later:
        _later[name] = text
        if len(_later) == 1:
            recorder.on_open(_say_all)
            at_end(lambda _: _say_all())


def _say(name: str, text: str) -> None:
    if _first_to_say(name):
        _log.warning("otel-accubooks: %s", text)


def _say_all() -> None:
    while _later:
        _say(*_later.popitem())


def watch(exporter: Any, what: str, signal: str, goes_on: str | None = None) -> None:
    """Lets `exporter` say once that `what` does not arrive, and why, and once that it does again.

    `signal` is TRACES, METRICS or LOGS; `goes_on` says what follows, by default that they are dropped.
    What the exporter would log itself, again and again, is taken instead of being logged.
    """
    names = {kind.__module__ for kind in type(exporter).__mro__} - {"builtins"}
    for name in {*names, "otel_accubooks.export.answer"}:
        logging.getLogger(name).addFilter(_heard)
    original = exporter.export

    def export(*args: Any, **kwargs: Any) -> Any:
        _heard.here.text = ""
        try:
            result = original(*args, **kwargs)
        finally:
            reason, _heard.here.text = _heard.here.text, None
        if getattr(result, "name", "SUCCESS") == "SUCCESS":
            if _take_back(signal):
                _log.warning("otel-accubooks: %s are arriving again", what)
        else:
            outcome = goes_on or _outcome(reason, signal)
            say_once(signal, not_arriving(reason, what, signal, outcome))
        return result

    exporter.export = export


def _outcome(reason: str, signal: str) -> str:
    if re.search(r"\b404\b|UNIMPLEMENTED", reason):
        return f"nothing there takes them: OTEL_{signal}_EXPORTER=none ends the attempts"
    return "until it answers they are dropped"


class _Heard(logging.Filter):
    """Takes the warnings of an export, and remembers the first: later ones say what follows from it."""

    here = threading.local()  # its text is None while nothing is exported in this thread

    def filter(self, record: logging.LogRecord) -> bool:
        text = getattr(self.here, "text", None)
        if text is None or record.levelno < logging.WARNING:
            return True
        self.here.text = text or record.getMessage()
        return False


# One for all: what one filter holds back, those after it do not see.
_heard = _Heard()
_said: set[str] = set()  # where there is no folder to note it in
_later: dict[str, str] = {}


def _first_to_say(name: str) -> bool:
    try:
        if recorder.folder is None:
            raise FileNotFoundError
        recorder.folder.note_said(name)
    except FileExistsError:
        return False
    except OSError:
        first = name not in _said
        _said.add(name)
        return first and said.first_to_say(name)
    return True


def _take_back(name: str) -> bool:
    if name in _said:
        _said.discard(name)
        said.take_back(name)
        return True
    try:
        if recorder.folder is None:
            return False
        recorder.folder.take_back(name)
    except OSError:
        return False
    return True
