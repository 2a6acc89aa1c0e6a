"""Files of a backend of one's own beside the gateway's, each wrong in one way."""

from __future__ import annotations

GOOD = """\
exporters:
  otlp_http/mine:
    endpoint: "${env:MINE_URL}"
    timeout: 3s
service:
  pipelines:
    metrics/mine:
      receivers: [forward/metrics]
      exporters: [otlp_http/mine]
"""

# What is wrong, its line and column, what is said; found before the Collector is asked.
SEEN: dict[str, tuple[str, str, str]] = {
    "a tab": (
        GOOD.replace("    timeout", "\ttimeout"), "4:1", "indented with blanks: there is a tab"
    ),
    "a key twice": (
        GOOD.replace("    timeout: 3s", '    endpoint: "http://b"'),
        "4",
        "exporters.otlp_http/mine.endpoint is there already in line 3, expected it once",
    ),
    "an unknown section": (
        GOOD.replace("exporters:\n  otlp", "exportres:\n  otlp"), "1", "exportres is no section"
    ),
    "a list at the top": ("- exporters\n", "1", "is a list, expected receivers, processors"),
    "an empty file": ("# nothing\n", "1", "is nothing, expected receivers, processors"),
    "a section that is a list": (
        GOOD.replace("  otlp_http/mine:\n    endpoint", "  - otlp_http/mine:\n    endpoint"),
        "1",
        "exporters is a list, expected a table",
    ),
    "an exporter that is a text": (
        "exporters:\n  otlp_http: localhost\n", "2", "exporters.otlp_http is 'localhost', expected a"
    ),
    "names that are no list": (
        GOOD.replace("[otlp_http/mine]", "otlp_http/mine"),
        "9",
        "service.pipelines.metrics/mine.exporters is 'otlp_http/mine', expected a list of names",
    ),
    "a name of no exporter": (
        GOOD.replace("[otlp_http/mine]", "[otlp_http/mime]"),
        "9",
        "service.pipelines.metrics/mine.exporters names 'otlp_http/mime', expected one of forward/",
    ),
    "a list that replaces the gateway's": (
        GOOD.replace("metrics/mine", "metrics/otlp").replace("[forward/metrics]", "[otlp]"),
        "9",
        "service.pipelines.metrics/otlp.exporters replaces the list in ",
    ),
    "extensions that replace the gateway's": (
        GOOD.replace("service:\n", "service:\n  extensions: [health_check]\n"),
        "6",
        "loses file_storage, expected all of it, or a name of its own",
    ),
    "an alias of itself": (
        "exporters: &a\n  debug:\n    more: *a\n", "3", "exporters.debug.more is an alias of what it"
    ),
    "a variable that is not set": (
        GOOD.replace("MINE_URL", "MINE_HOST"), "3", "MINE_HOST is not set, expected in the environ"
    ),
}  # fmt: skip

# What only the Collector knows to be wrong.
REFUSED: dict[str, tuple[str, str, str]] = {
    "a wrong type": (
        GOOD.replace("3s", "soon"), "4", "exporters.otlp_http/mine.timeout is 'soon': "
    ),
    "an unknown key": (
        GOOD.replace("timeout", "timeuot"), "4", "exporters.otlp_http/mine.timeuot is '3s': "
    ),
    "an unknown exporter": (
        GOOD.replace("otlp_http", "kafka"), "2", 'unknown type: "kafka" for id: "kafka/mine"'
    ),
    "a number below 0": (
        GOOD.replace("    timeout: 3s", "    sending_queue:\n      queue_size: -3"),
        "5",
        "exporters.otlp_http/mine.sending_queue.queue_size is '-3': ",
    ),
    "no address": (
        GOOD.replace('    endpoint: "${env:MINE_URL}"\n', ""), "2", "at least one endpoint must be"
    ),
    "a signal that there is none of": (
        GOOD.replace("metrics/mine", "metrix/mine"), "7", 'unknown pipeline signal: "metrix"'
    ),
}  # fmt: skip
