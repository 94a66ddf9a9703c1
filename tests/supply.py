"""`python -m tests.supply`: holds what is installed with the proxy to the known advisories, by pip-audit.

pip-audit says "no known vulnerabilities" also when its service knew nothing of any package: what it could not
look up is reported here, and never counts as clean.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
LOCKS: Final = ("requirements.lock", "requirements-scale.lock", "requirements-build.lock")
# Nothing is resolved or installed: what is asked about is what the locks name.
COMMAND: Final = ("--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off")
_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of the audit; `ok` is false if there is a fault to fix, not if no service answered."""

    ok: bool
    lines: tuple[str, ...]


def judged(report: str, complaint: str) -> Verdict:
    """Reads pip-audit's report; `complaint` is the text that it wrote beside it."""
    try:
        packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except ValueError:
        return _not_asked(complaint.strip().splitlines()[-1] if complaint.strip() else "it gave no report")
    unknown = [each for each in packages if "skip_reason" in each]
    if len(unknown) == len(packages):
        return _not_asked("it knows none of the packages")
    found = [line for each in packages for line in _advisories(each)]
    found += [f"{each['name']}: not looked up: {each['skip_reason']}" for each in unknown]
    if found:
        return Verdict(ok=False, lines=tuple(found))
    return Verdict(ok=True, lines=(f"{len(packages)} packages, no known advisory",))


def _advisories(package: dict[str, Any]) -> list[str]:
    name = f"{package['name']} {package.get('version')}"
    found = package.get("vulns", [])
    return [f"{name}: {each['id']}, mended in {', '.join(each['fix_versions']) or '?'}" for each in found]


def _not_asked(why: str) -> Verdict:
    """Returns a verdict that says that nothing was checked: the project can't fix that."""
    line = f"SKIPPED, nothing was audited: no advisory service answers from here: {why}"
    return Verdict(ok=True, lines=(line,))


def main() -> int:
    program = Path(sys.executable).with_name("pip-audit")
    if not program.exists():
        print("SKIPPED, nothing was audited: pip-audit is not installed")  # noqa: T201
        return 0
    locks = [option for name in LOCKS for option in ("-r", str(ROOT / name))]
    ran = subprocess.run(
        [program, *COMMAND, *locks], capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    verdict = judged(ran.stdout, ran.stderr)
    print("\n".join(f"pip-audit: {line}" for line in verdict.lines))  # noqa: T201
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
