"""Who sends: the OpenTelemetry resource of a service."""

from __future__ import annotations

import os
import platform
import uuid
from importlib.metadata import version
from pathlib import Path

from opentelemetry.sdk.environment_variables import OTEL_EXPERIMENTAL_RESOURCE_DETECTORS
from opentelemetry.sdk.resources import Resource, ResourceDetector

from otel_accubooks.recorder.identity import service_identity

INSTANCE_ID = "service.instance.id"


class AccuBooksResourceDetector(ResourceDetector):
    """Detects what tells hosts and versions of this package apart."""

    def detect(self) -> Resource:
        """Attributes host.name, os.type, telemetry.distro.name and telemetry.distro.version."""
        return Resource(
            {
                "host.name": platform.node(),
                "os.type": platform.system().lower(),
                "telemetry.distro.name": "otel-accubooks",
                "telemetry.distro.version": version("otel-accubooks"),
            }
        )


def resource_for(instance_id: str) -> Resource:
    """The resource that all processes of the service share; an id given from outside is respected."""
    os.environ.setdefault(OTEL_EXPERIMENTAL_RESOURCE_DETECTORS, "otel,accubooks")
    given = service_identity(os.environ).get(INSTANCE_ID)
    # The SDK makes up an id for each process: the service's own is laid over it.
    return Resource.create().merge(Resource({INSTANCE_ID: given or instance_id}))


def instance_id(folder: Path, origin: tuple[int, int]) -> str:
    """The instance id of the service in `folder`, as long as it has this `origin` (see StateFolder).

    Nothing has to be written for it, so that it is the same also where there is no room.
    """
    which = f"{platform.node()} {folder} {origin[0]} {origin[1]}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, which))
