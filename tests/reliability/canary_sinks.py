"""Receivers that keep every body that they are sent, to look for canaries in."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from otel_accubooks.stack.datadog_intake import DatadogIntake
from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.sink import Reply, Request


class Kept:
    """What keeps the body of each request that a sink takes."""

    bodies: list[tuple[str, bytes]]

    def keep(self, request: Request) -> None:
        self.bodies.append((request.path, request.body))

    def whole(self) -> bytes:
        """All bodies, one after the other."""
        return b"\n".join(body for _, body in self.bodies)


class Tap(OtlpReceiver, Kept):
    """Between the application and the gateway: it keeps what it passes on."""

    def __init__(self, gateway: Callable[[], str]) -> None:
        super().__init__()
        self.bodies: list[tuple[str, bytes]] = []
        self._gateway = gateway

    def answer(self, request: Request) -> Reply:
        self.keep(request)
        headers = {"Content-Type": request.headers.get("content-type", "")}
        headers["Authorization"] = request.headers.get("authorization", "")
        passed = httpx.post(
            self._gateway() + request.path, content=request.body, headers=headers, trust_env=False
        )
        super().answer(request)
        return Reply(passed.status_code, passed.content, "application/x-protobuf")


class Vendor(OtlpReceiver, Kept):
    """A vendor that takes OTLP, and what it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[tuple[str, bytes]] = []

    def answer(self, request: Request) -> Reply:
        self.keep(request)
        return super().answer(request)


class Datadog(DatadogIntake, Kept):
    """Datadog, and what it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[tuple[str, bytes]] = []

    def answer(self, request: Request) -> Reply:
        self.keep(request)
        return super().answer(request)
