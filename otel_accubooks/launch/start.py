"""Starting in a process. Where it is switched off, nothing but this and what loads it is imported."""

from __future__ import annotations

import os
from logging import getLogger
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_accubooks.launch.settings import Settings

_log = getLogger("otel_accubooks")

_settings: Settings | None = None


def disabled() -> bool:
    """True where OTEL_SDK_DISABLED switches all of it off."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def settings() -> Settings:
    """The settings of this process."""
    global _settings
    if _settings is None:
        from otel_accubooks.launch.settings import read_settings

        _settings = read_settings(os.environ)
    return _settings


def start() -> None:
    """Gets this process ready to record, unless that is off. Again is nothing. Never raises."""
    if disabled():
        return
    try:
        from otel_accubooks.launch.recording import begin

        begin(settings())
    except Exception:
        _log.warning("otel-accubooks: not started; the application is not affected", exc_info=True)
