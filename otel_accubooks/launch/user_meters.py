"""Meters that the application itself makes: a usual SDK provider, made when it first asks for one."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider


def meter_provider() -> MeterProvider:
    """A provider with a reader of its own and an instance id of this process.

    Its series are never mixed with those that the processes of the service share.
    """
    from opentelemetry.metrics import NoOpMeterProvider

    from otel_accubooks.launch.start import settings

    if settings().disabled or not settings().exports:
        return NoOpMeterProvider()
    from opentelemetry.sdk.metrics import MeterProvider as SDKMeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    from otel_accubooks.export.sending import load_exporter, push_exporter_names

    resource = Resource.create({"service.instance.id": str(uuid.uuid4())})
    readers = [
        PeriodicExportingMetricReader(load_exporter(name)())
        for name in push_exporter_names(os.environ)
    ]
    return SDKMeterProvider(readers, resource)
