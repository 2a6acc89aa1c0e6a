"""The rules, applied to real Flask applications and to logging."""

import gzip
import logging

import flask
import pytest

from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.instrument import business
from otel_accubooks.recorder.process import recorder

ASK_SESSION = '[user]\nid = "session.user"\n'


def request_rule(route: str, status: str, tier: str, method: str = "POST") -> str:
    return f"""
[[request]]
method = "{method}"
route = "{route}"
status = "{status}"
count = "scenarios_created_total"
labels = {{ tier = {tier} }}
"""


@pytest.fixture
def plain(shop):
    """An answer of any status to a POST, with what the session, g and the body are told."""

    @shop.app.post("/things/<int:number>")
    def things(number):
        asked = flask.request.get_json(silent=True) or {}
        flask.session.update(asked.get("session", {}))
        for name, value in asked.get("g", {}).items():
            setattr(flask.g, name, value)
        return asked.get("json", {}), asked.get("status", 200)

    return shop


def test_a_request_counts_by_its_url_rule_and_status(plain):
    """Neither the raw path nor another status counts."""
    client = plain.under(request_rule("/things/<int:number>", "201", '{ value = "PRO" }'))
    for status in (201, 200, 403, 201):
        client.post("/things/7", json={"status": status})
    client.get("/things/7")
    client.post("/nowhere")
    assert plain.counts() == {("PRO",): 2}


def test_a_class_of_statuses_counts_each_of_them(plain):
    """2xx is 200 and 201, and not 302."""
    client = plain.under(request_rule("/things/<int:number>", "2xx", '{ value = "PRO" }'))
    for status in (200, 201, 302):
        client.post("/things/7", json={"status": status})
    assert plain.counts() == {("PRO",): 2}


class DetachedError(Exception):
    pass


@pytest.mark.parametrize(
    "error", [DetachedError(), TimeoutError("timed out")], ids=["row", "server"]
)
def test_an_object_that_raises_names_nobody(shop, error):
    """A row that is detached from its database session, or asks a server: the answer goes out as it is."""

    class Row:
        @property
        def id(self):
            raise error

    @shop.app.get("/")
    def view():
        flask.g.user = Row()
        return "books"

    client = shop.under('[user]\nid = "g.user.id"\n')
    assert client.get("/").text == "books"
    assert shop.present() == (0, 0)


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("session.plan.tier", {"json": {"session": {"plan": {"tier": "STARTER"}}}}),
        ("g.plan.tier", {"json": {"g": {"plan": {"tier": "STARTER"}}}}),
        ("json.plans.1.tier", {"json": {"json": {"plans": [{}, {"tier": "STARTER"}]}}}),
        ("header.X-Tier", {"headers": {"X-Tier": "STARTER"}}),
    ],
)
def test_a_label_comes_from_the_session_g_a_header_or_the_answer(plain, source, sent):
    """Each of the four sources is read as the request leaves it."""
    client = plain.under(request_rule("/things/<int:number>", "2xx", f'"{source}"'))
    client.post("/things/7", **sent)
    assert plain.counts() == {("STARTER",): 1}


@pytest.mark.parametrize("value", ["GOLD", "", None, True, ["PRO"], {"PRO": 1}, 3, "x" * 10_000])
def test_a_tier_that_is_none_counts_as_unknown(plain, value):
    """Values from outside cannot widen a closed set."""
    client = plain.under(request_rule("/things/<int:number>", "2xx", '"json.tier"'))
    client.post("/things/7", json={"json": {"tier": value}})
    assert plain.counts() == {("unknown",): 1}


def test_a_label_that_nobody_bounds_is_cut(plain):
    """A header may say what it likes, in 200 characters."""
    text = request_rule("/things/<int:number>", "2xx", '"header.X-Tier"')
    text = text.replace("scenarios_created_total", "tier_limit_hits_total")
    client = plain.under(text.replace(" }\n", ', limit_type = "header.X-Limit" }\n'))
    client.post("/things/7", headers={"X-Tier": "PRO", "X-Limit": "y" * 5000})
    assert plain.counts("tier_limit_hits_total") == {("PRO", "y" * 200): 1}


