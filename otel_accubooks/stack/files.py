"""Where the files of the repository are: gateway, backends, build manifests, what is rendered."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
COLLECTOR = REPOSITORY / "collector"
GATEWAY = COLLECTOR / "gateway.yaml"
BACKENDS = COLLECTOR / "backends"
PROMETHEUS = COLLECTOR / "prometheus"
PROMETHEUS3 = COLLECTOR / "prometheus3"
RENDERED = REPOSITORY / "rendered"


def backend_names() -> list[str]:
    """The backends that can be chosen, sorted: the names of the files in `backends/`."""
    return sorted(path.stem for path in BACKENDS.glob("*.yaml"))


def backend_file(name: str) -> Path:
    """The file of a backend; raises ValueError with the names that there are."""
    path = BACKENDS / f"{name}.yaml"
    if not path.is_file():
        raise ValueError(f"no backend {name!r}: choose from {', '.join(backend_names())}")
    return path
