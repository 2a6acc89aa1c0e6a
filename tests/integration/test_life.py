"""The life of a service and of its exporter."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import BIN, Service, eventually


def exporters(service: Service) -> list[psutil.Process]:
    """The exporter processes of the service, found by the folder in their command line."""
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if any("otel_accubooks.export" in part for part in line) and any(
            part.startswith(str(service.state)) for part in line
        ):
            found.append(process)
    return found


def kill_exporters(service: Service) -> None:
    """SIGKILL for the exporter, once there is one; waits for its end."""
    assert eventually(lambda: exporters(service), 60)
    killed = exporters(service)
    for process in killed:
        process.kill()
    psutil.wait_procs(killed, 30)


def last_export(service: Service) -> int:
    """The second of the last export that arrived, 0 before the first."""
    return max((s.time_unix_nano for s in service.sink.series()), default=0) // 10**9


def test_an_outage_of_the_receiver_loses_nothing(service: Service) -> None:
    """While nobody acknowledges, counting goes on; one line says so, and one that it is over."""
    with service.gunicorn("-w", "2"):
        service.get("/hello/before")
        service.sink.fail("503")
        for number in range(50):
            service.get(f"/hello/{number}")
        assert eventually(lambda: "metrics are not arriving" in service.log(), 60)
        service.sink.fail("ok")
        assert eventually(lambda: "metrics are arriving again" in service.log(), 60)
        assert eventually(lambda: service.requests() == 51, 30)
    assert service.log().count("metrics are not arriving") == 1


def test_what_a_dead_deployment_left_is_sent_by_the_next(service: Service) -> None:
    """Everything is killed at once before anything was sent; the next start sends it."""
    service.env["OTEL_METRIC_EXPORT_INTERVAL"] = "3600000"
    server = service.gunicorn("-w", "2").start()
    for number in range(40):
        service.get(f"/hello/{number}")
    assert eventually(lambda: last_export(service), 60)
    workers = psutil.Process(server.pid).children()
    server.kill()  # its whole process group
    kill_exporters(service)
    psutil.wait_procs(workers, 10)
    service.env["OTEL_METRIC_EXPORT_INTERVAL"] = "1000"
    with service.gunicorn("-w", "1"):
        service.get("/hello/again")
    service.ended()
    assert service.requests(route="/hello/<name>") == 41


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_graceful_stop_has_sent_everything(service: Service, how: signal.Signals) -> None:
    """When the server has ended, the last counts have arrived, whatever the interval."""
    service.env["OTEL_METRIC_EXPORT_INTERVAL"] = "3600000"
    server = service.gunicorn("-w", "3").start()
    for number in range(60):
        service.get(f"/hello/{number}")
    # Two exports never have the same second: the last one must not have to wait for the next.
    assert eventually(lambda: 0 < last_export(service) < int(time.time()), 60)
    os.kill(server.pid, how)
    server.stop()
    assert service.requests(route="/hello/<name>") == 60


def test_two_services_on_one_host_never_mix(service: Service, tmp_path: Path) -> None:
    """Another service name is another folder, another exporter and another instance id."""
    script = tmp_path / "script.py"
    script.write_text(
        "from app import app\nfor _ in range(5): app.test_client().get('/hello/x').data\n"
    )
    argv = [str(BIN / "opentelemetry-instrument"), sys.executable, str(script)]
    for name in ("one", "two"):
        env = {**service.env, "OTEL_SERVICE_NAME": name}
        subprocess.run(argv, env=env, cwd=tmp_path, check=True, timeout=60)
    assert eventually(lambda: service.requests() == 10, 20)
    by_name = {s.resource["service.name"]: s for s in service.sink.series("http_requests_total")}
    assert {name: series.value for name, series in by_name.items()} == {"one": 5, "two": 5}
    assert len({series.instance for series in by_name.values()}) == 2


def test_delta_is_what_was_added(service: Service) -> None:
    """With OpenTelemetry's delta preference the sums of all deltas are the totals."""
    service.env["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] = "delta"
    service.env["OTEL_METRIC_EXPORT_INTERVAL"] = "600000"
    with service.gunicorn("-w", "2"):
        for number in range(100):
            service.get(f"/hello/{number}")
            if number == 50:
                # Not amid an export, whose acknowledgement would be lost.
                assert eventually(service.send, 60)
                kill_exporters(service)
    service.ended()
    series = service.sink.series("http_requests_total", route="/hello/<name>")
    assert {s.temporality for s in series} == {"delta"}
    assert service.requests(route="/hello/<name>") == 100


def test_a_wrong_setting_is_named_once(service: Service) -> None:
    """A bad value is told with what was expected; the default stands, the application serves."""
    service.env["OTEL_ACCUBOOKS_SERIES_LIMIT"] = "many"
    with service.gunicorn("-w", "2"):
        service.get("/hello/x")
    service.ended()
    assert service.log().count("OTEL_ACCUBOOKS_SERIES_LIMIT is 'many', expected a number") == 1
    assert service.requests() == 1


def test_a_corrected_endpoint_is_used_at_once(service: Service) -> None:
    """A copy that was told another address sends for itself, whoever else still runs."""
    right = service.env["OTEL_EXPORTER_OTLP_ENDPOINT"]
    wrong = {**service.env, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    service.env = wrong
    with service.gunicorn("-w", "1") as old:
        service.get("/hello/lost")
        assert eventually(lambda: "metrics are not arriving" in service.log(), 60)
        old.kill()
        kill_exporters(service)
    service.env = {**wrong, "OTEL_EXPORTER_OTLP_ENDPOINT": right}
    with service.gunicorn("-w", "1"):
        for number in range(10):
            service.get(f"/hello/{number}")
    assert eventually(lambda: service.requests() == 10)
    shutil.rmtree(service.state)


def test_the_exporter_lets_requests_go_first(service: Service) -> None:
    """Where processors are few, it has the lesser share, and interrupts nobody when it wakes up."""
    with service.gunicorn("-w", "1"):
        service.get("/hello/x")
        assert service.send()
        (exporter,) = exporters(service)
        assert os.sched_getscheduler(exporter.pid) == os.SCHED_BATCH
        assert exporter.nice() == 10


def test_without_an_exporter_nothing_is_left_either(service: Service) -> None:
    """OTEL_METRICS_EXPORTER=none: the endpoint tells everything, and the folder goes at the end."""
    service.env["OTEL_METRICS_EXPORTER"] = "none"
    with service.gunicorn("-w", "2", "--max-requests", "5"):
        for number in range(40):
            service.get(f"/hello/{number}")
        text = service.get("/api/monitoring/metrics").text
    assert 'route="/hello/<name>",status_code="200"} 40' in text
    assert service.sink.series() == []


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("nonsense", "OTEL_EXPORTER_OTLP_ENDPOINT is 'nonsense', expected an address such as"),
        ("http://[::bad", "expected an address such as http://localhost:4318"),
        ("http://127.0.0.1:9?key=canary", "metrics are not arriving at http://127.0.0.1:9"),
    ],
)
def test_a_wrong_endpoint_is_named(service: Service, endpoint: str, said: str) -> None:
    """One line says what was found and what was expected, and no secret of the address."""
    service.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    with service.gunicorn("-w", "2") as server:
        service.get("/hello/x")
        assert eventually(lambda: said in service.log())
        assert "canary" not in service.log()
        server.kill()
        kill_exporters(service)
    shutil.rmtree(service.state)


