"""collector/prometheus/redundancy.yml: one of two that is gone is told of by the other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from otel_accubooks.stack.files import PROMETHEUS
from otel_accubooks.stack.prometheus import DIRECT, PUSHED

RULES = PROMETHEUS / "redundancy.yml"


def promtool(folder: Path, up: dict[str, str], minutes: int, fires: list[dict[str, str]]) -> None:
    """Raises if the alert does not fire for just these after so many minutes of `up`."""
    series = [{"series": f"up{labels}", "values": values} for labels, values in up.items()]
    (rule,) = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    expected = [
        {
            "exp_labels": {**labels, "severity": "P1"},
            "exp_annotations": {
                **rule["annotations"],
                "description": f"{labels['job']} {labels['instance']} does not answer",
            },
        }
        for labels in fires
    ]
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": series,
                "alert_rule_test": [
                    {
                        "eval_time": f"{minutes}m",
                        "alertname": "RedundancyLost",
                        "exp_alerts": expected,
                    }
                ],
            }
        ],
    }
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump(test))
    done = subprocess.run(
        ["promtool", "test", "rules", str(path)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("job", ["alertmanager", "prometheus"])
def test_who_is_gone_for_five_minutes_is_told(job: str, tmp_path: Path) -> None:
    """By name; the other, which is up, is not."""
    up = {f'{{job="{job}",instance="a:1"}}': "1x4 0x40", f'{{job="{job}",instance="b:1"}}': "1x44"}
    promtool(tmp_path, up, 5, [])
    promtool(tmp_path, up, 7, [{"job": job, "instance": "a:1"}])


def test_a_restart_and_other_jobs_are_not_told(tmp_path: Path) -> None:
    """A minute without one is no loss, and an application that is down has an alert of its own."""
    up = {
        '{job="prometheus",instance="a:1"}': "1x4 0x4 1x40",
        '{job="accubooks",instance="b:1"}': "0x44",
    }
    promtool(tmp_path, up, 10, [])


@pytest.mark.parametrize("path", [PUSHED, DIRECT], ids=lambda path: path.name)
def test_both_configurations_load_it_and_ask_who_is_up(path: Path) -> None:
    """Each job by its file of targets; the samples of neither are kept, `up` always is."""
    config = yaml.safe_load(path.read_text())
    assert RULES.name in config["rule_files"]
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    for name in ("prometheus", "alertmanager"):
        assert jobs[name]["file_sd_configs"] == [{"files": [f"targets/{name}.yml"]}]
        (drop,) = jobs[name]["metric_relabel_configs"]
        assert (drop["action"], drop["regex"]) == ("drop", ".*")
