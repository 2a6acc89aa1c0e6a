"""All steps of an application, each a function by its name."""

from __future__ import annotations

from tests.reliability import fault_caches, fault_databases, fault_requests  # noqa: F401
from tests.reliability.fault_queues import WORKERS
from tests.reliability.fault_step import STEPS

__all__ = ["STEPS", "WORKERS"]