def test_a_component_outside_the_closed_set_is_not_counted_as_another(plain, caplog):
    """Where a closed set has no unknown, nothing is counted and one line says so."""
    text = request_rule("/things/<int:number>", "2xx", "").replace("tier = ", 'component = "g.c"')
    client = plain.under(text.replace("scenarios_created_total", "trust_layer_usage_total"))
    for _ in range(2):
        client.post("/things/7", json={"g": {"c": "crystal_ball"}})
    client.post("/things/7", json={"g": {"c": "assumptions_panel"}})
    assert plain.counts("trust_layer_usage_total") == {("assumptions_panel",): 1}
    assert [r.getMessage() for r in caplog.records if "crystal_ball" in r.getMessage()] == [
        "otel-accubooks: trust_layer_usage_total: component is 'crystal_ball', expected one of "
        "calculation_explainer, assumptions_panel, confidence_indicator"
    ]


def test_reading_the_session_leaves_no_trace(shop):
    """The answers of views that never touched the session have no Vary header, failed ones too."""
    rules = ASK_SESSION + '[[request]]\nmethod = "GET"\nstatus = "5xx"\nroute = "/broken"\n'
    rules += 'count = "scenarios_created_total"\nlabels = { tier = "session.tier" }\n'

    @shop.app.get("/")
    def hello():
        return "hello"

    @shop.app.get("/broken")
    def broken():
        raise ValueError("broken")

    @shop.app.post("/login")
    def login():
        flask.session.update(user=1, tier="PRO")
        return ""

    client = shop.under(rules)
    client.post("/login")
    answers = [client.get("/"), client.get("/broken")]
    assert [answer.status_code for answer in answers] == [200, 500]
    assert [answer.headers.get("Vary") for answer in answers] == [None, None]
    assert shop.counts() == {("PRO",): 1}


def test_a_label_may_come_from_the_session_as_it_was_before(shop):
    """A conversion is from the tier that came with the request to the one that it leaves."""
    tiers = iter(["FREE", "STARTER", "STARTER", "PRO"])

    @shop.app.post("/upgrade")
    def upgrade():
        flask.session["tier"] = next(tiers)
        return ""

    rule = request_rule("/upgrade", "2xx", "").replace("tier = ", 'from_tier = "X", to_tier = "Y"')
    rule = rule.replace("scenarios_created_total", "upgrade_conversions_total")
    client = shop.under(
        rule.replace('"X"', '"before.session.tier"').replace('"Y"', '"session.tier"')
    )
    for _ in range(4):
        client.post("/upgrade")
    assert shop.counts("upgrade_conversions_total") == {
        ("unknown", "FREE"): 1,
        ("FREE", "STARTER"): 1,
        ("STARTER", "STARTER"): 1,
        ("STARTER", "PRO"): 1,
    }


def test_a_failed_request_counts_as_500(shop):
    """An exception that nobody handles is an answer with 500."""

    @shop.app.post("/broken")
    def broken():
        raise ValueError("broken")

    client = shop.under(request_rule("/broken", "500", '{ value = "FREE" }'))
    assert client.post("/broken").status_code == 500
    assert shop.counts() == {("FREE",): 1}


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        (lambda: flask.jsonify(tier="PRO"), "PRO"),
        (lambda: flask.Response('{"tier": "PRO"}', mimetype="application/problem+json"), "PRO"),
        (lambda: flask.Response('{"tier": "PRO"}', mimetype="text/plain"), "unknown"),
        (lambda: flask.Response('{"tier": ', mimetype="application/json"), "unknown"),
        (lambda: flask.Response("[" * 50_000, mimetype="application/json"), "unknown"),
        (lambda: flask.jsonify(tier="PRO", more="x" * 70_000), "unknown"),
        (lambda: flask.Response(iter(['{"tier":', ' "PRO"}']), mimetype="application/json"),
         "unknown"),
        (lambda: flask.Response(gzip.compress(b'{"tier": "PRO"}'), mimetype="application/json"),
         "unknown"),
    ],
)  # fmt: skip
def test_a_json_answer_is_read_and_nothing_else(shop, answer, counted):
    """What is no JSON, too long or not made yet is left alone, and arrives as it was."""
    shop.app.post("/answer")(answer)
    with shop.app.app_context():
        expected = answer().get_data()
    client = shop.under(request_rule("/answer", "200", '"json.tier"'))
    assert client.post("/answer").get_data() == expected
    assert shop.counts() == {(counted,): 1}


