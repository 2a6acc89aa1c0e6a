"""A dead-man's switch on this machine: it hears the heartbeat, and calls when that stays away.

Healthchecks.io, Dead Man's Snitch and PagerDuty's own are such services. It calls by PagerDuty's
Events API v2, and says there too that the heart beats again.
In a test:    with DeadMansSwitch(180, f"{pager.url}/v2/enqueue") as switch: ...; switch.late
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from otel_accubooks.stack.webhook_sink import Group, WebhookSink

if TYPE_CHECKING:
    from typing_extensions import Self

INCIDENT = "alerting is silent"
_ROUTING_KEY = "0" * 32
_TRY_AGAIN_SECONDS = 1.0


class DeadMansSwitch(WebhookSink):
    """Calls at `phone`, an address of the Events API, `patience` seconds after the last beat.

    As those services do, it waits for the first beat for ever.
    """

    name = "dead-man's switch"

    def __init__(self, patience: float, phone: str, port: int = 0) -> None:
        super().__init__(port)
        self.patience = patience
        self._phone = phone
        self._beat: float | None = None
        self._watcher: threading.Thread | None = None
        self._told = False

    @property
    def late(self) -> bool:
        """True while the last beat is longer ago than `patience` seconds."""
        return self._left() <= 0

    def take(self, notification: Group) -> None:
        with self.lock:
            super().take(notification)
            self._beat = time.monotonic()
            self.lock.notify_all()

    def start(self) -> Self:
        super().start()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def stop(self) -> None:
        with self.lock:
            watcher, self._watcher = self._watcher, None
            self.lock.notify_all()
        super().stop()
        if watcher is not None:
            watcher.join()

    def _left(self) -> float:
        """Seconds until it is late."""
        with self.lock:
            if self._beat is None:
                return threading.TIMEOUT_MAX
            return self._beat + self.patience - time.monotonic()

    def _watch(self) -> None:
        while True:
            with self.lock:
                while self._watcher is not None and self.late == self._told:
                    self.lock.wait(None if self._told else self._left())
                if self._watcher is None:
                    return
                late = self.late
            if self._call(late):
                self._told = late
            else:
                time.sleep(_TRY_AGAIN_SECONDS)

    def _call(self, late: bool) -> bool:
        import httpx

        told = {"summary": "The heartbeat stays away", "source": self.url, "severity": "critical"}
        event = {
            "routing_key": _ROUTING_KEY,
            "event_action": "trigger" if late else "resolve",
            "dedup_key": INCIDENT,
            **({"payload": told} if late else {}),
        }
        try:
            with httpx.Client(trust_env=False, timeout=10) as client:
                return client.post(self._phone, json=event).is_success
        except httpx.HTTPError:
            return False