def test_an_applications_own_route_comes_first(service: Service) -> None:
    """An application that has /api/metrics itself keeps it, also for methods that we do not have."""
    (service.folder / "app.py").write_text(
        "from flask import Flask\n"
        "app = Flask(__name__)\n"
        "@app.route('/api/metrics', methods=['GET', 'POST'])\n"
        "def mine(): return 'mine'\n"
    )
    with service.gunicorn("-w", "1"):
        assert service.get("/api/metrics").text == "mine"
        assert "http_requests_total" in service.get("/api/monitoring/metrics").text
    service.ended()
    assert service.requests(route="/api/metrics") == 1


DAEMON = """
import os, time
from app import app

def asked(path, times):
    for _ in range(times):
        assert app.test_client().get(path).status_code == 200
        time.sleep(0.05)

def spoiled(number, fd):
    try:
        found = os.fstat(fd)
    except OSError:
        return True
    return found.st_ino != os.stat(f"file-{number}").st_ino or found.st_size > 0

asked("/hello/before", 40)
for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
os.closerange(3, 1024)
files = [os.open(f"file-{number}", os.O_RDWR | os.O_CREAT) for number in range(20)]
asked("/hello/after", 60)
told = [number for number, fd in enumerate(files) if spoiled(number, fd)]
with open("told", "w") as file:
    file.write(f"spoiled: {told}\\n")
"""


def test_a_daemon_keeps_the_files_that_it_opens(service: Service) -> None:
    """It counts, becomes a daemon, closes all that it has, and has its own files under our numbers."""
    (service.folder / "daemon.py").write_text(DAEMON)
    told = service.folder / "told"
    with service.server("python", "daemon.py", ready=lambda: True):
        assert eventually(lambda: told.exists() and told.read_text(), 60)
    assert told.read_text() == "spoiled: []\n"
    service.ended()
    assert service.requests() == 100
    assert service.log() == ""
