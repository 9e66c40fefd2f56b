"""Installs a browser for the tests of the page, where one is missing and apt can; else says so.

Run by ``make test``. Without a browser these tests are skipped.
"""

from __future__ import annotations

import system_packages
from setup_tools import SetupError, say

if __name__ == "__main__":
    try:
        system_packages.ensure_browser()
    except SetupError as error:
        say(f"the browser tests will be skipped: {error}")
