"""What each setting may be: ours, and those of OpenTelemetry that are read in our processes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from otel_accubooks.contract.endpoints import DEFAULT_PREFIX
from otel_accubooks.export.settings import DEFAULT_INTERVAL_MS, interval_seconds, users_redis
from otel_accubooks.instrument.redis_place import DEFAULT_BUDGET_BYTES, EXPECTED, read_place
from otel_accubooks.launch import environment_variables as ours
from otel_accubooks.launch.switches import left_out
from otel_accubooks.recorder.recorder import DEFAULT_SERIES_LIMIT

MOST_SERIES = 1_000_000
MOST_BYTES = 1 << 50
MOST_IN_BATCHES = 1_000_000_000
_SHOWN_CHARACTERS = 60
# As texts: what is not set is not compiled.
_PREFIX = r"(?i:none)|/|(/[A-Za-z0-9._~-]+)+/?"
_HEADER = r"[!#-'*+\-.0-9A-Z^-z|~]+[ \t]*=.*\S.*"
# What our own processes hand to each other, and the shell's completion.
_NO_SETTINGS = ("CELERY_RUNS", "RQ_ATTEMPT", "COMPLETE")


def _repr(text: str) -> str:
    cut = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
    return repr(cut)


class Setting(NamedTuple):
    """A variable: what fits, as a test and in words, and what happens where something else is given.

    `shown` says what was found, without what may be a secret. `mended` is what stands for a value that
    does not fit, where that is not the default. `signal` is that of OpenTelemetry for which it counts.
    """

    name: str
    fits: Callable[[str], bool]
    expected: str
    instead: str
    shown: Callable[[str], str] = _repr
    mended: Callable[[str], str] = lambda _: ""
    signal: str = ""


class Fault(NamedTuple):
    """A setting that does not fit: its line, and the value that stands for it, "" for the default."""

    name: str
    said: str
    mended: str


def faults(env: Mapping[str, str]) -> Iterator[Fault]:
    """What is wrong in `env`; of traces and logs only where they are sent. Never raises."""
    for setting in SETTINGS:
        text = env.get(setting.name, "").strip()
        if not text or (setting.signal and not _sent(env, setting.signal)):
            continue
        if not _is_utf8(text):
            found = f"{setting.name} is not UTF-8"
        elif not _fits(setting, text):
            found = f"{setting.name} is {setting.shown(text)}"
        else:
            continue
        said = f"{found}, expected {setting.expected}; {setting.instead}"
        yield Fault(setting.name, said, setting.mended(text))


def unknown(env: Mapping[str, str]) -> Iterator[str]:
    """One line for each variable of ours, and each instrumentation of ours, that there is none of."""
    known = [name for name in vars(ours) if name.startswith("OTEL_")]
    others = {f"OTEL_ACCUBOOKS_{name}" for name in _NO_SETTINGS}
    for name in sorted(env):
        if name.startswith("OTEL_ACCUBOOKS_") and name not in others.union(known):
            like = _like(name, known)
            meant = f"; {like} is meant, probably" if like else ""
            yield f"{_plain(name)} is set, which nobody reads, expected a name from docs/settings.md{meant}"
    if off := left_out(env):
        yield from _misspelt(off)


def _misspelt(names: Iterable[str]) -> Iterator[str]:
    from otel_accubooks.launch.instrumentors import INSTRUMENTORS

    for name in sorted(names):
        # What is like none of ours is another's: upstream has some eighty.
        if name not in INSTRUMENTORS and (like := _like(name.lower(), [*INSTRUMENTORS])):
            yield (
                f"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names {_repr(_plain(name))}, expected one of "
                f"{', '.join(INSTRUMENTORS)}; {like} stays on"
            )


def _like(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, known, 1, 0.75)), "")


def _sent(env: Mapping[str, str], signal: str) -> bool:
    named = env.get(f"OTEL_{signal}_EXPORTER", "").split(",")
    return any(name.strip() not in ("", "none") for name in named)


def _fits(setting: Setting, text: str) -> bool:
    try:
        return setting.fits(text)
    except ValueError:
        return False


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _whole(most: int) -> Callable[[str], bool]:
    return lambda text: len(text) < 30 and 0 < int(text) <= most


def _one_of(*words: str) -> Callable[[str], bool]:
    return lambda text: text.lower() in words


def _tokens(text: str) -> bool:
    parts = [part.strip() for part in text.split(",")]
    return any(parts) and text.isprintable()


def _headers(text: str) -> bool:
    return all(re.fullmatch(_HEADER, part.strip()) for part in text.split(",") if part.strip())


def _pairs(text: str) -> bool:
    return all("=" in part for part in text.split(",") if part.strip())


def _good_pairs(text: str) -> str:
    return ",".join(_plain(part) for part in text.split(",") if "=" in part)


def _interval(text: str) -> bool:
    return bool(interval_seconds({"OTEL_METRIC_EXPORT_INTERVAL": text}))


_OURS = (
    Setting(ours.OTEL_ACCUBOOKS_RULES, bool, "a file (TOML)", "no business rule is applied"),
    Setting(ours.OTEL_ACCUBOOKS_STATE_DIR, bool, "a folder", "the default is used"),
    Setting(
        ours.OTEL_ACCUBOOKS_SERIES_LIMIT,
        _whole(MOST_SERIES),
        f"a number from 1 to {MOST_SERIES}",
        f"{DEFAULT_SERIES_LIMIT} is used",
    ),
    Setting(
        ours.OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES,
        _whole(MOST_BYTES),
        f"a number from 1 to {MOST_BYTES}",
        f"{DEFAULT_BUDGET_BYTES} is used",
    ),
    Setting(
        ours.OTEL_ACCUBOOKS_MONITORING_PREFIX,
        lambda text: bool(re.fullmatch(_PREFIX, text)),
        f"a path such as {DEFAULT_PREFIX}, or none",
        f"{DEFAULT_PREFIX} is used",
    ),
    Setting(
        ours.OTEL_ACCUBOOKS_MONITORING_TOKEN,
        _tokens,
        "one or several, with commas between",
        "until then all endpoints but health are closed",
        shown=lambda _: "no token (its text is not shown)",
        # Nobody may in, rather than everybody.
        mended=lambda _: ",",
    ),
    Setting(
        ours.OTEL_ACCUBOOKS_TEST_ERRORS,
        _one_of("true", "false"),
        "true or false",
        "false is used",
    ),
    Setting(
        ours.OTEL_ACCUBOOKS_CACHE_REDIS,
        lambda text: bool(read_place(text)),
        EXPECTED,
        "every Redis that the application uses counts as cache",
        shown=lambda text: _repr(text.rpartition("@")[2]),  # without a password
    ),
    Setting(
        ours.OTEL_ACCUBOOKS_REDIS_URL,
        lambda text: bool(users_redis({ours.OTEL_ACCUBOOKS_REDIS_URL: text})),
        "one such as redis://10.0.0.1:6379/0",
        "users are counted for each host alone",
        shown=lambda _: "no address of a Redis",  # it may hold a password
    ),
    Setting(
        ours.OTEL_ACCUBOOKS_SECRET, bool, "a long random text", "each host has a random one",
        shown=lambda _: "no text",
    ),
)  # fmt: skip

_SAMPLERS = tuple(
    f"{base}{kind}"
    for base in ("", "parentbased_")
    for kind in ("always_on", "always_off", "traceidratio")
)

_OF_RESOURCE = (
    Setting(
        "OTEL_SERVICE_NAME", bool, "the name of the application", "its other bytes are replaced",
        mended=_plain,
    ),
    Setting(
        "OTEL_RESOURCE_ATTRIBUTES", _pairs, "name=value, several with commas",
        "what is none of them is left out", mended=_good_pairs,
    ),
)  # fmt: skip

_OF_SDK = (
    Setting("OTEL_SDK_DISABLED", _one_of("true", "false"), "true or false", "false is used"),
    Setting(
        "OTEL_METRIC_EXPORT_INTERVAL",
        _interval,
        "milliseconds from 1000 to 3600000",
        f"{DEFAULT_INTERVAL_MS} is used",
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        _one_of("cumulative", "delta", "lowmemory"),
        "cumulative, delta or lowmemory",
        "cumulative is used",
    ),
    Setting(
        "OTEL_METRICS_EXEMPLAR_FILTER",
        _one_of("trace_based", "always_on", "always_off"),
        "trace_based, always_on or always_off",
        "trace_based is used",
        signal="TRACES",
    ),
    Setting(
        "OTEL_TRACES_SAMPLER",
        _one_of(*_SAMPLERS),
        f"one of {', '.join(_SAMPLERS)}",
        "parentbased_always_on is used",
        signal="TRACES",
    ),
    Setting(
        "OTEL_TRACES_SAMPLER_ARG",
        lambda text: 0 <= float(text) <= 1,
        "a share from 0 to 1",
        "1 is used",
        signal="TRACES",
    ),
)


def _of_batches() -> Iterator[Setting]:
    for part, signal, delay in (("BSP", "TRACES", 5000), ("BLRP", "LOGS", 1000)):
        for name, default in (
            ("SCHEDULE_DELAY", delay),
            ("MAX_QUEUE_SIZE", 2048),
            ("MAX_EXPORT_BATCH_SIZE", 512),
            ("EXPORT_TIMEOUT", 30_000),
        ):
            yield Setting(
                f"OTEL_{part}_{name}",
                _whole(MOST_IN_BATCHES),
                f"a number from 1 to {MOST_IN_BATCHES}",
                f"{default} is used",
                signal=signal,
            )


def _of_otlp() -> Iterator[Setting]:
    for signal in ("", "METRICS", "TRACES", "LOGS"):
        prefix = f"OTEL_EXPORTER_OTLP_{signal}_" if signal else "OTEL_EXPORTER_OTLP_"
        gate = signal if signal in ("TRACES", "LOGS") else ""
        yield Setting(
            f"{prefix}TIMEOUT",
            lambda text: 0 < float(text) < float("inf"),
            "seconds, above 0",
            "10 is used",
            signal=gate,
        )
        yield Setting(
            f"{prefix}COMPRESSION",
            _one_of("none", "gzip", "deflate"),
            "gzip, deflate or none",
            "none is used",
            signal=gate,
        )
        yield Setting(
            f"{prefix}HEADERS",
            _headers,
            "name=value, several with commas",
            "none of them is sent",
            shown=lambda _: "something else (its text is not shown)",
            signal=gate,
        )
        for kind in ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"):
            yield Setting(
                f"{prefix}{kind}",
                os.path.isfile,
                "a file that is there",
                "until it is, nothing is sent to an address that needs it",
                mended=lambda text: text,
                signal=gate,
            )


SETTINGS = (*_OURS, *_OF_RESOURCE, *_OF_SDK, *_of_batches(), *_of_otlp())
