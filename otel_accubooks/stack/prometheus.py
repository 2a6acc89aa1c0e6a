"""A Prometheus of our own, 2.x or 3.x, with the configuration of `collector/prometheus/`."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from otel_accubooks.stack.files import PROMETHEUS, RENDERED
from otel_accubooks.stack.ports import LOOPBACK, free_port, http_ok
from otel_accubooks.stack.process import Server, StartError
from otel_accubooks.vendors.promql import APPLICATION_JOB

RETENTION = "30d"
PUSHED = PROMETHEUS / "prometheus.yml"
DIRECT = PROMETHEUS / "prometheus-direct.yml"

OTLP_FLAG = "--web.enable-otlp-receiver"
REMOTE_WRITE_FLAG = "--web.enable-remote-write-receiver"
EXEMPLARS_FLAG = "--enable-feature=exemplar-storage"


class Prometheus(Server):
    """A Prometheus on the loopback address; data, configuration and log are in `folder`.

    `targets` says who is scraped: for a file of `collector/prometheus/targets` ("app", "gateway",
    "gateway-export", "alertmanager", "prometheus") the addresses as host:port; who is not named is
    not scraped. Alertmanagers, one or several, are told of alerts as well. `scrape_interval` replaces
    the configured 15 s, e.g. "1s". `rules` is a rule file in place of those of `rendered/prometheus`.
    `token` is shown to the application.
    """

    def __init__(
        self,
        folder: Path,
        binary: Path,
        *,
        config: Path = PUSHED,
        targets: Mapping[str, Sequence[str]] | None = None,
        scrape_interval: str | None = None,
        rules: Path | None = None,
        token: str | None = None,
        port: int | None = None,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.takes_otlp = takes_otlp(binary)
        self.config = write_config(
            folder,
            config,
            targets or {},
            scrape_interval,
            rules=rules,
            token=token,
            otlp=self.takes_otlp,
        )
        super().__init__(
            "Prometheus",
            [
                *(str(binary), f"--config.file={self.config}"),
                f"--storage.tsdb.path={folder / 'data'}",
                f"--storage.tsdb.retention.time={RETENTION}",
                f"--web.listen-address={LOOPBACK}:{self.port}",
                *(REMOTE_WRITE_FLAG, EXEMPLARS_FLAG),
                *([OTLP_FLAG] if self.takes_otlp else []),
            ],
            log=folder / "prometheus.log",
            ready=lambda: http_ok(f"{self.url}/-/ready"),
        )

    def query(self, promql: str) -> list[tuple[dict[str, str], float]]:
        """The instant vector that a query has now: labels (with `__name__`) and value of each.

        Raises ValueError with Prometheus's own words if the query is wrong or is no vector.
        """
        import httpx

        # As long as Prometheus itself gives a query: a disk that stalls is no error.
        with httpx.Client(trust_env=False, timeout=120) as client:
            answer = client.post(f"{self.url}/api/v1/query", data={"query": promql}).json()
        if answer["status"] != "success":
            raise ValueError(f"{promql}: {answer['error']}")
        if answer["data"]["resultType"] != "vector":
            raise ValueError(f"{promql}: a {answer['data']['resultType']}, not an instant vector")
        return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]


@functools.cache
def takes_otlp(binary: Path) -> bool:
    """True for Prometheus 3: it has OTLP's endpoint, and knows `otlp` in its configuration."""
    try:
        done = subprocess.run(
            [str(binary), "--help"], check=False, capture_output=True, text=True, timeout=30
        )
    except OSError as error:
        raise StartError(f"Prometheus: cannot run {binary}: {error}") from error
    # Help is on standard error in some versions; a negatable flag is shown as --[no-]web....
    return OTLP_FLAG.removeprefix("--") in done.stdout + done.stderr


def adapt(config: dict[str, Any], scrape_interval: str | None, *, otlp: bool) -> dict[str, Any]:
    """The same configuration for a Prometheus that knows `otlp`, or (2.x) refuses it."""
    adapted = {key: value for key, value in config.items() if otlp or key != "otlp"}
    if scrape_interval:
        adapted["global"] = {**config["global"], "scrape_interval": scrape_interval}
    return adapted


def write_config(
    folder: Path,
    source: Path,
    targets: Mapping[str, Sequence[str]],
    scrape_interval: str | None,
    *,
    rules: Path | None = None,
    token: str | None = None,
    otlp: bool,
) -> Path:
    """Write `source`, adapted, with its targets and its rules, to `folder`; return the new file."""
    import yaml

    config = adapt(yaml.safe_load(source.read_text()), scrape_interval, otlp=otlp)
    config["rule_files"] = [str(rules or RENDERED / "prometheus" / "rules" / "*.yml")]
    if token:
        (app,) = (job for job in config["scrape_configs"] if job["job_name"] == APPLICATION_JOB)
        app["authorization"] = {"credentials": token}
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    for name, addresses in targets.items():
        if not (source.parent / "targets" / f"{name}.yml").is_file():
            raise ValueError(f"no targets/{name}.yml in {source.parent}")
        groups = [{"targets": list(addresses)}]
        (folder / "targets" / f"{name}.yml").write_text(yaml.safe_dump(groups))
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path
