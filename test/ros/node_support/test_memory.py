"""Whether freed memory is used again: the pages that the system has to clear are counted."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Three blocks at a time, as an image has on its way: together they are more than is kept as it is.
WORK = """
import resource, sys
from focdepth_ros.ros.node_support.memory import keep_freed_memory
if "keep" in sys.argv and not keep_freed_memory():
    print("cannot")
    sys.exit()
def work():
    blocks = [b"x" * 6_000_000 for _ in range(3)]
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    work()
before = faults()
for _ in range(10):
    work()
print(faults() - before)
"""


def page_faults(*arguments: str) -> int:
    command = [sys.executable, "-c", WORK, *arguments]
    words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if words == "cannot":
        pytest.skip("this C library has no mallopt")
    return int(words)


def test_pages_are_not_taken_anew_each_time() -> None:
    assert page_faults() > 10_000
    assert page_faults("keep") < 500
