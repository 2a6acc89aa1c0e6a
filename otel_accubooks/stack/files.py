"""Where files that are no Python are: gateway, backends, build manifests, and what is rendered."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_PACKAGED = Path(__file__).resolve().parents[1] / "collector"
# Installed, it is beside this package; in a checkout, where people look for it.
COLLECTOR = _PACKAGED if _PACKAGED.is_dir() else REPOSITORY / "collector"
GATEWAY = COLLECTOR / "gateway.yaml"
BACKENDS = COLLECTOR / "backends"
PROMETHEUS = COLLECTOR / "prometheus"
PROMETHEUS3 = COLLECTOR / "prometheus3"
RENDERED = REPOSITORY / "rendered"


def gateway_files() -> dict[str, str]:
    """What a gateway and the Prometheus behind it are started with: path, and content."""
    paths = [GATEWAY, *BACKENDS.glob("*.yaml"), *(COLLECTOR / "options").glob("*.yaml")]
    paths += PROMETHEUS.rglob("*.yml")
    return {str(path.relative_to(COLLECTOR)): path.read_text("utf-8") for path in sorted(paths)}


def backend_names() -> list[str]:
    """The backends that can be chosen, sorted: the names of the files in `backends/`."""
    return sorted(path.stem for path in BACKENDS.glob("*.yaml"))


def backend_file(name: str) -> Path:
    """The file of a backend; raises ValueError with the names that there are."""
    path = BACKENDS / f"{name}.yaml"
    if not path.is_file():
        raise ValueError(f"no backend {name!r}: choose from {', '.join(backend_names())}")
    return path
