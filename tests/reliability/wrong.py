"""What is wrong in what people write: settings, rules, addresses, and words of commands."""

from __future__ import annotations

import os

from otel_accubooks.launch.checked_settings import SETTINGS

_ANY = (
    *("OTEL_ACCUBOOKS_RULES", "OTEL_ACCUBOOKS_STATE_DIR", "OTEL_ACCUBOOKS_SECRET"),
    "OTEL_SERVICE_NAME",
)
_LARGE = "9" * 30


def _value(name: str) -> str:
    if name in _ANY:
        return os.fsdecode(b"books\xff")
    if "TOKEN" in name:
        return ","
    return _LARGE if name.endswith(("LIMIT", "BYTES", "SIZE", "INTERVAL")) else "a: b"


# One wrong value for each setting that is checked; of traces and logs with those switched on.
SETTINGS_WRONG: list[dict[str, str]] = [
    {
        setting.name: _value(setting.name),
        **({f"OTEL_{setting.signal}_EXPORTER": "console"} if setting.signal else {}),
    }
    for setting in SETTINGS
]

RULES_WRONG = {
    "not closed": ("[[request]\n", "1:10: "),
    "a key twice": ('[user]\nid = "g.id"\nid = "g.id"\n', "3:12: "),
    "an unknown kind": ("[[requests]]\n", '1: "requests" is no kind of rule'),
    "an unknown key": ('[user]\nid = "g.id"\nteir = "g.t"\n', '3: "teir" is no key of [user]'),
    "a missing key": ("[user]\n", "1: id is missing"),
    "a wrong type": ("[user]\nid = 7\n", "2: id is 7"),
    "a wrong source": ('[user]\nid = "cookie.id"\n', '2: id is "cookie.id"'),
    "an unknown counter": (
        '[[log]]\nlogger = "a"\nlevel = "ERROR"\ncount = "ticket_total"\n', '4: count is "ticket_'
    ),
    "an address in the file": (
        '[[lookup]]\ngauge = "nps_score"\nredis = ["GET", "n"]\nredis_url = "redis://:pw@r"\n',
        "4: redis_url is something else",
    ),
    "two statements": (
        '[[lookup]]\ngauge = "nps_score"\nsql = "SELECT 1; DROP TABLE users"\n', "3: sql is "
    ),
}  # fmt: skip

ADDRESSES = """\
email = ["on-call@books.example"]
escalation_email = ["cto@books.example"]
application = "https://books.example"
"""
ADDRESSES_WRONG = {
    "not closed": ("email = [\n", ": "),
    "an unknown key": (ADDRESSES + 'emial = "a"\n', "4: unknown emial"),
    "a missing key": ('email = ["a@b"]\n', "missing "),
    "a wrong type": (ADDRESSES + "smtp = 25\n", "4: smtp = 25: expected a text"),
    "no host:port": (ADDRESSES + 'smtp = "mail"\n', "4: smtp = 'mail': expected host:port"),
    "no address": (
        ADDRESSES + 'heartbeat_url = "hc-ping"\n', "4: heartbeat_url = 'hc-ping': expected an addr"
    ),
    "nobody's e-mail": (ADDRESSES + 'email_from = "me"\n', "4: email_from = 'me': expected an e-m"),
    "an unknown phone": (ADDRESSES + 'phone = "fax"\n', "4: phone = 'fax': expected one of pagerd"),
    "a path that is none": (ADDRESSES + 'secrets = "keys"\n', "4: secrets = 'keys': expected the"),
    "servers: no address": (
        ADDRESSES + '[servers]\nprometheus = "prometheus:9090"\n',
        "5: servers.prometheus is 'prometheus:9090': expected",
    ),
    "servers: unknown": (ADDRESSES + '[servers]\ngrafna = "http://g"\n', "5: unknown grafna in"),
}  # fmt: skip

COMMANDS_WRONG: dict[tuple[str, ...], str] = {
    ("rendr",): "No such command 'rendr'",
    ("render", "--out", "x"): "Missing option '--backend'",
    ("render", "--backend", "graphite", "--out", "x"): "'graphite' is not one of",
    ("render", "--backend", "gateway", "--out", "/dev/null/x"): "--out names another folder",
    ("up", "--backend", "graphite"): "'graphite': expected one or more of datadog",
    ("up", "--backend", ","): "',': expected one or more of datadog",
    ("up", "--application", "nonsense"): "'nonsense': expected host:port",
    ("up", "--folder", "/dev/null/x"): "--folder names another one",
    ("demo", "--backend", "graphite"): "'graphite': expected one or more of prometheus",
    ("demo", "--rounds", "-1"): "-1 is not in the range",
    ("demo", "--wait", "nan"): "'nan' is not a valid integer range",
    ("apply", "graphite"): "'graphite' is not one of",
    ("apply", "grafana", "--url", "http://[::1"): "expected an address such as",
    ("apply", "grafana"): "GRAFANA_TOKEN is not set",
    ("verify", "--prometheus", "prometheus:9090"): "--prometheus is 'prometheus:9090': expected",
    ("verify", "--prometheus", "http://h:99999"): "expected an address such as",
    ("verify", "--evidence", "/dev/null/x"): "Name another folder by --evidence",
    ("test-alert", "--mailbox", "me@mail"): "--mailbox is 'mail': expected imaps://",
    ("test-alert", "--backend", "graphite"): "'graphite' is not one of",
    ("soak", "--for", "a day"): "'a day' is no length of time",
    ("soak", "--for", "99999999d"): "'99999999d' is no length of time",
    ("doctor", "none"): "'none' is not a valid integer",
    ("doctor", "--gateway", "localhost"): "--gateway is 'localhost': expected http://",
    ("dashboards", "--port", "99999"): "99999 is not in the range",
    ("dashboards", "--host", "300.1.1.1"): "--host and --port name another place",
    ("dashboards", "--only", "sales"): "'sales' is not one of",
    ("check", "--rules", "/no/such/file"): "/no/such/file: cannot be read: No such file",
    ("check", "--addresses", "/no/such/file"): "/no/such/file: cannot be read: No such file",
}
