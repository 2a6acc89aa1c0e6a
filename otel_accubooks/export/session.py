"""The session of the OTLP exporter: whom it trusts is said by OpenTelemetry's own variables."""

from __future__ import annotations

from typing import Any

import requests


class Session(requests.Session):
    """Prefers OTEL_EXPORTER_OTLP_CERTIFICATE, which the exporter sets as `verify`.

    By itself it would prefer REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE, which are set for other peers.
    Answers, which are short and are looked at, are asked for as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.headers["Accept-Encoding"] = "identity"

    def merge_environment_settings(self, *args: Any, **kwargs: Any) -> Any:
        """As usual, but for a certificate that was named."""
        settings = super().merge_environment_settings(*args, **kwargs)
        if isinstance(self.verify, str):
            settings["verify"] = self.verify
        return settings
