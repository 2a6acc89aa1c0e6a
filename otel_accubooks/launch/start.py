"""Starting in a process: the recorder gets its folder, and the exporter is seen to."""

from __future__ import annotations

import atexit
import os
from logging import getLogger
from time import monotonic

from otel_accubooks.launch.settings import Settings, read_settings
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.process import recorder

_log = getLogger("otel_accubooks")
WATCH_SECONDS = 1.0
REJOIN_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 60.0

_settings: Settings | None = None
_told: str | None = None
_teller: int | None = None
_pause = WATCH_SECONDS
_not_before = 0.0


def settings() -> Settings:
    """The settings of this process."""
    global _settings
    if _settings is None:
        _settings = read_settings(os.environ)
    return _settings


def start() -> None:
    """Gets this process ready to record. Calling it again is nothing. Never raises."""
    try:
        if recorder.folder is None and not settings().disabled:
            _start(settings())
    except Exception:
        _log.warning("otel-accubooks: not started; the application is not affected", exc_info=True)


def _start(given: Settings) -> None:
    for problem in given.problems:
        _log.warning("otel-accubooks: %s", problem)
    recorder.folder = StateFolder(given.folder)
    recorder.series_limit = given.series_limit
    from otel_accubooks.instrument.polling import polls

    polls.interval = given.interval_seconds
    # Imported before gevent or a server may patch what it uses.
    from otel_accubooks.export import spawn  # noqa: F401

    polls.add_everywhere("watching the exporter", _watch_exporter, WATCH_SECONDS)
    polls.add_everywhere("joining the others", recorder.rejoin, REJOIN_SECONDS)
    recorder.on_open(_forget_teller)
    recorder.on_open(_see_to_exporter)
    recorder.on_open(polls.start)
    atexit.register(_at_exit)
    if given.rules is not None:
        from otel_accubooks.instrument import business

        business.load_rules(given.rules)


def _see_to_exporter() -> None:
    global _pause, _not_before
    from otel_accubooks.export import spawn

    if recorder.segment is None or recorder.folder is None:
        return
    if spawn.exporter_runs(recorder.folder):
        _pause = WATCH_SECONDS
    elif monotonic() >= _not_before:
        # One that dies at once is not started every second for ever.
        _not_before = monotonic() + _pause
        _pause = min(2 * _pause, LONGEST_PAUSE_SECONDS)
        spawn.start_exporter(recorder.folder)


def _watch_exporter() -> None:
    global _told
    from otel_accubooks.export import spawn

    _see_to_exporter()
    if recorder.folder is not None and _is_teller(recorder.folder):
        problem = spawn.exporter_problem(recorder.folder)
        if problem != _told:
            _told = problem
            spawn.note_told(recorder.folder, problem)
            _log.warning("otel-accubooks: %s", problem or "metrics are arriving again")


def _is_teller(folder: StateFolder) -> bool:
    """True in the one process of the service that logs what the exporter has to say."""
    global _teller, _told
    if _teller is None:
        _teller = folder.try_lock("teller")
        if _teller is not None:
            from otel_accubooks.export import spawn

            _told = spawn.told(folder)  # by whoever told before
    return _teller is not None


def _forget_teller() -> None:
    global _teller
    if _teller is not None:
        os.close(_teller)  # inherited over a fork: the lock itself stays the parent's
        _teller = None


def _at_exit() -> None:
    # Only where the service was started: the others' counts are in shared memory.
    if os.getpid() != recorder.root.pid or recorder.folder is None:
        return
    from otel_accubooks.export import spawn

    try:
        spawn.ask_to_send(recorder.folder)
    except OSError:
        pass  # no folder to ask in
