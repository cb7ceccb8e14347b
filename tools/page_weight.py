"""Measure what the pages of the built book weigh and how soon they show something.

    python tools/page_weight.py                     all pages: bytes, requests, first paint and load
    python tools/page_weight.py --check             the same, and fail above the limits
    python tools/page_weight.py --bytes game/       only bytes and requests, of the pages whose name contains game/

The pages are served on this machine, compressed as a web host does it, and opened in a Chromium with an empty cache,
the size of a phone, a slow connection (1.6 Mbit/s, 150 ms for each answer) and a processor made four times slower.
The first view is what arrives while nobody scrolls. Needs `make book` and Playwright.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a script's path holds its own folder only

from tools import chromium  # noqa: E402

HTML = ROOT / "_build" / "html"
PHONE = {"width": 390, "height": 844}
LATENCY, RATE, SLOWDOWN = 150, 1_600_000 / 8, 4  # ms for each answer; bytes per second; times the processor's time
# Of the first view, compressed; a page that is made from a notebook may bring figures along.
TEXT_LIMIT, NOTEBOOK_LIMIT = 600_000, 1_200_000
PAINT_LIMIT = 2.5  # seconds until the first text or image
COMPRESSED = {".html", ".css", ".js", ".svg", ".json", ".txt", ".xml"}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files with compressed text over lasting connections."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        body, compressed = packed(path), path.suffix in COMPRESSED
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(len(body)))
        if compressed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64  # a browser opens several connections at once
    daemon_threads = True


@functools.cache
def packed(path: Path) -> bytes:
    """The file as it is sent; packing is not part of what is measured, so each file is packed once."""
    content = path.read_bytes()
    return gzip.compress(content, 6) if path.suffix in COMPRESSED else content


@contextmanager
def served(folder: Path = HTML) -> Iterator[str]:
    """Serve a folder on this machine; gives its address."""
    packed.cache_clear()
    handler = functools.partial(Handler, directory=str(folder))
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@dataclass(frozen=True)
class Weight:
    """What one page costs its first reader."""

    page: str
    size: int  # bytes of the first view as sent, headers included
    requests: int
    paint: float  # seconds until the first text or image is seen
    load: float  # seconds until all of the first view has been loaded
    complaints: tuple[str, ...] = ()  # requests to elsewhere or that failed, errors in the console

    @property
    def limit(self) -> int:
        return NOTEBOOK_LIMIT if (ROOT / f"{self.page}.ipynb").exists() else TEXT_LIMIT

    def faults(self, timed: bool) -> list[str]:
        found = [f"{self.page}: {complaint}" for complaint in self.complaints]
        if self.size > self.limit:
            found.append(f"{self.page}: first view of {self.size:,} bytes, limit {self.limit:,}")
        if timed and self.paint > PAINT_LIMIT:
            found.append(f"{self.page}: first paint after {self.paint:.1f} s, limit {PAINT_LIMIT} s")
        return found


def weigh(browser: Browser, address: str, page: str, *, slow: bool) -> Weight:
    """Open one page with an empty cache; with `slow`, as on a slow phone."""
    context = browser.new_context(viewport=PHONE, device_scale_factor=2)
    tab = context.new_page()
    session = context.new_cdp_session(tab)
    sizes: dict[str, float | None] = {}  # of each request; None while it is under way
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
    tab.on("console", lambda said: complaints.append(f"console: {said.text}") if said.type == "error" else None)
    tab.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    tab.on("request", lambda request: complaints.append(f"outside: {request.url}") if outside(request.url) else None)

    def outside(url: str) -> bool:
        return not url.startswith((address, "data:", "blob:"))

    def begin(event: dict[str, Any]) -> None:
        if event["request"]["url"].startswith("http"):  # not what stands in the page itself
            sizes[event["requestId"]] = None

    def finish(event: dict[str, Any]) -> None:
        if event["requestId"] in sizes:
            sizes[event["requestId"]] = event.get("encodedDataLength", 0)

    session.on("Network.requestWillBeSent", begin)
    session.on("Network.loadingFinished", finish)
    session.on("Network.loadingFailed", finish)
    session.send("Network.enable")
    if slow:
        conditions = {"offline": False, "latency": LATENCY, "downloadThroughput": RATE, "uploadThroughput": RATE}
        session.send("Network.emulateNetworkConditions", conditions)
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    tab.goto(f"{address}/{page}.html", timeout=120_000)
    for _ in range(240):  # until nothing new is asked for half a second
        known = len(sizes)
        tab.wait_for_timeout(500)
        if len(sizes) == known and None not in sizes.values():
            break
    else:
        raise TimeoutError(f"{page}: still loading after two minutes")
    paint, load = tab.evaluate(
        """() => [performance.getEntriesByName("first-contentful-paint")[0].startTime,
            performance.getEntriesByType("navigation")[0].loadEventEnd]"""
    )
    context.close()
    size = round(sum(filter(None, sizes.values())))
    return Weight(page, size, len(sizes), paint / 1000, load / 1000, tuple(complaints))


def pages(folder: Path = HTML) -> list[str]:
    """The names of all pages but the one that only leads to the first."""
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.html")]
    return sorted(name for name in names if name != "index" and not name.startswith("_"))


def table(weights: list[Weight], timed: bool) -> str:
    """The measurements as a table in Markdown."""
    rows = ["| page | KB | requests |" + (" first paint, s | load, s |" if timed else "")]
    rows.append("|---" * (5 if timed else 3) + "|")
    for w in weights:
        times = f" {w.paint:.1f} | {w.load:.1f} |" if timed else ""
        rows.append(f"| {w.page} | {w.size / 1000:,.0f} | {w.requests} |{times}")
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="", help="only pages whose name contains this")
    parser.add_argument("--bytes", action="store_true", help="no times, which is faster")
    parser.add_argument("--check", action="store_true", help="fail where a page is above a limit")
    parser.add_argument("--html", type=Path, default=HTML, help="folder of the built book")
    options = parser.parse_args(arguments)
    if not (options.html / "index.html").is_file():
        print(f"no built book at {options.html}: make book", file=sys.stderr)
        return 1
    names = [name for name in pages(options.html) if options.part in name]
    try:
        with served(options.html) as address, chromium.launched() as browser:
            weights = [weigh(browser, address, name, slow=not options.bytes) for name in names]
    except chromium.Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    print(table(weights, not options.bytes))
    faults = [fault for weight in weights for fault in weight.faults(not options.bytes)]
    if options.check:
        print("\n".join(faults), file=sys.stderr)
    return int(options.check and bool(faults))


if __name__ == "__main__":
    sys.exit(main())