def test_a_file_is_passed_on_unread(shop, tmp_path):
    """A direct passthrough stays one."""
    (tmp_path / "answer.json").write_text('{"tier": "PRO"}')
    shop.app.post("/file")(lambda: flask.send_file(tmp_path / "answer.json"))
    client = shop.under(request_rule("/file", "200", '"json.tier"'))
    assert client.post("/file").get_json() == {"tier": "PRO"}
    assert shop.counts() == {("unknown",): 1}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET"])
def test_answers_without_a_body_or_a_view_of_their_own_are_fine(shop, method):
    """HEAD and OPTIONS, which Flask adds by itself, are methods like others."""
    shop.app.get("/tier")(lambda: {"tier": "PRO"})
    client = shop.under(request_rule("/tier", "200", '{ value = "PRO" }', method))
    for each in ("HEAD", "OPTIONS", "GET"):
        assert client.open("/tier", method=each).status_code == 200
    assert shop.counts() == {("PRO",): 1}


def test_closed_and_constant_labels_are_at_0_from_the_start(plain):
    """The first event of a counter is growth."""
    text = request_rule("/things/<int:number>", "2xx", '"json.tier"')
    text += '[[exception]]\nclass = "ValueError"\ncount = "calculation_errors_total"\n'
    text += 'labels = { kind = { value = "ledger" } }\n'
    text += '[[log]]\nlogger = "x"\nlevel = "ERROR"\ncount = "support_tickets_total"\n'
    plain.under(text + 'labels = { priority = { value = "high" } }\n')
    recorder.counter(BY_NAME["http_requests_total"]).labels("GET", "/", "200").add()
    zeros = [
        (point.metric.name, *point.labels)
        for point in plain.recorded().points.values()
        if not point.value and point.metric.group == "business"
    ]
    assert sorted(zeros) == [
        ("calculation_errors_total", "ledger"),
        *(("scenarios_created_total", tier) for tier in ("FREE", "PRO", "STARTER", "unknown")),
        ("support_tickets_total", "high"),
    ]


EXCEPTION = """
[[exception]]
class = "{name}"
count = "calculation_errors_total"
labels = {{ kind = {{ value = "{kind}" }} }}
"""


class LedgerError(ArithmeticError):
    pass


class OddLedgerError(LedgerError):
    __hash__ = None

    def __eq__(self, other):
        return True


def test_an_exception_counts_by_its_class_and_those_above(shop):
    """Subclasses count too, handled by the application or not; others do not."""
    raised = iter([LedgerError(), OddLedgerError(), OddLedgerError(), KeyError(), LedgerError()])

    @shop.app.get("/")
    def view():
        raise next(raised)

    shop.app.register_error_handler(OddLedgerError, lambda error: ("handled", 400))
    client = shop.under(EXCEPTION.format(name=f"{__name__}.LedgerError", kind="ledger"))
    assert [client.get("/").status_code for _ in range(5)] == [500, 400, 400, 500, 500]
    assert shop.counts("calculation_errors_total") == {("ledger",): 4}


