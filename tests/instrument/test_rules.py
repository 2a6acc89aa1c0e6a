"""A rules file is right, or it is refused as a whole, with line and reason."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_accubooks.contract.metrics import (
    FORECASTS_GENERATED_TOTAL,
    NPS_SCORE,
    SCENARIOS_CREATED_TOTAL,
    USERS_BY_TIER,
)
from otel_accubooks.instrument.rules import (
    Count,
    ExceptionRule,
    JobRule,
    LogRule,
    Lookup,
    RequestRule,
    Rules,
    RulesError,
    Source,
    User,
)
from otel_accubooks.instrument.rules_check import _KEYS, check_rules, read_rules

EVERYTHING = """
[user]
id = "session.user_id"
tier = "session.tier"
logout = { method = "POST", route = "/logout" }

[[request]]
method = "POST"
route = "/api/scenarios"
status = "2xx"
count = "scenarios_created_total"
labels = { tier = "session.tier" }

[[job]]
function = "accubooks.forecasts.compute_forecast"
outcome = "success"
count = "forecasts_generated_total"
labels = { tier = "kwargs.tier" }

[[exception]]
class = "accubooks.ledger.CalculationError"
count = "calculation_errors_total"
labels = { kind = { value = "ledger" } }

[[log]]
logger = "accubooks.tenancy"
level = "ERROR"
count = "tenant_isolation_violations_total"
labels = { kind = { value = "query" } }
"""

REQUEST = """
[[request]]
method = "POST"
route = "/things"
status = {status}
count = "scenarios_created_total"
labels = {{ tier = {tier} }}
"""


def refusal(text: str) -> str:
    with pytest.raises(RulesError) as caught:
        check_rules("rules.toml", text)
    return str(caught.value)


def test_every_kind_of_rule_is_read():
    """What the file says is what the rules say."""
    rules = check_rules("rules.toml", EVERYTHING)
    assert rules.user == User(Source("session", ("user_id",)), ("POST", "/logout"))
    assert rules.requests == (
        RequestRule(
            "POST",
            "/api/scenarios",
            "2xx",
            Count(SCENARIOS_CREATED_TOTAL, (Source("session", ("tier",)),)),
        ),
    )
    function = "accubooks.forecasts.compute_forecast"
    count = Count(FORECASTS_GENERATED_TOTAL, (Source("kwargs", ("tier",)),))
    assert rules.jobs == (JobRule(function, "success", count),)
    assert [(rule.name, rule.count.labels) for rule in rules.exceptions] == [
        ("accubooks.ledger.CalculationError", ("ledger",))
    ]
    assert [(rule.logger, rule.level) for rule in rules.logs] == [("accubooks.tenancy", 40)]


def test_an_empty_file_has_no_rules():
    """Nothing said is nothing wrong."""
    assert check_rules("rules.toml", "") == Rules()


def test_a_user_needs_no_more_than_an_id():
    """`tier` and `logout` may be left out."""
    assert check_rules("rules.toml", '[user]\nid = "g.user.id"').user == User(
        Source("g", ("user", "id")), None
    )


def test_the_tier_of_the_user_is_that_of_requests():
    """A request rule whose counter has a tier may leave it to [user]."""
    text = '[user]\nid = "g.id"\ntier = "g.tier"\n' + REQUEST.format(status=201, tier='""')
    rules = check_rules("rules.toml", text.replace('labels = { tier = "" }', ""))
    assert rules.requests[0].count.labels == (Source("g", ("tier",)),)


def test_the_name_of_a_header_may_have_dots():
    """All that follows `header.` is the header."""
    text = REQUEST.format(status=201, tier='"header.X-Plan.Tier"')
    assert check_rules("rules.toml", text).requests[0].count.labels == (
        Source("header", ("X-Plan.Tier",)),
    )


def test_the_session_as_it_came_is_a_source_of_its_own():
    """What a request changes in the session can be counted from and to."""
    text = REQUEST.format(status=200, tier='"before.session.plan.tier"')
    assert check_rules("rules.toml", text).requests[0].count.labels == (
        Source("before.session", ("plan", "tier")),
    )
    wrong = refusal(text.replace("before.session.plan", "before.g"))
    assert 'rules.toml:7: tier is "before.g.tier", expected a source' in wrong


LOOKUPS = """
[[lookup]]
gauge = "users_by_tier"
sql = "SELECT tier, count(*) FROM users GROUP BY tier;"

[[lookup]]
gauge = "nps_score"
redis = ["GET", "nps"]
redis_url = "STORE_URL"
every = "5m"
"""


def test_look_ups_are_read():
    """By SQL, each minute from the application's own database, or as they say themselves."""
    sql = "SELECT tier, count(*) FROM users GROUP BY tier"
    assert check_rules("rules.toml", LOOKUPS).lookups == (
        Lookup(USERS_BY_TIER, sql, (), None, 60.0, "rules.toml:2"),
        Lookup(NPS_SCORE, "", ("GET", "nps"), "STORE_URL", 300.0, "rules.toml:6"),
    )


