"""Draw the architecture of FocDepthFormer: ``python docs/make_focdepthformer_figure.py``.

Channels, scales and numbers of parameters are read from the network of the shipped weights, or of
those that ``--weights`` names, which must be one with refinement.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from network_facts import Facts
from svg_drawing import FAINT, Drawing

PATH = Path(__file__).parent / "images" / "focdepthformer.svg"

_ADD, _FINISH, _OURS = "#eaf3fc", "#fdf1e3", "#fff9d9"
_COLUMNS = (503.0, 573.0, 643.0, 783.0)  # middles of the four depths at which tokens are read
_MIDDLE = 168.0  # of the way of a slice through the encoder
_FUSION = 640.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="", help="name of shipped weights, or a file")
    parser.add_argument("--output", type=Path, default=PATH, metavar="FILE")
    arguments = parser.parse_args()

    facts = Facts(arguments.weights)
    drawing = Drawing(900, 850)
    draw_bands(drawing, facts)
    draw_slice(drawing, facts)
    draw_transformer(drawing, facts)
    draw_sweep(drawing, facts)
    draw_guide(drawing, facts)
    draw_decoder(drawing, facts)
    draw_refinement(drawing, facts)
    drawing.write(
        arguments.output,
        "FocDepthFormer: what is done for every frame, what over the sweep, what after the last",
    )
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1000:.0f} kB")


def draw_bands(drawing: Drawing, facts: Facts) -> None:
    """What is done in `add`, and what in `finish`."""
    drawing.text(14, 27, "FocDepthFormer", size=18, bold=True)
    told = f"{facts.size('')} parameters. Grey: how many in a part; channels at which resolution"
    drawing.text(204, 26, told, size=12, colour=FAINT)
    drawing.box(768, 15, 14, 14, fill=_OURS, radius=3)
    drawing.text(788, 26, "not in the paper", size=12, colour=FAINT)
    for top, bottom, fill, call, when in (
        (44, 472, _ADD, "add()", "for every frame, while the next one is exposed"),
        (480, 840, _FINISH, "finish()", "after the last frame, or earlier for an answer so far"),
    ):
        drawing.box(10, top, 880, bottom - top, fill=fill, stroke="none", radius=8)
        drawing.text(22, top + 22, call, size=15, bold=True)
        drawing.text(38 + 9 * len(call), top + 22, when, size=12.5)


def draw_slice(drawing: Drawing, facts: Facts) -> None:
    """A slice, its focus measure, and the early encoder."""
    for offset in (10, 5, 0):
        drawing.box(24 + offset, _MIDDLE - 28 - offset, 76, 56, radius=2)
    drawing.lines(62, _MIDDLE - 3, ("slice k", "~RGB, H × W"), anchor="middle")
    drawing.arrow((110, _MIDDLE), (196, _MIDDLE))

    drawing.labelled_box(76, 206, 94, 22, ("focus distance",))
    drawing.arrow((50, 196), (50, 238))
    drawing.labelled_box(
        22, 240, 148, 66,
        (
            "focus energies",
            "~Laplacian of Gaussian,",
            "~3 octaves and windows;",
            f"~{facts.at('energies')}; not learned",
        ),
        fill=_OURS,
    )  # fmt: skip

    drawing.box(198, 86, 178, 142)
    drawing.text(208, 104, "early encoder")
    drawing.text(366, 104, facts.size("encoder.early"), anchor="end", colour=FAINT)
    for size, y in ((3, 137.0), (5, _MIDDLE), (7, 199.0)):
        drawing.labelled_box(208, y - 12, 40, 24, (f"{size} × {size}",))
        drawing.arrow((248, y), (258, y), (258, _MIDDLE), head=False)
    drawing.arrow((258, _MIDDLE), (268, _MIDDLE))
    drawing.labelled_box(270, _MIDDLE - 18, 52, 36, ("3 × 3", "each ch."), size=10.5)
    drawing.arrow((322, _MIDDLE), (330, _MIDDLE))
    drawing.labelled_box(332, _MIDDLE - 18, 38, 36, ("1 × 1",), size=10.5)
    drawing.text(366, 221, facts.at("encoder.early"), size=10.5, anchor="end", colour=FAINT)

    if facts.config.dioptre_encoding:
        drawing.labelled_box(
            198, 246, 178, 60,
            (
                "dioptre encoding",
                "~sines, cosines of 1 / distance,",
                f"~two layers; {facts.size('encoder.dioptre')}",
            ),
            fill=_OURS,
        )  # fmt: skip
        drawing.arrow((170, 217), (184, 217), (184, 276), (196, 276))


def draw_transformer(drawing: Drawing, facts: Facts) -> None:
    """From the early features to tokens of four depths."""
    vit = facts.part("encoder.vit")
    patch = int(vit.patch_embed.patch_size[0])
    drawing.box(394, 86, 486, 220)
    drawing.text(404, 104, "vision transformer")
    drawing.text(870, 104, facts.size("encoder.vit"), anchor="end", colour=FAINT)
    drawing.text(
        404, 119, f"{len(vit.blocks)} blocks, {vit.blocks[0].attn.num_heads} heads, tokens of "
        f"{vit.embed_dim}; attention within the slice", size=10.5, colour=FAINT,
    )  # fmt: skip
    drawing.arrow((376, _MIDDLE), (402, _MIDDLE))
    drawing.labelled_box(404, _MIDDLE - 30, 62, 60, (f"{patch} × {patch}", "patches,", "+ place"))
    if facts.config.dioptre_encoding:
        drawing.arrow((376, 276), (435, 276), (435, 200))
        drawing.lines(441, 272, ("~added to", "~all tokens"), size=10)
    before, left = -1, 466.0
    for number, (hook, x) in enumerate(zip(facts.config.hooks, _COLUMNS, strict=True)):
        name = f"block {hook}" if hook == before + 1 else f"{before + 1} to {hook}"
        drawing.arrow((left, _MIDDLE), (x - 28, _MIDDLE))
        drawing.labelled_box(x - 26, _MIDDLE - 30, 52, 60, (name,), size=10.5)
        drawing.arrow((x, _MIDDLE + 30), (x, 226))
        drawing.labelled_box(x - 26, 228, 52, 22, ("read-out",), size=10.5)
        drawing.arrow((x, 250), (x, 334))
        drawing.text(x + 6, 298, f"T{number + 1}", bold=True)
        before, left = hook, x + 26
    drawing.lines(676, 236, ("~global token,", "~projected,", "~is added"), size=9.5)


def draw_sweep(drawing: Drawing, facts: Facts) -> None:
    """Tokens of all slices into those of one picture."""
    threshold = facts.config.activation_threshold
    drawing.labelled_box(
        22, 352, 148, 74, ("kept of every slice", "~focus energies", "~picture", "~1 / distance")
    )
    drawing.arrow((96, 306), (96, 350))
    drawing.lines(
        198, 352,
        (
            "Over the sweep, at every patch for itself:",
            f"~tokens of an L2 norm of {threshold:g} or more are",
            "~activated; of these the largest value counts,",
            "~channel by channel, and to it the mean",
            "~of the others is added",
        ),
        size=11,
    )  # fmt: skip

    middle = _COLUMNS[1]
    drawing.box(468, 336, 210, 126)
    drawing.text(478, 354, "pools, T1 to T3")
    draw_branches(drawing, middle, ("max",), ("mean",), f"norm ≥ {threshold:g} ?")

    middle, layers = _COLUMNS[3], len(facts.part("lstm.cells"))
    linear = facts.part("lstm.project_in")
    drawing.box(690, 336, 190, 126)
    drawing.text(700, 354, "latent LSTM, T4")
    drawing.text(870, 354, facts.size("lstm"), anchor="end", colour=FAINT)
    draw_branches(
        drawing, middle, (f"{layers} × LSTM,", "max"), ("state kept,", "mean"),
        f"linear to {linear.out_features}; ≥ {threshold:g} ?",
    )  # fmt: skip
    drawing.arrow((705, 424), (697, 424), (697, 404), (704, 404))


def draw_branches(
    drawing: Drawing, x: float, yes: tuple[str, ...], no: tuple[str, ...], question: str
) -> None:
    """What becomes of activated tokens, and of the others."""
    drawing.labelled_box(x - 68, 362, 136, 20, (question,), size=10.5)
    for side, word, lines in ((-1, "yes", yes), (1, "no", no)):
        middle = x + side * 41
        drawing.arrow((middle, 382), (middle, 396))
        drawing.text(
            middle + side * 6,
            393,
            word,
            size=9.5,
            colour=FAINT,
            anchor="end" if side < 0 else "start",
        )
        drawing.labelled_box(middle - 36, 398, 72, 32, lines, size=10.5)
        drawing.arrow((middle, 430), (middle, 446), (x + side * 9, 446))
    drawing.sum_at(x, 446)
    drawing.arrow((x, 453), (x, 462), head=False)


def draw_guide(drawing: Drawing, facts: Facts) -> None:
    """Statistics of the focus energies to features at five scales."""
    drawing.box(22, 524, 318, 138, fill=_OURS)
    drawing.arrow((96, 426), (96, 522))
    drawing.text(32, 542, "guide encoder")
    drawing.text(330, 542, facts.size("guide"), anchor="end", colour=FAINT)
    drawing.lines(
        32, 560,
        (
            "~per 2 × 2 pixels: how the energies go over the",
            "~sweep (peaks, spread, contrast, ...) and the sharpest",
            f"~picture; {facts.part('guide.mix').in_channels} channels in all",
        ),
        size=10.5,
    )  # fmt: skip
    names = ("guide.mix", *(f"guide.units.{number}" for number in range(4)))
    for number, name in enumerate(names):
        x = 32 + 62 * number
        drawing.labelled_box(x, 608, 50, 36, two_lines(facts.at(name)), size=10.5)
        if number:
            drawing.arrow((x - 12, 626), (x - 2, 626))


def draw_decoder(drawing: Drawing, facts: Facts) -> None:
    """Tokens as images at four scales, fused from coarse to fine."""
    drawing.box(356, 524, 524, 138)
    drawing.text(366, 542, "decoder of DPT")
    drawing.text(366, 557, facts.size("decoder"), colour=FAINT)
    drawing.arrow((340, 604), (774, 604))
    last = _COLUMNS[-1]
    for x in _COLUMNS[:-1]:
        drawing.arrow((x, 462), (x, 548))
    drawing.arrow((last, 462), (last, 490))
    width = facts.part("lstm.project_out").out_features
    drawing.labelled_box(last - 44, 492, 88, 22, (f"linear to {width}",), size=10.5)
    drawing.arrow((last, 514), (last, 548))
    for number, x in enumerate(_COLUMNS):
        told = two_lines(facts.at(f"decoder.reassemble.{number}"))
        drawing.labelled_box(x - 30, 550, 60, 32, told, size=10.5)
        drawing.arrow((x, 582), (x, 595))
        drawing.sum_at(x, 604)
        drawing.arrow((x, 612), (x, 624))
        drawing.labelled_box(x - 28, 626, 56, 26, ("fuse, × 2",), size=10)
        if number:
            drawing.arrow((x - 28, _FUSION), (_COLUMNS[number - 1] + 30, _FUSION))
    drawing.text(366, 598, "laterals", size=10.5, colour=FAINT)
    drawing.text(366, _FUSION - 7, facts.at("decoder"), size=10.5, colour=FAINT)


def two_lines(text: str) -> tuple[str, ...]:
    """Like 48 at 1/4 on two lines."""
    channels, _, share = text.partition(" ")
    return (channels, share)


def draw_refinement(drawing: Drawing, facts: Facts) -> None:
    """From fused features to the answer."""
    drawing.box(22, 690, 712, 140, fill=_OURS)
    drawing.text(110, 708, "refinement head, at 1/2")
    drawing.text(724, 708, facts.size("refine"), anchor="end", colour=FAINT)
    drawing.arrow((52, 644), (52, 718))
    left = _COLUMNS[0] - 28
    drawing.arrow((left, _FUSION), (440, _FUSION), (440, 676), (92, 676), (92, 718))
    positions = facts.part("refine.choose").out_channels
    y, height, gap = 720, 74, 12
    steps = (
        (80, ("features", "~guide and", "~decoder,", f"~{facts.channels('refine.mix')}")),
        (72, ("proposal", "~a position", "~from the", "~features")),
        (120, ("evidence", "~energies weighed,", "~shared with cells", "~around, and read")),
        (100, ("choice", "~mean of", f"~{positions} positions,", "~weighted")),
        (92, ("look", "~at the curves", "~around", "~the choice")),
        (76, ("correction", "~by a part", "~of a step")),
        (80, ("convex", "upsampling", "~× 2, from", "~3 × 3 cells")),
    )  # fmt: skip
    x = 32.0
    for width, lines in steps:
        drawing.labelled_box(x, y, width, height, lines, size=10.5)
        if x > 32.0:
            drawing.arrow((x - gap, y + height / 2), (x - 2, y + height / 2))
        if lines[0] == "look":
            looked = x + width / 2
        x += width + gap
    drawing.arrow((x - gap, y + height / 2), (756, y + height / 2))
    drawing.labelled_box(758, 724, 122, 62, ("position", "~0 far, 1 near; H × W", "~→ metres"))
    if facts.config.confidence:
        drawing.arrow((looked, y + height), (looked, 812), (756, 812))
        drawing.labelled_box(758, 796, 122, 32, ("confidence", "~H × W"), fill=_OURS)


if __name__ == "__main__":
    main()
