"""``python -m focdepth_ros.cli``: the same as ``focdepth``."""

import sys

from focdepth_ros.cli import main

if __name__ == "__main__":
    sys.exit(main())
