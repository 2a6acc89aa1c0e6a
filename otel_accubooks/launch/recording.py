"""Recording in a process: the recorder gets its folder, and the exporter is seen to."""

from __future__ import annotations

import atexit
import os
import sys
from functools import partial
from logging import getLogger
from time import monotonic

from otel_accubooks.launch.settings import Settings
from otel_accubooks.launch.user_switch import hand_over_with_user
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.locks import ServiceLock
from otel_accubooks.recorder.process import recorder

_log = getLogger("otel_accubooks")
WATCH_SECONDS = 1.0
REJOIN_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0

_told: tuple[str | None, int] = (None, 0)
_teller: ServiceLock | None = None
_pause = WATCH_SECONDS
_not_before = 0.0


def begin(given: Settings) -> None:
    """Gets this process ready to record, as `given` says. Calling it again is nothing."""
    if recorder.folder is not None:
        return
    for problem in given.problems:
        _log.warning("otel-accubooks: %s", problem)
    recorder.folder = StateFolder(given.folder)
    recorder.series_limit = given.series_limit
    hand_over_with_user(recorder.folder)
    from otel_accubooks.instrument.polling import polls

    polls.interval = given.interval_seconds
    # Imported before gevent or a server may patch what it uses.
    from otel_accubooks.export import spawn  # noqa: F401

    polls.add_everywhere("watching the exporter", _watch_exporter, WATCH_SECONDS)
    polls.add_everywhere("joining the others", recorder.rejoin, REJOIN_SECONDS)
    recorder.on_open(_forget_teller)
    recorder.on_open(_see_to_exporter)
    recorder.on_open(polls.start)
    if given.exports:
        from otel_accubooks.launch import alone

        recorder.on_memory(partial(alone.begin, given.interval_seconds))
    atexit.register(_at_exit)
    if given.users_key is not None:
        from otel_accubooks.instrument import users

        users.common_key = given.users_key
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

    spawn.reap()
    _see_to_exporter()
    if recorder.segment is None or recorder.folder is None or not _is_teller(recorder.folder):
        return
    problem, notes = spawn.exporter_problem(recorder.folder), spawn.exporter_notes(recorder.folder)
    said, number = _told
    if (problem, len(notes)) != _told:
        _told = problem, len(notes)
        spawn.note_told(recorder.folder, problem, notes)
        for text in notes[number:]:
            _log.warning("otel-accubooks: %s", text)
        if problem != said:
            _log.warning("otel-accubooks: %s", problem or "metrics are arriving again")


def _is_teller(folder: StateFolder) -> bool:
    """True in the one process of the service that logs what the exporter has to say."""
    global _teller, _told
    before = _teller is not None and _teller.held
    if _teller is None:
        _teller = ServiceLock(folder, "teller")
    try:
        if not _teller.take():
            return False
    except OSError:
        return False  # deleted; somebody makes it anew
    if not before:
        from otel_accubooks.export import spawn

        _told = spawn.told(folder)  # by whoever told before
    return True


def _forget_teller() -> None:
    global _teller
    if _teller is not None:
        _teller.forget()
        _teller = None


def _at_exit() -> None:
    # Only where the service was started: the others' counts are in shared memory. But the master of
    # uWSGI ends without this, and runs it twice in its workers.
    atexit.unregister(_at_exit)
    started_here = os.getpid() == recorder.root.pid
    if recorder.folder is None or not (started_here or "uwsgi" in sys.modules):
        return
    from otel_accubooks.export import spawn

    try:
        if recorder.folder.segments() and not spawn.exporter_runs(recorder.folder):
            spawn.start_exporter(recorder.folder)  # nobody else may be left to notice
        spawn.ask_to_send(recorder.folder)
    except OSError:
        pass  # no folder to ask in
