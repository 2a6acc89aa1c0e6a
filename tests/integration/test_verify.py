"""A deployment as it should be is seen so; broken in any way, it is not, and the fix is named."""

from __future__ import annotations

import copy
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import tenacity
import yaml
from conftest import eventually

from otel_accubooks.cli.verify import run
from otel_accubooks.contract.checklist import LookName
from otel_accubooks.servers.api import Api
from otel_accubooks.servers.prometheus import Prometheus as Client
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.binaries import find_prometheus
from otel_accubooks.stack.deployment import SERVICE, Deployment
from otel_accubooks.stack.files import RENDERED
from otel_accubooks.stack.people import people
from otel_accubooks.stack.prometheus import DIRECT, Prometheus
from otel_accubooks.stack.receivers import Receivers
from otel_accubooks.stack.viewer import Viewer
from otel_accubooks.trial import test_alert
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.alertmanager import configuration
from otel_accubooks.verify import metrics, prometheus
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.trying import look_others_of_pair
from otel_accubooks.verify.verification import run_step
from otel_accubooks.verify.way import Site
from otel_accubooks.verify.ways import prometheus_alone

# One deployment is set up and looked at in whole, on a machine that may be busy.
pytestmark = pytest.mark.timeout(900)
WAY = prometheus_alone()
STEPS = {name: step for step in WAY for name in step.gives}
ROUTES = len(configuration(Addresses(("a@b.c",), ("a@b.c",), ""))["route"]["routes"])
PATIENCE = 60.0


