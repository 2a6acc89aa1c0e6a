"""Alertmanager's own webhook, as its receivers know it."""

from __future__ import annotations

import httpx

from otel_accubooks.stack.webhook_sink import WebhookSink

GROUP = {
    "version": "4",
    "groupKey": "{}:{}",
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "P0",
    "groupLabels": {},
    "commonLabels": {"alertname": "Fire"},
    "commonAnnotations": {},
    "externalURL": "http://localhost:9093",
    "alerts": [],
}


def test_a_group_is_taken() -> None:
    """With the path that it came by."""
    with WebhookSink() as webhook:
        answer = httpx.post(f"{webhook.url}/beat", json=GROUP, trust_env=False)
        assert answer.status_code == 200
        assert [(g.path, g.commonLabels) for g in webhook.taken()] == [
            ("/beat", {"alertname": "Fire"})
        ]


def test_another_version_is_refused() -> None:
    """Its fields may mean something else."""
    with WebhookSink() as webhook:
        answer = httpx.post(webhook.url, json=GROUP | {"version": "5"}, trust_env=False)
        assert answer.status_code == 400
        assert "version" in answer.json()["message"]


def test_who_has_not_the_token_is_refused() -> None:
    """Where one is asked for."""
    with WebhookSink(token="right") as webhook:
        for token, status in (("wrong", 401), ("right", 200)):
            headers = {"Authorization": f"Bearer {token}"}
            answer = httpx.post(webhook.url, json=GROUP, headers=headers, trust_env=False)
            assert answer.status_code == status
        assert [group.token for group in webhook.taken()] == ["right"]
