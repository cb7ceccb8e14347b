"""Shared by all tests: one thread, no display, and no data but what is embedded unless a test asks for it.

Tests marked ``data(NAME)`` need the folder or file NAME of GAN_COURSE_DATA; no other test sees that variable.
"""

import http.server
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # for `import tools.…`
os.environ["TQDM_DISABLE"] = "1"
# The files that take longest go first, so that the processes that share them end at about the same time. Names are as
# in tests/test_*.py; one that is missing here costs seconds, no more. `--durations=0` tells how long each test took.
LONGEST = (
    "book_html", "grading", "assignments", "colab", "cyclegan", "autoregressive", "cli", "parallel", "vae",
    "conditional", "dcgan", "features", "runs", "slides", "wgan", "data", "ring", "benchmarks", "toy", "glyphs",
    "families", "gan", "execute", "metrics", "package",
)  # fmt: skip
matplotlib.use("Agg")
torch.set_num_threads(1)


def pytest_configure() -> None:
    from tools import standin

    if standin.AVAILABLE:  # before any backward pass: at the first one, autograd counts the kinds of devices
        standin.install()


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests draw or download does not go to the user's cache; the processes of pytest-xdist share one."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of all processes
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_COURSE_CACHE", str(folder / "cache"))
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, driven by Playwright; the test is skipped where one of them is missing."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    from tools import chromium

    try:
        with chromium.launched() as browser:
            yield browser
    except chromium.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(autouse=True)
def data_at_hand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = [mark.args[0] for mark in request.node.iter_markers("data")]
    for name in needed:
        if not Path(os.environ.get("GAN_COURSE_DATA") or "nowhere", name).exists():
            pytest.skip(f"no {name} in GAN_COURSE_DATA")
    if not needed:
        monkeypatch.delenv("GAN_COURSE_DATA", raising=False)


class Mirror(http.server.BaseHTTPRequestHandler):
    """Serves ``server.files``: bytes, or a function that answers the request itself."""

    def do_GET(self):
        self.server.requests.append(self.path)
        body = self.server.files.get(self.path)
        if callable(body):
            body(self)
        elif body is None:
            self.send_error(404)
        else:
            self.begin(body)
            self.wfile.write(body)

    def begin(self, body: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def mirror() -> Iterator[http.server.ThreadingHTTPServer]:
    """A server on this machine at ``url``, of ``files`` by path; ``requests`` are noted, ``stop`` ends slow answers."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.files, server.requests, server.stop = {}, [], threading.Event()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.stop.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem.removeprefix("test_"), len(rank)))
    if torch.cuda.is_available():
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="no CUDA device here"))