@dataclass
class Place:
    """One deployment with everything twice, and what is known of it here."""

    deployment: Deployment
    receivers: Receivers
    rules: Path
    servers: Servers = field(init=False)

    def __post_init__(self) -> None:
        assert self.deployment.prometheus is not None
        assert self.deployment.standby is not None
        self.prometheus: Prometheus = self.deployment.prometheus
        self.standby: Prometheus = self.deployment.standby
        self.servers = replace(
            self.receivers.servers,
            service=SERVICE,
            prometheus=self.prometheus.url,
            standby=self.standby.url,
            gateway=f"http://127.0.0.1:{self.deployment.ports.otlp_http}",
        )

    def look(self, name: LookName, to: Mapping[str, Any] | None = None, **servers: Any) -> Look:
        """The first look of this name that did not pass, else one that did."""
        looks = [look for look in self.looks(name, to, **servers) if look.name == name]
        return next((look for look in looks if look.state != "passed"), looks[0])

    def looks(
        self, name: LookName, to: Mapping[str, Any] | None = None, **servers: Any
    ) -> list[Look]:
        """All looks of the step that gives this one, with other addresses, or other servers."""
        addresses = replace(self.receivers.to, **(to or {}))
        chosen = replace(self.servers, **servers)
        return run_step(STEPS[name], Site(chosen, addresses, {}, lambda _: None))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    rules = folder / "rules.yml"
    rules.write_text((RENDERED / "prometheus" / "rules" / "accubooks.yml").read_text())
    with ExitStack() as running:
        receivers = running.enter_context(Receivers(folder / "alertmanager", pair=True))
        deployment = running.enter_context(
            Deployment(
                folder,
                ["prometheus", "prometheus-standby"],
                workers=1,
                threads=4,
                rules=rules,
                alertmanager=[one.address for one in receivers.alertmanagers],
            )
        )
        deployment.start(print)
        traffic = people()
        # Nobody whose books are out of balance: that alone is a P0 alert.
        traffic.COMPANIES = tuple(c for c in traffic.COMPANIES if c != "crooked")
        traffic.play(deployment.url, rounds=1, seed=7)
        place = Place(deployment, receivers, rules)
        # Prometheus runs before the application does, and may have asked it in vain at first.
        assert eventually(lambda: place.look("interval").state == "passed", 2 * PATIENCE)
        yield place


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is dead is not asked again and again."""
    monkeypatch.setattr(Api._sent.retry, "stop", tenacity.stop_after_attempt(1))  # type: ignore[attr-defined]


@contextmanager
def reloaded(server: Any, path: Path, change: Callable[[Any], None]) -> Iterator[None]:
    """The server runs with its YAML file `path` changed, and then with what it had."""
    text = path.read_text()
    content = yaml.safe_load(text)
    change(content)
    try:
        _reload(server, path, yaml.safe_dump(content, sort_keys=False))
        yield
    finally:
        _reload(server, path, text)


def _reload(server: Any, path: Path, text: str) -> None:
    kind = "prometheus" if isinstance(server, Prometheus) else "alertmanager"
    name = f"{kind}_config_last_reload_success_timestamp_seconds"
    before = _metric(server, name)
    path.write_text(text)
    os.kill(server.pid, signal.SIGHUP)
    assert eventually(lambda: _metric(server, name) > before, PATIENCE), f"{path} is not taken"


def _metric(server: Any, name: str) -> float:
    lines = httpx.get(f"{server.url}/metrics", trust_env=False).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


@dataclass(frozen=True)
class Verified:
    """What a verification ended with: its exit code, and the report that it wrote."""

    code: int
    report: Any
    text: str


@pytest.fixture(scope="module")
def verified(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Verified:
    """The whole of it, at the deployment as it was started."""
    folder = tmp_path_factory.mktemp("evidence")
    runbooks = place.receivers.to.runbooks
    viewer = Viewer(folder / "viewer", place.prometheus.url, runbooks=runbooks)
    public = Viewer(
        folder / "public", place.prometheus.url, runbooks=runbooks, only="executive_overview"
    )
    with viewer, public, pytest.MonkeyPatch.context() as patch:
        for name, value in place.receivers.environment.items():
            patch.setenv(name, value)
        servers = replace(place.servers, viewer=viewer.url, public=public.url)
        code = run(servers, place.receivers.to, folder=folder / "reports", operator="Ada")
    (report,) = (folder / "reports").glob("*.json")
    return Verified(code, json.loads(report.read_text()), report.with_suffix(".md").read_text())


@pytest.mark.parametrize("name", get_args(LookName))
def test_what_is_as_it_should_be_is_seen_so(verified: Verified, name: LookName) -> None:
    """The deployment as it was started: nothing is found wrong with it."""
    boxes = [box for section in verified.report["sections"] for box in section["boxes"]]
    looks = [look for box in boxes for look in box["looks"] if look["name"] == name]
    assert [look["said"] for look in looks if look["state"] != "passed"] == []
    assert looks


def test_success(verified: Verified, place: Place) -> None:
    """Every box is checked without asking anybody, the operator is named, and no secret is told."""
    assert verified.report["wrong"] == []
    assert (verified.code, verified.report["decision"]) == (0, "SUCCESS")
    assert verified.report["operator"] == "Ada"
    assert "- [ ]" not in verified.text.replace("- [ ] INCOMPLETE", "")
    secrets = [v for k, v in place.receivers.environment.items() if not k.endswith("_URL")]
    assert [secret for secret in secrets if secret in verified.text] == []


def test_the_second_of_a_pair_has_wrong_secrets(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first tells everybody, and nobody would know until it dies: so the second is tried too."""
    ours = Path(place.receivers.to.secrets)
    for secret in ours.iterdir():
        (tmp_path / secret.name).write_text(secret.read_text())
    (tmp_path / "slack_url").write_text(place.receivers.slack.webhook("nobody"))

    def elsewhere(config: Any) -> None:
        config.update(yaml.safe_load(yaml.safe_dump(config).replace(str(ours), str(tmp_path))))

    clusters = [
        (httpx.get(f"{one.url}/api/v2/status").json()["cluster"]["name"], one)
        for one in place.receivers.alertmanagers
    ]
    second = max(clusters, key=lambda cluster: cluster[0])[1]
    site = Site(place.servers, place.receivers.to, place.receivers.environment, lambda _: None)
    monkeypatch.setattr(test_alert, "ARRIVED_SECONDS", 20.0)
    monkeypatch.setattr(test_alert, "OVER_SECONDS", 60.0)
    with reloaded(second, second.config, elsewhere):
        looks = list(look_others_of_pair(site))
    assert {look.name for look in looks} == {"pair"}
    wrong = [look.said for look in looks if look.state != "passed"]
    told = "\n".join([second.url, *(f"{look.state}: {look.said}" for look in looks)])
    assert [said for said in wrong if f"by {second.url}: Slack #alerts" in said], told
    assert [look for look in looks if "PagerDuty" in look.said and look.state == "passed"], told


# The rules


def _rule(rules: Any, name: str) -> dict[str, Any]:
    return next(
        rule
        for group in rules["groups"]
        for rule in group["rules"]
        if name in (rule.get("alert"), rule.get("record"))
    )