@pytest.mark.parametrize(
    ("right", "wrong", "line", "message"),
    [
        ('"users_by_tier"', '"active_users_concurrent"', 3, "expected one of users_by_tier, users_"),
        ('"nps_score"', '"users_by_tier"', 8, 'redis is an array with "GET", expected an array with HG'),
        ("sql =", "query =", 4, '"query" is no key of [[lookup]], expected'),
        ('sql = "S', 'every = "2s" # "S', 2, "[[lookup]] has neither sql nor redis, expected one"),
        ('redis_url', 'sql = "SELECT 1"\nredis_url', 9, "[[lookup]] has sql and redis, expected one"),
        ("SELECT tier,", "DELETE FROM users; SELECT tier,", 4, "expected one SELECT, without a ;"),
        ('"GET", "nps"', '"SET", "nps", "9"', 8, 'with "SET", expected an array with GET or HGET'),
        ('"GET", "nps"', '"HGETALL", "nps"', 8, 'with "HGETALL", expected an array with GET or'),
        ('"GET", "nps"', '"GET", 7', 8, "expected an array with GET"),
        ('["GET", "nps"]', '"GET nps"', 8, 'redis is "GET nps", expected an array with GET'),
        ('redis_url = "STORE_URL"', "", 6, "redis_url is missing, expected the name of an env"),
        ('"STORE_URL"', '"redis://:pass@x"', 9, "redis_url is something else, expected the name"),
        ("redis_url", "database", 9, "database is given, expected redis_url beside this source"),
        ('"5m"', '"5"', 10, 'every is "5", expected a time such as "60s"'),
        ('"5m"', '"25h"', 10, 'every is "25h", expected a time such as "60s"'),
        ('"5m"', "5", 10, 'every is 5, expected a time such as "60s"'),
    ],
)  # fmt: skip
def test_a_fault_in_a_look_up_is_told_with_its_line(right, wrong, line, message):
    """No address in the place of a variable's name is ever shown."""
    assert right in LOOKUPS
    told = refusal(LOOKUPS.replace(right, wrong, 1))
    assert any(t.startswith(f"rules.toml:{line}: ") and message in t for t in told.splitlines()), (
        told
    )
    assert "pass@" not in told


def test_a_gauge_is_looked_up_in_one_place():
    """Two look-ups of one gauge would overwrite each other."""
    text = LOOKUPS + '[[lookup]]\ngauge = "nps_score"\nsql = "SELECT 1"\n'
    assert refusal(text) == (
        "rules.toml:12: nps_score was looked up in rules.toml:6, expected one look-up"
    )


def test_an_exception_without_a_module_is_one_of_python():
    """`ValueError` is `builtins.ValueError`."""
    text = EVERYTHING.replace("accubooks.ledger.CalculationError", "ValueError")
    assert isinstance(check_rules("rules.toml", text).exceptions[0], ExceptionRule)
    assert check_rules("rules.toml", text).exceptions[0].name == "builtins.ValueError"


@pytest.mark.parametrize(("given", "kept"), [("201", "201"), ('"403"', "403"), ('"5xx"', "5xx")])
def test_a_status_is_a_number_a_text_or_a_class(given, kept):
    """All three forms are kept as text."""
    text = REQUEST.format(status=given, tier='"g.tier"')
    assert check_rules("rules.toml", text).requests[0].status == kept


def test_a_wrong_counter_is_answered_with_the_nearest():
    """The message has file, line, what was found and what was expected."""
    text = EVERYTHING.replace('"scenarios_created_total"', '"scenario_created_total"')
    assert refusal(text) == (
        'rules.toml:11: count is "scenario_created_total", '
        "expected a business counter such as scenarios_created_total"
    )


