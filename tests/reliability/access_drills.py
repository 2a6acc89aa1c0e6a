"""Who knocked at the gateway and at the endpoints, what was wrong with keys, and what became of counts."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from otel_accubooks.monitoring.limit import AT_ONCE, PER_SECOND
from otel_accubooks.stack.ports import LOOPBACK, free_port
from tests.reliability import page
from tests.reliability.access import FAULTS, VISITORS, Load, Stand, Visitor, reached
from tests.reliability.service import gunicorn

ROUNDS = 5
FLOOD_SECONDS = 30.0
_ABOUT = """
A gateway with `options/tls.yaml`, `options/client-certificates.yaml` and `options/bearer-auth.yaml`, an
application of two workers under load that exports to it every second, and behind it Prometheus's page and
Datadog's intake.
"""


@pytest.mark.timeout(1800)
def test_access(tmp_path: Path) -> None:
    """Every visitor is told what he should be; no count is lost or doubled by a wrong or a new key."""
    (tmp_path / "gateway").mkdir()
    gateway = _gateway(tmp_path / "gateway")
    (tmp_path / "endpoints").mkdir()
    endpoints = _endpoints(tmp_path / "endpoints")
    page.write("Access", "\n\n".join((_ABOUT.strip(), *gateway, *endpoints)))


def _gateway(folder: Path) -> list[str]:
    stand = Stand(folder)
    with stand:
        with stand.load() as load:
            assert reached(lambda: stand.arrived() > 0)
            answers = [(visitor, stand.knock(visitor)) for visitor in VISITORS]
            faults = [_fault(stand, number, load) for number in range(len(FAULTS))]
            rotations = _rotations(stand)
        assert reached(lambda: stand.arrived() == load.count)
        assert reached(lambda: stand.in_datadog() == load.count)
        totals = (
            f"Of {load.count} requests, all were in Prometheus's page and in Datadog's intake, and "
            "none of them twice."
        )
        assert "first-token" not in stand.application.log.read_text()
    assert [told for _, told in answers] == [visitor.answer for visitor in VISITORS]
    knocks = [
        (one.who, one.scheme, one.shows or "no header", one.certificate or "none", told)
        for one, told in answers
    ]
    return [
        _table(("who knocked at the gateway", "by", "showed", "certificate", "was told"), knocks),
        _table(
            (
                "what was wrong, under load",
                "times",
                "lines of the log that said it",
                "lines that said it otherwise",
            ),
            faults,
        ),
        _table(
            ("what changed, under load", "times", "nobody restarted", "seen after, at most"),
            rotations,
        ),
        totals,
    ]


def _fault(stand: Stand, number: int, load: Load) -> tuple[object, ...]:
    fault, lines = FAULTS[number], 0
    others: Counter[str] = Counter()
    for _ in range(ROUNDS):
        said = stand.broken(fault, load)
        lines += sum(fault.says in line for line in said)
        others.update(line for line in said if fault.says not in line)
    assert lines == ROUNDS
    restart = "nothing listens there (connection refused)"
    told = sum(others.values())
    assert all(restart in line for line in others), others
    return (
        fault.name,
        ROUNDS,
        f"{lines}: “{fault.says}”",
        f"{told}, while the gateway was restarted" if told else "none",
    )


def _rotations(stand: Stand) -> list[tuple[object, ...]]:
    slowest = {"certificate": 0.0, "added": 0.0, "removed": 0.0}
    for number in range(2 * ROUNDS):
        before, began = stand.served(), time.monotonic()
        stand.keys.certify_gateway()
        stand.keys.certify_sender()
        assert reached(lambda before=before: stand.served() != before)
        slowest["certificate"] = max(slowest["certificate"], time.monotonic() - began)
        token, began = f"token-{number}", time.monotonic()
        stand.keys.tokens("first-token", token)
        assert reached(lambda token=token: _lets_in(stand, token))
        slowest["added"] = max(slowest["added"], time.monotonic() - began)
        began = time.monotonic()
        stand.keys.tokens("first-token")
        assert reached(lambda token=token: not _lets_in(stand, token))
        slowest["removed"] = max(slowest["removed"], time.monotonic() - began)
    times = 2 * ROUNDS
    named = {
        "certificate": "certificates of both, by the same authorities (read again every second here)",
        "added": "a token was added to the gateway's file",
        "removed": "a token was taken out of it",
    }
    return [(named[key], times, "yes", f"{slowest[key]:.1f} s") for key in named]


def _lets_in(stand: Stand, token: str) -> bool:
    return stand.knock(Visitor("", f"Bearer {token}", "ours", "")) == "200"


def _endpoints(folder: Path) -> list[str]:
    stand, port = Stand(folder), free_port()
    env = {**stand.env, "OTEL_METRICS_EXPORTER": "none", "OTEL_ACCUBOOKS_MONITORING_TOKEN": "right"}
    url = f"http://{LOOPBACK}:{port}"
    with gunicorn(folder, port, env, workers=2):
        rows = [
            (who, method, path, shown or "nothing", _told(url, method, path, shown))
            for who, method, path, shown in _KNOCKS
        ]
        quiet = _milliseconds(url, 200)
        flood = _flooded(url)
    assert [row[-1] for row in rows] == list(_TOLD)
    return [
        _table(("who knocked at the application", "method", "path", "showed", "was told"), rows),
        f"A flood of wrong tokens, by eight senders for {FLOOD_SECONDS:.0f} s over two workers: {flood} "
        f"Without a flood that was {quiet:.1f} ms.",
    ]


_KNOCKS = (
    ("a probe", "GET", "/api/monitoring/health", ""),
    ("somebody", "GET", "/api/monitoring/metrics", ""),
    ("somebody", "GET", "/api/metrics", "Bearer wrong"),
    ("Prometheus", "GET", "/api/metrics", "Bearer right"),
    ("somebody", "HEAD", "/api/monitoring/summary", ""),
    ("somebody", "DELETE", "/api/monitoring/summary", ""),
    ("the operator", "OPTIONS", "/api/monitoring/summary", "Bearer right"),
    ("somebody", "GET", "//api/metrics", ""),
    ("somebody", "GET", "/api/./metrics", ""),
    ("somebody", "GET", "/api/%6detrics", ""),
    ("somebody", "GET", "/api/metrics/", ""),
    ("somebody", "GET", "/API/METRICS", ""),
    ("somebody", "GET", "/api/metrics%2f", ""),
    ("somebody", "GET", "/api/metrics%00", ""),
    ("somebody", "POST", "/api/test/trigger-errors", ""),
    ("the operator", "POST", "/api/test/trigger-errors", "Bearer right"),
    ("somebody", "POST", "/api/test/anything-else", ""),
)
_TOLD = (200, 401, 401, 200, 401, 401, 405, 404, 404, 401, 401, 404, 401, 404, 404, 404, 404)


def _told(url: str, method: str, path: str, shown: str) -> int:
    import http.client

    # As it is: a client that knows URLs would mend the path.
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.request(method, path, headers={"Authorization": shown} if shown else {})
    status = connection.getresponse().status
    connection.close()
    return status


def _milliseconds(url: str, times: int) -> float:
    taken = []
    with httpx.Client(trust_env=False) as client:
        for _ in range(times):
            began = time.perf_counter()
            assert client.get(f"{url}/work/x").status_code == 200
            taken.append(1000 * (time.perf_counter() - began))
    return sorted(taken)[times // 2]


def _flood(url: str, path: str) -> tuple[Counter[int], float, list[int], list[int]]:
    """What eight senders were told, what a request of the application took, and who else was told what."""
    over = time.monotonic() + FLOOD_SECONDS

    def guess(number: int) -> Counter[int]:
        told: Counter[int] = Counter()
        with httpx.Client(trust_env=False, timeout=30) as client:
            while time.monotonic() < over:
                shown = {"Authorization": f"Bearer guess-{number}-{told.total()}"}
                told[client.get(f"{url}{path}", headers=shown).status_code] += 1
        return told

    with ThreadPoolExecutor(8) as pool:
        guessing = [pool.submit(guess, number) for number in range(8)]
        right = [_told(url, "GET", "/api/metrics", "Bearer right") for _ in range(50)]
        health = [_told(url, "GET", "/api/monitoring/health", "") for _ in range(50)]
        during = _milliseconds(url, 100)
        told = sum((one.result() for one in guessing), Counter())
    return told, during, right, health


def _flooded(url: str) -> str:
    _, elsewhere, _, _ = _flood(url, "/nothing")
    told, during, right, health = _flood(url, "/api/metrics")
    assert set(told) == {401, 429}
    assert told[401] <= 1.05 * (AT_ONCE + PER_SECOND * (FLOOD_SECONDS + 5))
    assert set(right) == set(health) == {200}
    return (
        f"{told[401]} were told 401 and {told[429]} told 429, while 50 of 50 with the right token and "
        "50 of 50 probes of health were answered 200. A request of the application took "
        f"{during:.1f} ms in the median meanwhile, and {elsewhere:.1f} ms in the same flood of a path "
        "of the application that is not there."
    )


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
