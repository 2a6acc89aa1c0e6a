"""Where the applications send to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_accubooks.stack.otlp_receiver import OtlpReceiver


@pytest.fixture(scope="module")
def sink() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as made:
        yield made
