from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from cli_runs import run

from focdepth_ros.errors import OptionError
from focdepth_ros.libraries import how_to_install
from focdepth_ros.web import listening
from focdepth_ros.web.listening import listen


def test_without_gradio_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("focdepth_ros.libraries.WEB_LIBRARIES", ("no_such_library",))
    assert run("web") == 2
    error = capsys.readouterr().err
    assert f"no_such_library is not installed; {how_to_install('web')}" in error


def test_no_other_command_loads_gradio() -> None:
    code = (
        "import sys; import focdepth_ros.cli, focdepth_ros.web.uploads, focdepth_ros.web.answer\n"
        "import focdepth_ros.web.snippets, focdepth_ros.web.listening, focdepth_ros.web.visits\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"gradio", "fastapi", "uvicorn", "PIL"}.isdisjoint(done.stdout.split())


def test_a_taken_port_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert port != 0
        with pytest.raises(OptionError, match=f"cannot listen at 127.0.0.1, port {port}: "):
            listen("127.0.0.1", port)


def test_without_a_port_the_next_free_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(listening, "FIRST_PORT", port)
        with listen("127.0.0.1", None) as next_one:
            assert port < next_one.getsockname()[1] < port + 20


def test_a_host_that_is_not_here_is_named() -> None:
    with pytest.raises(OptionError, match=r"cannot listen at 192\.0\.2\.1, port 0: "):
        listen("192.0.2.1", 0)


def test_it_listens_only_where_it_is_told() -> None:
    with listen("127.0.0.1", 0) as bound:
        assert bound.getsockname()[0] == "127.0.0.1"
        assert bound.family == socket.AF_INET


def test_bad_limits_end_before_anything_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("web", "--idle-minutes", 0) == 2
    assert "idle_minutes is 0.0; give a number above 0" in capsys.readouterr().err
