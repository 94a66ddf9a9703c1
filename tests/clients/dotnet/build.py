"""Builds Session.cs by Mono's compiler, and runs it on the .NET Core that the package dotnetcore2 carries.

Usage: build.py build FOLDER | run FOLDER | version
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_REFERENCES: Final = (
    "System.Private.CoreLib",
    "System.Private.Uri",
    "System.Runtime",
    "System.Runtime.Extensions",
    "System.Console",
    "System.IO.FileSystem",
    "System.Net.Http",
    "System.Net.Primitives",
    "System.Text.RegularExpressions",
    "System.Threading.Tasks",
    "mscorlib",
    "netstandard",
)


def main(action: str, folder: Path) -> int:
    home = _home()
    framework = next((home / "shared" / "Microsoft.NETCore.App").iterdir())
    if action == "version":
        sys.stdout.write(f"{framework.name}\n")
        return 0
    program = folder / "dotnet-session.dll"
    if action == "run":
        return subprocess.run([home / "dotnet", program], check=False).returncode
    references = [f"-r:{framework / name}.dll" for name in _REFERENCES]
    options = {
        "framework": {"name": "Microsoft.NETCore.App", "version": framework.name},
        # The machine may have no ICU, and the program needs no culture.
        "configProperties": {"System.Globalization.Invariant": True},
    }
    program.with_suffix(".runtimeconfig.json").write_text(json.dumps({"runtimeOptions": options}))
    command = ["mcs", "-nostdlib", "-noconfig", "-nowarn:1702", *references, f"-out:{program}", "Session.cs"]
    return subprocess.run(command, check=False).returncode


def _home() -> Path:
    found = find_spec("dotnetcore2")
    if found is None or found.origin is None:
        sys.exit("dotnetcore2 is not installed")
    return Path(found.origin).parent / "bin"


if __name__ == "__main__":
    os.environ["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1"
    sys.exit(main(sys.argv[1], Path(sys.argv[-1])))
