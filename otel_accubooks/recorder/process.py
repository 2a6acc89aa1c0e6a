"""The recorder of this process. Until the launcher gives it a folder, it records in memory."""

from __future__ import annotations

from otel_accubooks.recorder.recorder import Recorder

recorder = Recorder()
