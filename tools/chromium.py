"""A Chromium without a window, driven by Playwright: for what measures, prints and tests the built book."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",  # it may be run as root
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
    "--disable-features=OptimizationHints,MediaRouter,Translate",
]  # fmt: skip


class Missing(RuntimeError):
    """There is no Chromium on this machine."""


@contextmanager
def launched() -> Iterator[Browser]:
    """Start the system's Chromium, or the one that `playwright install chromium` brings."""
    with sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, NAMES)), None) or playwright.chromium.executable_path
        if not Path(program).is_file():
            raise Missing("no Chromium: install the system's, or run `playwright install chromium`")
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
