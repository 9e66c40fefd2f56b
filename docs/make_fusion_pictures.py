"""Make the picture of stackmff_v2.md.

Run ``python docs/make_fusion_pictures.py --stacks DIR``. DIR holds folders of photographs that
are not the project's (see `real_stacks.REAL_STACKS`). What is written to ``docs/images`` therefore
shows only what was computed from them. With ``--sheets DIR`` sheets with the photographs and the
fused images are written there, to be looked at.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from make_focdepthformer_pictures import on_one_grid, print_row, stacks_panels, write_sheets
from picture_files import write_panels
from real_stacks import REAL_STACKS, Answer, answer_of

from focdepth_ros.alignment_config import AlignmentConfig
from focdepth_ros.backends.registry import create_backend

_BACKENDS = ("graph_cut", "focdepthformer", "stackmff_v2")
_SHOWN = ("mobiledepth/", "handheld/", "cave/")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stacks", type=Path, required=True, metavar="DIR")
    parser.add_argument("--max-size", type=int, default=960, help="longest side of the images")
    parser.add_argument("--sheets", type=Path, metavar="DIR", help="write sheets with photographs")
    arguments = parser.parse_args()

    backends = {name: create_backend(name) for name in _BACKENDS}
    answers: dict[str, dict[str, Answer]] = {}
    for real in REAL_STACKS:
        if real.name.startswith(_SHOWN):
            stack = on_one_grid(real.load(arguments.stacks, arguments.max_size))
            answers[real.name] = {
                name: answer_of(stack, backend, AlignmentConfig("none"))
                for name, backend in backends.items()
            }
            print_row(real.name, answers[real.name])
            if arguments.sheets:
                write_sheets(arguments.sheets / real.name, answers[real.name])
    write_panels("stackmff_v2_stacks", stacks_panels(answers), columns=len(_BACKENDS), width=300)


if __name__ == "__main__":
    main()
