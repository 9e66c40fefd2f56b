"""Where the page listens."""

from __future__ import annotations

import socket

from focdepth_ros.errors import OptionError

FIRST_PORT = 7860
_PORTS_TRIED = 20


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens.

    Parameters
    ----------
    host : str
        Address or name of this computer.
    port : int, optional
        0 for any that is free; by default the first that is free from `FIRST_PORT` on.

    Raises
    ------
    OptionError
        If the port is taken, may not be used, or the host is none of this computer's.
    """
    tried = range(FIRST_PORT, FIRST_PORT + _PORTS_TRIED) if port is None else (port,)
    for number in tried:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listening = socket.socket(family, kind, protocol)
            try:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listening.bind(address)
                listening.listen()
            except BaseException:
                listening.close()
                raise
            return listening
        except OSError as error:
            if port is None and number != tried[-1]:
                continue
            raise OptionError(
                f"cannot listen at {host}, port {number}: {error.strerror}; give another --port, "
                "or 0 for any that is free, and a --host of this computer"
            ) from error
    raise AssertionError("at least one port was tried")
