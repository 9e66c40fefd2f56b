"""Nodes as child processes: started with parameters, watched, and ended cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

_GRACE = 10.0  # seconds that a node has for its clean shutdown
_TAIL = 12  # lines of its output that explain a death

ParameterValue = bool | int | float | str


def isolation(domain: int) -> dict[str, str]:
    """Environment variables that keep nodes to a domain and this machine.

    Parameters
    ----------
    domain : int
        From 0 to 101; above that, ports would collide with those that the kernel hands out.
    """
    variables = {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    if os.environ.get("ROS_DISTRO") == "humble":  # which does not know the range; later ones warn
        variables["ROS_LOCALHOST_ONLY"] = "1"
    return variables


class NodeProcess:
    """One node in a process of its own, with its output in a file.

    Parameters
    ----------
    module : str
        Module with the node's ``main``.
    parameters : mapping
        Of the node.
    log : Path
        Where its output goes.
    environment : mapping, optional
        Of the process; that of this process by default.
    remappings : mapping, optional
        Of topics and services.
    """

    def __init__(
        self,
        module: str,
        parameters: Mapping[str, ParameterValue],
        log: Path,
        environment: Mapping[str, str] | None = None,
        remappings: Mapping[str, str] | None = None,
    ) -> None:
        self.name = module.rpartition(".")[2]
        self.log = log
        command = [sys.executable, "-m", module, "--ros-args"]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={_as_yaml(value)}"]
        for name, other in (remappings or {}).items():
            command += ["-r", f"{name}:={other}"]
        with log.open("wb") as output:
            # A session of its own: Ctrl-C reaches the children once, through `stop`.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id, which is also that of its session."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while the node runs; negative if a signal ended it."""
        return self._process.poll()

    def stop(self) -> int:
        """Interrupt the node, as Ctrl-C would, and wait for its end.

        Returns
        -------
        int
            Its exit code; 0 if it shut down cleanly.
        """
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def cpu_seconds(self) -> float:
        """Processor time used so far by all threads of the node; 0 once it has ended."""
        try:
            status = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return 0.0
        fields = status.rpartition(")")[2].split()  # the name before may contain anything
        return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))

    def last_words(self) -> str:
        """The end of the node's output."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_TAIL:])


def _as_yaml(value: ParameterValue) -> str:
    """A value as ``--ros-args -p`` wants it: an int must not be given for a double."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