def _break_rules(rules: Any) -> None:
    """As many faults as there is room for, one to a rule."""
    error_rate = _rule(rules, "HighErrorRate")
    error_rate["expr"] = error_rate["expr"].replace("> 1)", "> 10)")
    _rule(rules, "DatabasePoolExhaustion")["for"] = "50m"
    _rule(rules, "SystemUnhealthy")["labels"]["severity"] = "P1"
    _rule(rules, "DataIntegrityIssue")["expr"] = "vector(1) > 0"  # it fires at once
    _rule(rules, "HighLatency")["annotations"]["runbook_url"] = "https://elsewhere.example"
    _rule(rules, "DatabaseConnectionErrors")["labels"]["team"] = "nobody"
    _rule(rules, "RedisMemoryCritical")["expr"] = "up + on() up"  # several answers for one
    _rule(rules, "ServerErrorBurst")["keep_firing_for"] = "1h"
    quick = rules["groups"][1]
    quick["rules"].remove(_rule(rules, "ForecastQueueDepthHigh"))
    quick["rules"].append(copy.deepcopy(_rule(rules, "RedisMemoryWarning")))
    recorded = _rule(rules, "job:http_requests_total:growth5m")
    recorded["expr"] = recorded["expr"].replace("[5m]", "[1m]")
    hasty = _rule(rules, "NoActiveUsers")
    quick["rules"].remove(hasty)
    rules["groups"].append({"name": "hasty", "interval": "1s", "rules": [hasty]})


@pytest.fixture(scope="module")
def rules_broken(place: Place) -> Iterator[dict[str, Look]]:
    """What is seen of the rules while they are broken, and of what fires then."""
    with reloaded(place.prometheus, place.rules, _break_rules):
        looks = place.looks("alerts P0")
        calm: list[Look] = []
        # Told of since the rule was evaluated.
        eventually(lambda: calm.append(place.look("calm")) or calm[-1].state != "passed", PATIENCE)
        yield {look.name: look for look in looks} | {"calm": calm[-1]}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("alerts P0", "HighErrorRate: it asks ("),
        ("alerts P0", "DatabasePoolExhaustion: it waits 3000 s, expected 300 s"),
        ("alerts P0", "SystemUnhealthy: labels are {'severity': 'P1'}"),
        ("alerts P0", "DataIntegrityIssue: it asks vector(1) > 0"),
        ("calm", "P0 DataIntegrityIssue is firing"),
        ("alerts P1", "HighLatency: runbook_url is 'https://elsewhere.example'"),
        ("alerts P1", "DatabaseConnectionErrors: labels are {'severity': 'P1', 'team': 'nobody'}"),
        ("alerts P1", "RedisMemoryCritical: its evaluation is err"),
        ("alerts P1", "ServerErrorBurst: it goes on for 3600 s after its end"),
        ("alerts P1", "ForecastQueueDepthHigh: there is no such rule: render the rules again"),
        ("alerts P2", "RedisMemoryWarning: there are 2 rules of this name"),
        ("alerts P3", "NoActiveUsers: evaluated every 1 s, expected 15 s"),
        ("recordings", "job:http_requests_total:growth5m: it asks"),
    ],
)
def test_a_rule_that_is_not_the_contracts(
    rules_broken: Mapping[str, Look], name: str, told: str
) -> None:
    """Each is named, with what it is and what it should be."""
    failed(rules_broken[name], told)


def failed(look: Look, told: str) -> None:
    """It did, and says so in its line or in its evidence."""
    assert look.state == "failed", look
    assert told in text(look)


def will_fail(look: Callable[[], Look], told: str) -> None:
    """The same, once a server has taken in what was changed under it."""
    seen: list[Look] = []
    eventually(lambda: seen.append(look()) or told in text(seen[-1]), PATIENCE)
    failed(seen[-1], told)


def text(look: Look) -> str:
    return "\n".join([look.said, *look.evidence])


# Scraping


def _interval(config: Any) -> None:
    config["global"]["scrape_interval"] = "30s"


def _no_gateway(config: Any) -> None:
    config["scrape_configs"] = [
        job for job in config["scrape_configs"] if job["job_name"] != "otel-gateway"
    ]


def _no_application(config: Any) -> None:
    config["scrape_configs"] = config["scrape_configs"][1:]


def _twice(config: Any) -> None:
    del config["scrape_configs"][0]["metric_relabel_configs"]


def _relabelled(config: Any) -> None:
    dropped = {"source_labels": ["severity"], "regex": "P0", "action": "drop"}
    config["alerting"]["alert_relabel_configs"] = [dropped]


def _nobody_told(config: Any) -> None:
    config["alerting"] = {}


