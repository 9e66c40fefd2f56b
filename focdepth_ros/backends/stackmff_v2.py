"""All-in-focus image and depth with a light network, StackMFF-V2: for small computers."""

from __future__ import annotations

from dataclasses import dataclass

from focdepth_ros.backends.network import NetworkBackend, NetworkSettings


@dataclass(frozen=True)
class StackMffV2Settings(NetworkSettings):
    """Settings of the `stackmff_v2` backend."""

    backend = "stackmff_v2"


class StackMffV2Backend(NetworkBackend):
    """A light network looks at each slice as it comes, then goes back through the sweep."""

    name = "stackmff_v2"
    summary = "all-in-focus image and depth by a light network"
    config_class = StackMffV2Settings

    @classmethod
    def passed_over_because(cls) -> str | None:
        return "on a CPU the graph cut is the careful answer, on a GPU focdepthformer; ask for it"