@pytest.mark.parametrize(
    ("right", "wrong", "line", "message"),
    [
        ("\nroute =", "\nrout =", 9, '"rout" is no key of [[request]], expected route'),
        ('"POST"\nroute', '"post"\nroute', 8, 'method is "post", expected one of GET, HEAD'),
        ('"/api/scenarios"', '"api"', 9, 'route is "api", expected a URL rule'),
        ('status = "2xx"', 'status = "ok"', 10, 'status is "ok", expected a status such as 201'),
        ('status = "2xx"', "status = 2000", 10, "status is 2000, expected"),
        ('status = "2xx"', "status = true", 10, "status is true, expected"),
        ('status = "2xx"', "", 7, "status is missing, expected"),
        ("[[request]]", "[request]", 7, "request is a table, expected [[request]]"),
        ("[[request]]", "[[requests]]", 7, '"requests" is no kind of rule, expected request'),
        ('"session.tier" }', '"sesion.tier" }', 12, 'tier is "sesion.tier", expected a source'),
        ('"session.tier" }', '"kwargs.tier" }', 12, 'tier is "kwargs.tier", expected a source'),
        ('"session.tier" }', '{ value = "GOLD" } }', 12, 'tier is "GOLD", expected one of FREE'),
        ('"session.tier" }', "{ value = 3 } }", 12, 'tier is a table, expected { value = "…" }'),
        ('{ tier = "session.tier"', '{ teir = "g.t"', 12, 'labels has "teir", expected tier of'),
        ("{ tier = \"session.tier\" }", "7", 12, "labels is 7, expected a table with tier"),
        ('"success"', '"done"', 16, 'outcome is "done", expected one of success, failure'),
        ("accubooks.forecasts.", "accubooks forecasts.", 15, 'function is "accubooks forecasts.'),
        ('"kwargs.tier"', '"args.first"', 18, 'tier is "args.first", expected a source (args.0'),
        ('{ value = "ledger" }', '"g.kind"', 23, 'kind is "g.kind", expected { value = "…" }'),
        ('"ERROR"', '"LOUD"', 27, 'level is "LOUD", expected one of DEBUG'),
        ('"accubooks.tenancy"', '""', 26, 'logger is "", expected the name of a logger'),
        ('"calculation_errors_total"', '"http_requests_total"', 22, "expected a business counter"),
        ('"calculation_errors_total"', '"nps_score"', 22, 'count is "nps_score", expected'),
        ('"calculation_errors_total"', "[1979-05-27]", 22, "count is an array, expected"),
        ('id = "session.user_id"', "", 2, "id is missing, expected a source (session.x"),
        ('"session.user_id"', '"session"', 3, 'id is "session", expected a source'),
        ('route = "/logout"', 'path = "/logout"', 5, '"path" is no key of logout, expected'),
        ("[user]\n", "[user]]\n", "2:7", "expected TOML"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line(right, wrong, line, message):
    """What was found and what was expected, at the line where it stands."""
    assert right in EVERYTHING
    told = refusal(EVERYTHING.replace(right, wrong, 1)).splitlines()
    assert any(text.startswith(f"rules.toml:{line}: ") and message in text for text in told), told


def test_all_faults_are_told_at_once_in_the_order_of_the_file():
    """Nobody has to start the application again for the next one."""
    text = EVERYTHING.replace("2xx", "2x").replace("ERROR", "LOUD").replace("success", "done")
    assert [line.split(":")[1] for line in refusal(text).splitlines()] == ["10", "16", "27"]


def test_the_line_is_right_behind_other_tables_of_its_kind():
    """Tables of the same kind are told apart, and what looks like one in a text is none."""
    good = REQUEST.format(status=201, tier='"g.tier"')
    text = '[user]\nid = """g.a\n[[request]]\n"""' + good + good.replace("201", "600")
    assert "rules.toml:13: status is 600" in refusal(text.replace("g.a\n[[request]]\n", "g.a"))
    assert "rules.toml:15: status is 600" in refusal(text)


def test_a_table_of_labels_below_its_rule_is_read():
    """TOML's other way to write a table means the same, and its faults have their line, too."""
    text = REQUEST.format(status=201, tier='"g.tier"')
    below = text.replace('labels = { tier = "g.tier" }', '[request.labels]\ntier = "g.tier"')
    assert check_rules("rules.toml", below) == check_rules("rules.toml", text)
    assert refusal(below.replace("g.tier", "tier")).startswith('rules.toml:8: tier is "tier"')


def test_what_is_shown_of_a_wrong_value_is_short():
    """A value of any size makes one line."""
    text = EVERYTHING.replace('"2xx"', '"' + "9\\n" * 1000 + '"')
    (line,) = refusal(text).splitlines()
    assert len(line) < 200


def test_a_file_that_is_not_there_is_a_rules_error(tmp_path: Path):
    """The path and the system's reason are told."""
    with pytest.raises(RulesError, match=r"rules\.toml: cannot be read: No such file"):
        read_rules(tmp_path / "rules.toml")


RIGHT = {
    "user": {"id": '"g.id"', "tier": '"g.tier"', "logout": '{ method = "POST", route = "/x" }'},
    "request": {
        "method": '"POST"', "route": '"/x"', "status": "201", "count": '"scenarios_created_total"',
        "labels": '{ tier = "g.tier" }',
    },
    "job": {
        "function": '"a.b"', "outcome": '"success"', "count": '"scenarios_created_total"',
        "labels": '{ tier = "args.0" }',
    },
    "exception": {
        "class": '"a.B"', "count": '"calculation_errors_total"', "labels": '{ kind = {value = "x"} }',
    },
    "log": {
        "logger": '"a"', "level": '"ERROR"', "count": '"calculation_errors_total"',
        "labels": '{ kind = {value = "x"} }',
    },
    "lookup": {
        "gauge": '"users_by_tier"', "sql": '"SELECT 1"', "every": '"60s"', "database": '"URL"',
    },
}  # fmt: skip
OTHER = {"gauge": '"nps_score"', "redis": '["GET", "x"]', "redis_url": '"URL"'}
WRONG = (
    "true",
    "-7",
    "1.5",
    "inf",
    "1979-05-27",
    "[]",
    "[1]",
    "{}",
    "{ x = 1 }",
    '""',
    '"\\u0000"',
)


def file_of(kind: str, keys: dict[str, str]) -> str:
    head = "[user]" if kind == "user" else f"[[{kind}]]"
    return "\n".join([head, *(f"{key} = {value}" for key, value in keys.items())])


TABLES = [*RIGHT.items(), ("lookup", OTHER)]
KEYS = [(kind, keys, key) for kind, keys in TABLES for key in keys]


def test_every_key_is_given_wrong_ones_below():
    """A key that is added to the schema and not here fails."""
    assert {(kind, key) for kind, _, key in KEYS} == {
        (kind, key) for kind, keys in _KEYS.items() for key in keys
    }
    for kind, keys in TABLES:
        assert check_rules("rules.toml", file_of(kind, keys)) != Rules()


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize(("kind", "keys", "key"), KEYS, ids=lambda one: str(one)[:9])
def test_a_wrong_type_is_told_at_its_key(kind, keys, key, value):
    """Whichever type it has: nothing of the file is applied, and the line is the key's, as one."""
    if (key, value) in {("logger", '"\\u0000"')}:
        return  # a name like any other
    text = file_of(kind, {**keys, key: value})
    told = refusal(text).splitlines()
    inner = {"{}": 2, "{ x = 1 }": 3}  # logout has keys of its own
    assert len(told) == (inner.get(value, 1) if key == "logout" else 1)
    for line in told:
        assert line.startswith(f"rules.toml:{list(keys).index(key) + 2}: ")
        assert ", expected " in line


NAMES = st.sampled_from(
    [
        *("user", "request", "job", "exception", "log", "labels", "logout", "value", "id", "tier"),
        *("lookup", "gauge", "sql", "redis", "every", "database", "redis_url"),
        *("method", "route", "status", "count", "function", "class", "outcome", "logger", "level"),
    ]
)
VALUES = st.sampled_from(
    [
        *('"POST"', '"/x"', "201", '"scenarios_created_total"', '"session.tier"', '"a.b"', "[]"),
        *("{}", "true", "0x" + "f" * 5000, "9" * 5000, "[[[1]]]", "1979-05-27", "nan", "'args.'"),
        *('"users_by_tier"', '["GET", "x"]', '["HGETALL", 1]', '"60s"', '"SELECT 1"', '"X"'),
        *('{ value = "PRO" }', "{ tier = 1 }", '[{ count = "x" }, 3]', '"""\n[x]"""', '"\\u0000"'),
    ]
)
LINES = st.one_of(
    NAMES.map("[{}]".format),
    NAMES.map("[[{}]]".format),
    st.tuples(NAMES, NAMES).map(".".join).map("[{}]".format),
    st.tuples(NAMES, VALUES).map(" = ".join),
    st.text(max_size=20),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(LINES, max_size=12).map("\n".join))
def test_no_text_makes_it_raise_anything_else(text):
    """Whatever stands in the file: rules, or one RulesError with a line for each fault."""
    told = ""
    try:
        check_rules("rules.toml", text)
    except RulesError as error:
        told = str(error)
    assert all(line.startswith("rules.toml") for line in told.splitlines())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_make_it_raise_anything_else(tmp_path_factory, content):
    """The same for what is no text at all."""
    path = tmp_path_factory.mktemp("rules") / "rules.toml"
    path.write_bytes(content)
    told = str(path)
    try:
        read_rules(path)
    except RulesError as error:
        told = str(error)
    assert str(path) in told


@pytest.mark.parametrize("text", ["a=" + "[" * 5000, "a=" + "{b=" * 5000, "9" * 9000 + "=1"])
def test_depth_and_length_are_no_way_out(text):
    """Not even what exhausts the parser."""
    assert "rules.toml" in refusal(text)


def test_a_log_rule_counts_with_its_constant():
    """A rule that cannot ask anybody has constants alone."""
    rule = check_rules("rules.toml", EVERYTHING).logs[0]
    assert rule == LogRule("accubooks.tenancy", 40, rule.count)
    assert rule.count.labels == ("query",)