@pytest.mark.parametrize(
    ("change", "name", "told"),
    [
        (_interval, "interval", "scrape_interval of the job accubooks is 30s, expected 15s"),
        (_no_gateway, "interval", "no target of the job otel-gateway"),
        (_no_application, "interval", "Prometheus has no target of the job accubooks"),
        (_relabelled, "told", "alert_relabel_configs has a rule (drop P0)"),
        (_nobody_told, "told", "tells 0 Alertmanagers, expected 2"),
    ],
)
def test_a_configuration_that_is_not_as_it_should_be(
    place: Place, change: Callable[[Any], None], name: LookName, told: str
) -> None:
    """What Prometheus runs counts, and not what it ran, or what lies in a file."""
    with reloaded(place.prometheus, place.prometheus.config, change):
        will_fail(lambda: place.look(name), told)


def _up(place: Place, address: str) -> str:
    """The health of the target of the application's, or the gateway's, job at this address."""
    with closing(Client(place.prometheus.url)) as client:
        targets = [
            t for t in client.targets() if t["labels"]["job"] in ("accubooks", "otel-gateway")
        ]
        return " ".join(t["health"] for t in targets if address in t["scrapeUrl"])


def test_somebody_else_is_told_in_place_of_one_of_the_pair(place: Place) -> None:
    """The one that is left out hears of everything all the same, from the standby."""
    targets = place.prometheus.config.parent / "targets" / "alertmanager.yml"
    text = targets.read_text()
    first, second = place.servers.alertmanager
    somebody = place.receivers.slack.url
    try:
        told = [url.removeprefix("http://") for url in (first, somebody)]
        targets.write_text(yaml.safe_dump([{"targets": told}]))
        will_fail(
            lambda: place.look("told"), f"does not tell {second[len('http://') :]}, but {told[1]}"
        )
    finally:
        targets.write_text(text)


def test_samples_that_are_scraped_and_pushed(place: Place) -> None:
    """They count twice."""
    with reloaded(place.prometheus, place.prometheus.config, _twice):
        will_fail(lambda: place.look("interval"), "are scraped and pushed, and count twice")


def test_another_application_under_the_address(place: Place) -> None:
    """It is up, is scraped as often, and is not who pushes."""
    targets = place.prometheus.config.parent / "targets" / "app.yml"
    text = targets.read_text()
    try:
        targets.write_text(yaml.safe_dump([{"targets": [f"127.0.0.1:{place.standby.port}"]}]))
        config = place.prometheus.config
        with reloaded(
            place.prometheus,
            config,
            lambda c: c["scrape_configs"][0].update(metrics_path="/metrics"),
        ):
            scraped = f"127.0.0.1:{place.standby.port}/metrics"
            assert eventually(lambda: _up(place, scraped) == "up", PATIENCE)
            failed(place.look("interval"), f"is not the application {SERVICE}")
    finally:
        targets.write_text(text)


def test_a_service_of_another_name(place: Place) -> None:
    """Nothing of it is there, and whose metrics are is told."""
    for name in ("backend", "interval", "metrics api"):
        failed(place.look(name, service="ledger"), "nothing of the service 'ledger' is there")


def test_an_address_of_something_else(place: Place, impatient: None) -> None:
    """A server that is no Prometheus fails every look, and each says so in a line."""
    for name in ("backend", "interval", "metrics api", "alerts P0", "retention"):
        failed(place.look(name, prometheus=place.receivers.slack.url), place.receivers.slack.url)


# What lies in Prometheus


def _break_scrape(config: Any) -> None:
    def relabel(action: str, names: str, **rest: str) -> dict[str, Any]:
        return {"source_labels": ["__name__"], "regex": names, "action": action, **rest}

    config["scrape_configs"][0]["metric_relabel_configs"] = [
        relabel("drop", "cache_hits_total"),
        relabel("replace", "users_by_tier", target_label="__name__", replacement="users_by_tier_1"),
        relabel("replace", "forecast_queue_depth", target_label="queue", replacement=""),
        {
            "source_labels": ["__name__", "le"],
            "regex": "http_request_duration_ms_bucket;500(.0)?",
            "action": "drop",
        },
        relabel("replace", "nps_score", target_label="__name__", replacement="nps_score_ratio"),
        relabel("drop", "db_query_duration_ms_sum"),
        {
            "source_labels": ["__name__", "tier"],
            "regex": "forecasts_generated_total;FREE",
            "target_label": "tier",
            "replacement": "GOLD",
        },
    ]


