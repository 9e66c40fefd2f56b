"""Make the picture of stackmff_v2.md.

Run ``python docs/make_fusion_pictures.py --stacks DIR``. DIR holds folders of photographs that
are not the project's (see `real_stacks.REAL_STACKS`). What is written to ``docs/images`` therefore
shows only what was computed from them. With ``--sheets DIR`` sheets with the photographs and the
fused images are written there, to be looked at.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from make_focdepthformer_pictures import answers_of_real_stacks, stacks_panels
from picture_files import write_panels

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
    answers = answers_of_real_stacks(arguments, backends, _SHOWN)
    write_panels("stackmff_v2_stacks", stacks_panels(answers), columns=len(_BACKENDS), width=300)


if __name__ == "__main__":
    main()
