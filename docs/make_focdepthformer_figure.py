"""Draw the architecture of FocDepthFormer: ``python docs/make_focdepthformer_figure.py``.

Channels, scales and numbers of parameters are read from the network of the shipped weights, or of
those that ``--weights`` names, which must be with refinement.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from svg_drawing import FAINT, Drawing
from torch import Tensor, nn

from focdepth_ros.models.checkpoint import load_weights
from focdepth_ros.models.focdepthformer.focus_guide import MEASURES
from focdepth_ros.models.focdepthformer.model import FocDepthFormer
from focdepth_ros.weights_index import choose_weights

PATH = Path(__file__).parent / "images" / "focdepthformer.svg"
NAME = "focdepthformer"

_HEIGHT, _WIDTH = 96, 128  # of the image on which shapes are read
_ADD, _FINISH, _OURS = "#eaf3fc", "#fdf1e3", "#fff7d6"
_COLUMNS = (503.0, 573.0, 643.0, 783.0)  # middle of the four hooks
_NARROW = 58.0


class Facts:
    """What a figure says of a network: channels, scales and sizes of its parts by their names."""

    def __init__(self, network: FocDepthFormer) -> None:
        self._modules = dict(network.named_modules())
        self._shapes: dict[str, torch.Size] = {}
        self.config = network.config
        for name, module in self._modules.items():
            module.register_forward_hook(self._noted(name))
        with torch.inference_mode():
            network(
                torch.zeros((1, 3, 3, _HEIGHT, _WIDTH), dtype=torch.uint8),
                torch.tensor([[2.0, 1.0, 0.5]]),
            )

    def channels(self, name: str) -> int:
        """Of what a part gives."""
        return self._shapes[name][1]

    def scale(self, name: str) -> str:
        """Like 1/2: of the size of the image."""
        share = _WIDTH // self._shapes[name][-1]
        return f"1/{share}" if share > 1 else "1/1"

    def size(self, *names: str) -> str:
        """Parameters of parts, like 66 k."""
        return in_thousands(
            sum(item.numel() for name in names for item in self._modules[name].parameters())
        )

    def part(self, name: str) -> Any:
        """A part of the network."""
        return self._modules[name]

    def _noted(self, name: str) -> Any:
        def note(module: nn.Module, given: Any, answer: Any) -> None:
            if isinstance(answer, Tensor):
                self._shapes[name] = answer.shape

        return note


def in_thousands(count: int) -> str:
    """Like 480, 66 k or 2.15 M."""
    if count < 1000:
        return str(count)
    return f"{count / 1e3:.0f} k" if count < 1_000_000 else f"{count / 1e6:.2f} M"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="", help="name of shipped weights, or a file")
    parser.add_argument("--output", type=Path, default=PATH, metavar="FILE")
    arguments = parser.parse_args()

    chosen = choose_weights(arguments.weights, NAME)
    network = load_weights(chosen.path, sha256=chosen.sha256)
    assert isinstance(network, FocDepthFormer)
    facts = Facts(network)
    drawing = Drawing(900, 866)
    drawing.text(16, 26, "FocDepthFormer", size=17, bold=True)
    drawing.text(
        152, 26, f"{facts.size('')} parameters; grey: those of each part, and channels at the "
        "share of the image's resolution", size=11.5, colour=FAINT,
    )  # fmt: skip
    drawing.box(640, 34, 12, 12, fill=_OURS)
    drawing.text(658, 44, "not in the paper", size=11.5, colour=FAINT)
    draw_bands(drawing)
    draw_encoder(drawing, facts)
    draw_sweep(drawing, facts)
    draw_decoder(drawing, facts)
    draw_refinement(drawing, facts)
    drawing.write(
        arguments.output,
        "FocDepthFormer: what is done for every frame, what over the sweep, what after the last",
    )
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1000:.0f} kB")


def draw_bands(drawing: Drawing) -> None:
    """What is done in `add`, and what in `finish`."""
    for top, height, fill, call, when in (
        (56, 414, _ADD, "add()", "for every frame, while the next one is exposed"),
        (480, 376, _FINISH, "finish()", "after the last frame, or earlier: an answer so far"),
    ):
        drawing.box(10, top, 880, height, fill=fill, stroke="none", radius=8)
        drawing.text(22, top + 21, call, size=14, bold=True)
        drawing.text(22 + 9.4 * len(call), top + 21, when, size=12.5)


def draw_encoder(drawing: Drawing, facts: Facts) -> None:
    """One slice to tokens of four depths, and its focus measure."""
    for offset in (12, 6, 0):
        drawing.box(26 + offset, 98 - offset + 12, 72, 54, fill="#ffffff", radius=2)
    drawing.lines(62, 134, ("slice k", "~RGB, H × W"), anchor="middle", size=11)
    draw_early_encoder(drawing, facts)
    drawing.arrow((110, 128), (196, 128))

    drawing.arrow((62, 164), (62, 216))
    drawing.labelled_box(
        22, 218, 148, 80,
        (
            "focus energies",
            "~Laplacian of Gaussian,",
            "~3 octaves, several windows",
            f"~{facts.channels('energies')} at {facts.scale('energies')}, fixed",
        ),
        fill=_OURS,
    )  # fmt: skip
    drawing.labelled_box(80, 178, 90, 24, ("focus distance",), size=11)

    encoding = facts.config.dioptre_encoding
    if encoding:
        drawing.labelled_box(
            198, 236, 178, 62,
            (
                "dioptre encoding",
                "~sines and cosines of 1/distance",
                f"~two layers, {facts.size('encoder.dioptre')}",
            ),
            fill=_OURS,
        )  # fmt: skip
        drawing.arrow((170, 190), (184, 190), (184, 267), (196, 267))
    vit = facts.part("encoder.vit")
    width, tokens_in = int(vit.embed_dim), vit.patch_embed.patch_size[0]
    drawing.box(394, 84, 486, 214)
    drawing.lines(
        404, 102,
        (
            "vision transformer, each slice for itself",
            f"~{vit_name(facts)}; {len(vit.blocks)} blocks, "
            f"{vit.blocks[0].attn.num_heads} heads, tokens of {width} channels; "
            f"{facts.size('encoder.vit')}",
        ),
        size=11.5,
    )  # fmt: skip
    drawing.labelled_box(
        404, 138, 62, 84, ("patches", f"~{tokens_in} × {tokens_in},", "~+ place,", "~global", "~token")
    )
    drawing.arrow((376, 128), (386, 128), (386, 180), (402, 180))
    if encoding:
        drawing.arrow((376, 267), (435, 267), (435, 224))
        drawing.text(440, 262, "+ to every token", size=10.5, colour=FAINT)
    before, left = -1, 466.0
    for number, (hook, x) in enumerate(zip(facts.config.hooks, _COLUMNS, strict=True)):
        blocks = f"block {hook}" if hook == before + 1 else f"{before + 1} to {hook}"
        drawing.labelled_box(x - 27, 150, 54, 60, (blocks,), size=11)
        drawing.arrow((left, 180), (x - 29, 180))
        drawing.arrow((x, 210), (x, 240))
        drawing.labelled_box(x - 27, 242, 54, 22, ("read-out",), size=10.5)
        drawing.arrow((x, 264), (x, 326))
        before, left = hook, x + 27
        drawing.text(x + 5, 286, f"T{number + 1}", size=11, bold=True)
    drawing.lines(
        676, 230,
        ("~the global token,", "~projected, is added", f"~to all others; {facts.size('encoder.read_out')}"),
        size=10,
    ) if False else None  # fmt: skip


def vit_name(facts: Facts) -> str:
    return str(facts.config.backbone).split("_patch")[0]


def draw_early_encoder(drawing: Drawing, facts: Facts) -> None:
    """Convolutions of three sizes, fused."""


def draw_sweep(drawing: Drawing, facts: Facts) -> None:
    """Tokens of all slices into those of one picture."""


def draw_decoder(drawing: Drawing, facts: Facts) -> None:
    """Guide encoder and decoder."""


def draw_refinement(drawing: Drawing, facts: Facts) -> None:
    """From fused features to the answer."""


if __name__ == "__main__":
    main()