@pytest.fixture(scope="module")
def scraped_badly(
    place: Place, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Look]]:
    """A Prometheus that scrapes the application itself, keeps not all of it, and not for long."""
    folder = tmp_path_factory.mktemp("direct")
    source = folder / "direct.yml"
    config = yaml.safe_load(DIRECT.read_text())
    _break_scrape(config)
    source.write_text(yaml.safe_dump(config))
    (folder / "targets").mkdir()
    (folder / "targets" / "app.yml").touch()
    target = f"127.0.0.1:{place.deployment.app_port}"
    server = Prometheus(
        folder / "data",
        find_prometheus(),
        config=source,
        targets={"app": [target]},
        rules=place.rules,
    )
    server.argv.append("--storage.tsdb.retention.size=1MB")
    with server:
        assert eventually(lambda: server.query("system_uptime_seconds"), PATIENCE)
        yield lambda name, where="prometheus": place.look(name, **{where: server.url})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("metrics cache", "cache_hits_total: missing; the application itself shows it"),
        ("metrics business", "users_by_tier: missing"),
        (
            "metrics business",
            "nps_score: missing; there is nps_score_ratio: set translation_strategy",
        ),
        ("metrics business", "forecasts_generated_total: tier is GOLD, expected one of FREE"),
        ("metrics queue", "forecast_queue_depth: 1 of 1 series have no label queue"),
        ("metrics api", "http_request_duration_ms: no bucket 500: is it dropped by a relabelling?"),
        ("metrics database", "db_query_duration_ms_sum: missing"),
        ("retention", "the size limit of 0.00 GiB cuts retention short"),
        ("told", "tells 0 Alertmanagers, expected 2"),
    ],
)
def test_what_is_lost_on_the_way(
    scraped_badly: Callable[..., Look], name: LookName, told: str
) -> None:
    """Each metric, label and bucket that is missing is named."""
    failed(scraped_badly(name), told)


@pytest.mark.parametrize(
    "told",
    [
        "forecast_queue_depth: 1 of 1 series have no label queue",
        "http_request_duration_ms: no bucket 500",
        "its instances, or their uptimes, are not those of the first",
    ],
)
def test_a_standby_with_other_data(scraped_badly: Callable[..., Look], told: str) -> None:
    """It has each name, or nearly so, and not its labels; its instances are not the first's."""
    failed(scraped_badly("standby", "standby"), told)


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus as it comes: without rules, without targets, for fifteen days."""
    folder = tmp_path_factory.mktemp("forgetful")
    empty = folder / "rules.yml"
    empty.write_text("groups: []\n")
    server = Prometheus(folder, find_prometheus(), rules=empty)
    server.argv = [word for word in server.argv if "retention" not in word]
    server.argv.append("--query.lookback-delta=20s")
    with server:
        yield server


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("retention", "retention is 15d, expected at least 30d: start Prometheus with"),
        ("alerts P2", "there is no such rule"),
        ("backend", "no metric of the contract is there"),
        ("backend", "a series ends 20s after its last point, expected 5m"),
        ("metrics system", "no metric of the contract is there"),
    ],
)
def test_a_prometheus_that_was_only_started(
    place: Place, forgetful: Prometheus, name: LookName, told: str
) -> None:
    """It answers, and nothing else."""
    failed(place.look(name, prometheus=forgetful.url), told)


def test_a_standby_that_stands_by_nobody(place: Place, forgetful: Prometheus) -> None:
    """It has no data, no rules, tells nobody; or it is the first under another name; or none."""
    failed(place.look("standby", standby=forgetful.url), "no metric of the contract is there")
    failed(place.look("standby", standby=forgetful.url), "there is no such rule")
    failed(place.look("standby", standby=forgetful.url), "tells 0 Alertmanagers")
    itself = place.prometheus.url.replace("127.0.0.1", "localhost")
    failed(place.look("standby", standby=itself), "are one and the same")
    failed(place.look("standby", standby=""), "no standby is known")


# Who tells people


def _break_alertmanager(config: Any) -> None:
    routes = config["route"]["routes"]
    routes.insert(0, {"matchers": ['severity="P0"'], "receiver": "P3"})
    config["inhibit_rules"].append(
        {"source_matchers": ['alertname="Watchdog"'], "target_matchers": ['severity="P0"']}
    )
    by_name = {receiver["name"]: receiver for receiver in config["receivers"]}
    del by_name["P0"]["pagerduty_configs"]
    by_name["P1"]["email_configs"][0]["to"] = "nobody@books.example"
    by_name["heartbeat"]["webhook_configs"][0]["url"] = "http://127.0.0.1:9/"
    by_name["P3"]["slack_configs"][0]["http_config"] = {"proxy_url": "http://127.0.0.1:9"}
    config["global"]["smtp_smarthost"] = "127.0.0.1:9"
    config["route"]["group_wait"] = "10m"


@pytest.fixture(scope="module")
def alertmanager_broken(place: Place) -> Iterator[Callable[[LookName], Look]]:
    second = place.receivers.alertmanagers[1]
    with reloaded(second, second.config, _break_alertmanager):
        yield place.look


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("told", f"route has {ROUTES + 1} routes, expected {ROUTES}"),
        ("told", 'an inhibition by alertname="Watchdog" silences alerts'),
        ("told", "receiver P0 has 0 pagerduty_configs, expected 1"),
        ("told", "is 'nobody@books.example', expected 'on-call@books.example'"),
        ("told", "smtp_smarthost is '127.0.0.1:9'"),
        ("told", "route: group_wait is '10m', expected"),
        ("told", "receiver P3: its slack_configs have other http_config than those of P0"),
        ("told", "not as in the first of the pair: give both one configuration"),
        ("heartbeat", "the receiver heartbeat tells ['http://127.0.0.1:9/']"),
    ],
)
def test_one_alertmanager_of_two_tells_others(
    alertmanager_broken: Callable[[LookName], Look], name: LookName, told: str
) -> None:
    """Whom it would tell is what counts, of each of them."""
    failed(alertmanager_broken(name), told)


def test_a_silence(place: Place) -> None:
    """Somebody has silenced what is critical, and is named."""
    url = place.servers.alertmanager[0]
    severity = {"name": "severity", "value": "P[01]", "isRegex": True, "isEqual": True}
    silence = {
        "matchers": [severity],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": "2100-01-01T00:00:00Z",
        "createdBy": "night shift",
        "comment": "too loud",
    }
    made = httpx.post(f"{url}/api/v2/silences", json=silence, trust_env=False).raise_for_status()
    number = made.json()["silenceID"]
    try:
        failed(place.look("told"), "are silenced by night shift until 2100")
    finally:
        httpx.delete(f"{url}/api/v2/silence/{number}", trust_env=False).raise_for_status()


def test_a_heartbeat_that_nobody_hears(place: Place) -> None:
    """No address of a dead-man's switch."""
    failed(place.look("heartbeat", {"heartbeat_url": ""}), "heartbeat_url of alerting.toml")


