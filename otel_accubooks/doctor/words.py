"""What docs/doctor.md says before its tables."""
# ruff: noqa: E501

ABOUT = """
`otel-accubooks doctor` looks at a deployment from the host on which the application runs, and names what is wrong with it, with the fix
in one line each. It reads the processes, their environment and packages, the folders with counts, asks the gateway, Prometheus and
Datadog, and sends one marked metric, `otel_accubooks_doctor_probe`, to see whether it arrives. It changes nothing: no signal, no write
into a folder of a service, no request that the application counts.

```sh
otel-accubooks doctor                                          # everything on this host
otel-accubooks doctor 4711 --prometheus http://prometheus:9090 # this process, and what is below it
otel-accubooks doctor --json                                   # for machines
```

- Run it as the application's user, or as root, in the application's container: what may not be read is said, never assumed to be well.
- Addresses come from flags, the environment, or `[servers]` of `alerting.toml`; where the applications send to, and with which token, it
  takes from their environment. Of Datadog it needs `DD_API_KEY`, and `DD_APP_KEY` to ask what arrived.
- What is an application: gunicorn, uWSGI, waitress, `flask run`, RQ and Celery workers, a script that imports Flask, and whatever runs
  under the launcher or counts. Others are left alone; name process ids to choose.
- It ends with what it looked at, so that an empty look is not taken for health. The exit code is 0 where nothing but notes was found, else 1.
- No token, key or password is shown, also where a server repeats one.

Each finding has an id, a severity (`wrong`: metrics are lost or false; `suspicious`: usually a fault; `note`: good to know), what was
found, what was expected, what to do, and where: the process, the file, the address. `--json` has all of these.
"""
