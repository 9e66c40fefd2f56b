"""Nodes as child processes: started with parameters, watched, and ended cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class ProcessUsage:
    """What a process takes of the machine.

    Parameters
    ----------
    cpu_seconds : float
        Processor time of all its threads since its start.
    own_memory, memory : int
        Bytes in memory: those that are its alone and no file's, and all, also shared ones.
    files, threads : int
        Open file descriptors, and threads.
    """

    cpu_seconds: float
    own_memory: int
    memory: int
    files: int
    threads: int


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
        command = [sys.executable, "-m", module, *ros_arguments(parameters)]
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
        usage = self.usage()
        return 0.0 if usage is None else usage.cpu_seconds

    def usage(self) -> ProcessUsage | None:
        """What the node takes of the machine now; None once it has ended."""
        folder = Path(f"/proc/{self._process.pid}")
        try:
            stat = (folder / "stat").read_text(encoding="utf-8")
            status = (folder / "status").read_text(encoding="utf-8", errors="replace")
            files = len(list((folder / "fd").iterdir()))
        except OSError:
            return None
        times = stat.rpartition(")")[2].split()  # the name before may contain anything
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if "RssAnon" not in lines:  # a process that is just ending has no memory any more
            return None
        return ProcessUsage(
            cpu_seconds=(int(times[11]) + int(times[12])) / float(os.sysconf("SC_CLK_TCK")),
            own_memory=1024 * int(lines["RssAnon"].split()[0]),
            memory=1024 * int(lines["VmRSS"].split()[0]),
            files=files,
            threads=int(lines["Threads"]),
        )

    def last_words(self) -> str:
        """The end of the node's output."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_TAIL:])


def ros_arguments(parameters: Mapping[str, ParameterValue]) -> list[str]:
    """The command line that gives a node its parameters."""
    arguments = ["--ros-args"]
    for name, value in parameters.items():
        arguments += ["-p", f"{name}:={_as_yaml(value)}"]
    return arguments


def _as_yaml(value: ParameterValue) -> str:
    """A value as ``--ros-args -p`` wants it: an int must not be given for a double."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
