"""Looks for known vulnerabilities of the Python packages in the environment: make audit.

pip-audit does it, in an environment of its own so that it changes nothing in this one. It asks the
database of https://osv.dev for each package; exit code 1 if something was found, 2 if it could not
look.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

TOOL = Path(__file__).resolve().parents[1] / ".audit"
PIP_AUDIT = "pip-audit>=2.9,<3"
FOUND, NO_ANSWER = 1, 2
# What pip-audit and what it is built on say when the database cannot be reached.
UNREACHABLE = (
    "ConnectionError",
    "ConnectTimeout",
    "Could not connect",
    "Failed to connect",
    "Max retries exceeded",
    "Name or service not known",
    "ServiceError",
    "Temporary failure in name resolution",
    "Tunnel connection failed",
    "HTTPError",
)


def main() -> int:
    """Audit; the exit code is returned."""
    try:
        python = installed()
    except (OSError, subprocess.CalledProcessError) as error:
        return complain(f"pip-audit cannot be installed: {error}")
    command = [
        str(python), "-m", "pip_audit", "--path", sysconfig.get_path("purelib"),
        "--vulnerability-service", "osv", "--progress-spinner", "off", *sys.argv[1:],
    ]  # fmt: skip
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode and any(words in done.stderr for words in UNREACHABLE):
        last = done.stderr.strip().splitlines()[-1]
        return complain(f"the database of vulnerabilities cannot be reached: {last}")
    sys.stderr.write(done.stderr)
    return FOUND if done.returncode else 0


def installed() -> Path:
    """The interpreter of an environment with pip-audit, which is made where it is missing."""
    python = TOOL / "bin" / "python"
    if not python.exists():
        print(f"[audit] installing {PIP_AUDIT} into {TOOL.name}/", flush=True)
        venv.create(TOOL, with_pip=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", PIP_AUDIT], check=True)
    return python


def complain(why: str) -> int:
    """Say why nothing was looked for."""
    print(f"[audit] error: {why}", file=sys.stderr)
    print("[audit] nothing was looked for; try again with a network", file=sys.stderr)
    return NO_ANSWER


if __name__ == "__main__":
    sys.exit(main())
