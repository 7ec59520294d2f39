"""Look for known weaknesses in what is installed, by pip-audit: `python -m scripts.audit`.

The list of weaknesses is on the network. Where it cannot be had, one line says that nothing was
audited, and that is no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def verdict(report: dict[str, Any]) -> tuple[int, list[str]]:
    """Exit code and lines for a report of pip-audit."""
    packages = report["dependencies"]
    audited = [each for each in packages if "skip_reason" not in each]
    if not audited:
        return 0, ["not audited: the list of known weaknesses cannot be had from here"]
    lines = [
        f"{each['name']} {each['version']}: {found['id']},"
        f" mended in {', '.join(found['fix_versions']) or 'no version yet'}"
        for each in audited
        for found in each["vulns"]
    ]
    skipped = len(packages) - len(audited)
    left = f", {skipped} could not be looked up" if skipped else ""
    return int(bool(lines)), [*lines, f"{len(audited)} packages audited{left}"]


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(
        [*command, "--skip-editable", "--timeout", "20"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        report = json.loads(done.stdout)
    except ValueError:
        # What it cannot reach it says in its last line; a fault of its own would be the same.
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"not audited: {last}")
        return 0
    code, lines = verdict(report)
    print(*lines, sep="\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