def test_an_exception_that_passes_two_applications_counts_once(shop):
    """An application inside another one re-raises what the outer one sees again."""
    errors = [LedgerError(), ZeroDivisionError()]
    inner = flask.Flask("inner")
    inner.config["PROPAGATE_EXCEPTIONS"] = True

    @inner.get("/")
    def broken():
        raise errors.pop()

    @shop.app.get("/")
    def outer():
        return flask.Response.from_app(inner, flask.request.environ)

    client = shop.under(
        EXCEPTION.format(name=f"{__name__}.LedgerError", kind="own")
        + EXCEPTION.format(name="ZeroDivisionError", kind="python")
    )
    assert [client.get("/").status_code for _ in range(2)] == [500, 500]
    assert shop.counts("calculation_errors_total") == {("own",): 1, ("python",): 1}


LOG = """
[[log]]
logger = "{logger}"
level = "ERROR"
count = "tenant_isolation_violations_total"
labels = {{ kind = {{ value = "query" }} }}
"""


def test_a_log_record_counts_by_logger_and_level(shop):
    """The logger itself and those below it, from the level on; not its namesakes."""
    shop.under(LOG.format(logger="books.tenancy"))
    for name in ("books.tenancy", "books.tenancy.sql", "books.tenancy2", "books"):
        logging.getLogger(name).error("%s", "violated")
        logging.getLogger(name).warning("no")
    logging.getLogger("books.tenancy").critical("worse")
    assert shop.counts("tenant_isolation_violations_total") == {("query",): 3}


def test_a_log_record_that_is_not_handled_does_not_count(shop):
    """Level, filter and `disabled` of the application are respected."""
    shop.under(LOG.format(logger="books"))
    silent, picky, off = (logging.getLogger(f"books.{name}") for name in ("a", "b", "c"))
    silent.setLevel(logging.CRITICAL)
    picky.addFilter(lambda record: False)
    off.disabled = True
    for logger in (silent, picky, off):
        logger.error("unheard")
    assert shop.counts("tenant_isolation_violations_total") == {}


def test_logging_stays_as_it_was(shop, caplog):
    """Records arrive with the caller's place in them, and without log rules nothing is changed."""
    before = logging.Logger.callHandlers
    shop.under(EXCEPTION.format(name="ValueError", kind="x"))
    assert logging.Logger.callHandlers is before
    shop.under(LOG.format(logger="root"))
    logging.getLogger("anything").error("here")
    assert [(r.message, r.funcName) for r in caplog.records] == [
        ("here", "test_logging_stays_as_it_was")
    ]
    assert shop.counts("tenant_isolation_violations_total") == {("query",): 1}


def test_what_this_package_logs_is_not_counted(shop):
    """A rule for all loggers means the application's, or counting would log and log would count."""
    shop.under(LOG.format(logger="root"))
    logging.getLogger("otel_accubooks").error("ours")
    logging.getLogger("otel_accubooks.export").error("ours")
    assert shop.counts("tenant_isolation_violations_total") == {}


def test_a_wrong_file_is_told_and_not_applied(shop, tmp_path):
    """What is said has file, line and reason; nothing of the file counts."""
    path = tmp_path / "rules.toml"
    path.write_text(ASK_SESSION + request_rule("/x", "200", '"session.teir"') + "x = 1\n")
    said = business.load_rules(path)
    assert not business.rules_exist()
    assert said == (
        f'no business rule is applied: {path}:10: "x" is no key of [[request]], expected method'
    )


def test_a_right_file_is_applied(shop, tmp_path):
    """There is nothing to say, and Flask is looked at."""
    path = tmp_path / "rules.toml"
    path.write_text(ASK_SESSION)
    assert business.load_rules(path) is None
    assert business.rules_exist()


def test_a_source_that_fails_does_not_touch_the_request(shop):
    """What the application's own objects raise when asked is an unknown value."""

    class Moody:
        @property
        def tier(self):
            raise RuntimeError("not now")

    @shop.app.post("/")
    def view():
        flask.g.user = Moody()
        return "fine"

    client = shop.under(request_rule("/", "200", '"g.user.tier"'))
    assert client.post("/").get_data() == b"fine"
    assert shop.counts() == {("unknown",): 1}
