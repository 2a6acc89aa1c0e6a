"""Whatever a setting is given: it fits, or one line says what was found, and the default stands."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_accubooks.launch import environment_variables
from otel_accubooks.launch.checked_settings import SETTINGS, Setting
from otel_accubooks.launch.settings import Settings, read_settings

# Of these any text is one; whether there is such a file is found out where it is opened.
ANY_TEXT = {
    *("OTEL_ACCUBOOKS_RULES", "OTEL_ACCUBOOKS_STATE_DIR", "OTEL_ACCUBOOKS_SECRET"),
    "OTEL_SERVICE_NAME",
}
NONSENSE = ("nonsense", "-1", "9" * 400, ",", "a: b", "/no/such/file", "redis://h:99999999/0")
SENT = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp"}
NOT_UTF8 = os.fsdecode(b"a=\xff")


def id_of(setting: Setting) -> str:
    return setting.name


def told(name: str, text: str) -> Settings:
    return read_settings({**SENT, name: text})


def values(given: Settings) -> dict[str, object]:
    """All that was read but the folder, which is the service's own."""
    names = set(vars(Settings)) - {"folder"}
    return {name: getattr(given, name) for name in names if not name.startswith("_")}


def test_every_setting_of_ours_is_checked() -> None:
    """One that is declared and not in the table is nobody's to refuse."""
    declared = {name for name in vars(environment_variables) if name.startswith("OTEL_")}
    assert declared <= {setting.name for setting in SETTINGS}
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS, ids=id_of)
def test_nonsense_is_refused_in_one_line(setting: Setting) -> None:
    """With the variable, what was expected and what is done; without it all is as by default."""
    refused = [text for text in NONSENSE if not _fits(setting, text)]
    assert bool(refused) != (setting.name in ANY_TEXT)
    for text in (*refused, NOT_UTF8):
        given = told(setting.name, text)
        (problem,) = given.problems
        assert problem.startswith(f"{setting.name} is ")
        assert problem.endswith(f", expected {setting.expected}; {setting.instead}")
        assert len(problem.splitlines()) == 1
        assert len(problem) < 400
        problem.encode()
        if setting.name not in ("OTEL_ACCUBOOKS_MONITORING_TOKEN", "OTEL_ACCUBOOKS_SECRET"):
            assert values(given) == values(read_settings(SENT))


def _fits(setting: Setting, text: str) -> bool:
    return not told(setting.name, text).problems


BYTES = st.binary(max_size=40).filter(lambda found: b"\0" not in found).map(os.fsdecode)
ALIKE = st.sampled_from(
    ["redis://", "unix://", "redis://[", "redis://h:6379/", "1", "1e", "-", "/", "a=", "none", "٣"]
)


@settings(max_examples=800, deadline=None)
@given(setting=st.sampled_from(SETTINGS), text=BYTES | st.builds(str.__add__, ALIKE, BYTES))
def test_nothing_makes_reading_fail(setting: Setting, text: str) -> None:
    """Any bytes that an environment can hold: no line, or one."""
    problems = told(setting.name, text).problems
    assert len(problems) <= 1
    assert all(len(problem.splitlines()) == 1 and problem.encode() for problem in problems)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization: Bearer sesame"),
        ("OTEL_ACCUBOOKS_REDIS_URL", "http://me:sesame@redis"),
        ("OTEL_ACCUBOOKS_CACHE_REDIS", "redis://me:sesame@redis/first"),
        ("OTEL_ACCUBOOKS_MONITORING_TOKEN", "sesame\x07"),
        ("OTEL_ACCUBOOKS_SECRET", os.fsdecode(b"sesame\xff")),
    ],
)
def test_what_may_be_secret_is_not_shown(name: str, text: str) -> None:
    """A wrong value is often a right one in a wrong place."""
    (problem,) = told(name, text).problems
    assert "sesame" not in problem


def test_a_token_that_is_none_lets_nobody_in() -> None:
    """Refused, it is no reason to be open."""
    assert told("OTEL_ACCUBOOKS_MONITORING_TOKEN", "a\x07b").monitoring_tokens == ("",)
    assert told("OTEL_ACCUBOOKS_MONITORING_TOKEN", NOT_UTF8).monitoring_tokens == ("",)


def test_a_variable_that_nobody_reads_is_named() -> None:
    """With the one that is meant, where one is like it; what processes hand on is no setting."""
    given = read_settings({"OTEL_ACCUBOOKS_RULE": "x", "OTEL_ACCUBOOKS_RQ_ATTEMPT": "7"})
    assert given.problems == []
    assert given.unknown == (
        "OTEL_ACCUBOOKS_RULE is set, which nobody reads, expected a name from docs/settings.md; "
        "OTEL_ACCUBOOKS_RULES is meant, probably",
    )


def test_of_signals_that_are_not_sent_nothing_is_said() -> None:
    """A sampler without traces is nobody's concern."""
    assert read_settings({"OTEL_TRACES_SAMPLER": "sometimes"}).problems == []


def test_what_is_right_in_the_attributes_stays() -> None:
    """A part that is none is left out, and the service keeps its name."""
    given = told("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,nonsense,b=c")
    assert [fault.mended for fault in given.faults] == ["service.name=a,b=c"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Flask", "flask"),
        ("psycopg3", "psycopg"),
        ("flask-caching", "flask_caching"),
        ("sqlalchmy", "sqlalchemy"),
    ],
)
def test_an_instrumentation_that_is_not_switched_off_is_named(name: str, meant: str) -> None:
    """The launcher says nothing of a name that nobody has; what was meant stays on."""
    (line,) = told("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", f"redis, {name},").unknown
    assert line.startswith(
        f"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names '{name}', expected one of "
    )
    assert line.endswith(f"; {meant} stays on")


def test_instrumentations_of_others_are_theirs() -> None:
    """Those of opentelemetry-python-contrib may be named beside ours."""
    theirs = (
        "aio-pika aiohttp-client aiohttp-server aiokafka aiopg asgi asyncclick asyncio asyncpg "
        "boto boto3sqs botocore cassandra click confluent_kafka django elasticsearch falcon "
        "fastapi grpc_client grpc_server httpx jinja2 kafka logging mysql mysqlclient pika "
        "pymemcache pymongo pymssql pymysql pyramid remoulade requests sqlite3 starlette "
        "system_metrics threading tornado tortoiseorm urllib urllib3 wsgi accubooks * "
    )
    assert told("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", ",".join(theirs.split())).unknown == ()
