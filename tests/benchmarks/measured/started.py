"""Imports what BENCH_IMPORTS names, and tells what it cost until then.

`application`: the measured application. `nothing`: no module beyond the interpreter's own. `histograms`:
BENCH_SERIES histogram series, recorded by our recorder, so that there is an exporter to look at.

The first line of the answer says that it is ready, the second one, when asked, what it cost.
"""

from __future__ import annotations

import os
import sys
import time

imports = os.environ["BENCH_IMPORTS"]
folder = ""
if imports == "application":
    import application  # noqa: F401
elif imports == "histograms":
    from otel_accubooks import business  # noqa: F401
    from otel_accubooks.contract.metrics import HTTP_REQUEST_DURATION_MS
    from otel_accubooks.recorder.process import recorder

    family = recorder.histogram(HTTP_REQUEST_DURATION_MS)
    names = HTTP_REQUEST_DURATION_MS.label_names
    for number in range(int(os.environ["BENCH_SERIES"])):
        family.labels(*(f"{name}-{number}" for name in names)).record(float(number % 500))
    folder = str(recorder.folder and recorder.folder.path)
# Everything below is not counted: neither its time nor its imports.
seconds = time.process_time()
with open("/proc/self/smaps_rollup") as file:
    memory = {
        line.split()[0]: int(line.split()[1]) for line in file if line.split()[0].endswith(":")
    }
own = memory["Private_Clean:"] + memory["Private_Dirty:"]
mine = sorted(name for name in sys.modules if name.startswith("otel_accubooks"))

import json

print(json.dumps({"python": sys.version}), flush=True)
sys.stdin.readline()
cost = {"cpu_ms": seconds * 1000, "resident_kib": memory["Rss:"], "own_kib": own}
print(json.dumps({**cost, "modules": len(mine), "folder": folder}), flush=True)
sys.stdin.readline()
os._exit(0)