def test_a_pair_that_is_none(place: Place) -> None:
    """One alone; or one under two names."""
    one = place.servers.alertmanager[0]
    failed(place.look("pair", alertmanager=(one,)), "1 Alertmanager is known, expected two")
    twice = (one, one.replace("127.0.0.1", "localhost"))
    failed(place.look("pair", alertmanager=twice), "are one and the same Alertmanager")


# Nothing after this has the whole deployment.


def test_a_cache_that_does_not_answer(place: Place) -> None:
    """Every server of the monitoring is as it should be, and the application is ill."""
    place.deployment.redis.stop()
    try:
        will_fail(lambda: place.look("calm"), "system_health_status of accubooks is 0")
    finally:
        place.deployment.redis.start()


def test_an_alertmanager_is_dead(place: Place, impatient: None) -> None:
    """Alerts still arrive, and all the same nothing is as it should be."""
    second = place.receivers.alertmanagers[1]
    second.kill()
    try:
        for name in ("pair", "told", "heartbeat"):
            failed(place.look(name), f"{second.url}/api/v2/status")
    finally:
        second.start()


def test_a_gateway_is_dead(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was pushed gets old, and the targets are up."""
    for module in (metrics, prometheus):
        monkeypatch.setattr(module, "FRESH_SECONDS", 5.0)
    place.deployment.gateway.kill()
    late = "expected at most 5: does it still come through the gateway?"
    will_fail(lambda: place.look("metrics api"), late)
    failed(place.look("backend"), "s old, expected at most 5 s: is the gateway up")
    assert eventually(lambda: _up(place, f":{place.deployment.ports.metrics}/") == "down", PATIENCE)
    failed(place.look("interval"), "is the gateway up?")


def test_an_application_is_dead(place: Place) -> None:
    """Its target is down."""
    place.deployment.gunicorn.kill()
    assert eventually(lambda: _up(place, f":{place.deployment.app_port}/") == "down", PATIENCE)
    failed(place.look("interval"), "/api/monitoring/metrics is down")
