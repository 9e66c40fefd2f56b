"""Which device a setting means, where there is a GPU and where there is none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from focdepth_ros import torch_device
from focdepth_ros.errors import BackendUnavailableError, OptionError
from focdepth_ros.torch_device import choose_device, cuda_missing_because


def test_the_cpu_can_always_be_asked_for() -> None:
    assert choose_device("cpu") == "cpu"


def test_auto_takes_the_gpu_where_it_can_be_used() -> None:
    assert choose_device("auto") == ("cpu" if cuda_missing_because() else "cuda")


def test_another_device_is_refused() -> None:
    with pytest.raises(OptionError, match="no device 'gpu'; choose one of auto, cpu, cuda"):
        choose_device("gpu")


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("_LIBRARY", "focdepth_no_such_library", "torch is not installed"),
        ("_DRIVER", "libfocdepth_no_such_driver.so.1", "there is no NVIDIA driver"),
    ],
)
def test_says_why_there_is_no_gpu(
    monkeypatch: pytest.MonkeyPatch, attribute: str, value: str, reason: str
) -> None:
    # What is there on this machine, if not torch; the other one is taken away.
    monkeypatch.setattr(torch_device, "_LIBRARY", "numpy")
    monkeypatch.setattr(torch_device, attribute, value)
    assert reason in str(cuda_missing_because())
    assert choose_device("auto") == "cpu"
    with pytest.raises(BackendUnavailableError, match=f"'cuda' cannot be used here: {reason}"):
        choose_device("cuda")


def test_torch_is_not_imported_to_find_that_there_is_no_driver() -> None:
    code = (
        "import sys\n"
        "from focdepth_ros import torch_device\n"
        "torch_device._DRIVER = 'libfocdepth_no_such_driver.so.1'\n"
        "assert torch_device.choose_device('auto') == 'cpu'\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
