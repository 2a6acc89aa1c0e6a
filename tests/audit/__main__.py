"""`make audit`: known vulnerabilities, and whether Go's modules are those of go.sum.

It ends with 0 if all is well, 1 for a vulnerability, 2 if a database could not be asked.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

from tests.audit import vulnerabilities
from tests.audit.lock import ROOT
from tests.audit.vulnerabilities import NotAskedError, Vulnerability

_MODULES = (ROOT / "collector", ROOT / "collector" / "prometheus3")


def main() -> int:
    """Looks at everything, says what is wrong, and is the exit status."""
    found: list[Vulnerability] = []
    unknown: list[str] = []
    for look in (vulnerabilities.python, vulnerabilities.go):
        try:
            found += look()
        except NotAskedError as error:
            unknown.append(f"not asked: {error}")
    reasons = vulnerabilities.accepted()
    # Whether a reason is still needed is known only where everybody was asked.
    needed = reasons if not unknown else {one.id: "" for one in found if one.id in reasons}
    wrong = vulnerabilities.judged(found, needed)
    for folder in _MODULES if shutil.which("go") else ():
        done = subprocess.run(
            ["go", "mod", "verify"], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            wrong.append(f"{folder.relative_to(ROOT)}: {done.stderr.strip()}")
    for line in (*wrong, *unknown):
        print(line)
    if not wrong and not unknown:
        print(f"no known vulnerability; {len(reasons)} accepted with reasons")
    return 1 if wrong else 2 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
