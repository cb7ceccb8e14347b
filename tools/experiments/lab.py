"""The lab's presets, trained by its engine in JavaScript: do they keep what they promise, over ten seeds?

The first ones have the settings of tables that the package made with torch, so that both can be compared.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import torch

from tools.experiments import Entry

ROOT = Path(__file__).resolve().parent.parent.parent
SEEDS = ROOT / "lab" / "tools" / "seeds.js"
SPECIFICATION = json.loads((ROOT / "gan_course" / "notebook" / "browser" / "settings.json").read_text())
PRESETS = json.loads((ROOT / "gan_course" / "notebook" / "browser" / "presets.json").read_text(encoding="utf-8"))
STEPS = 1500  # after which a preset without an end is measured
MORE = {"fast": 30}  # seeds of a preset whose ten do not decide: a border case


def points(seed: int, device: torch.device, **settings: Any) -> dict[str, Any]:
    """Train with the lab's engine; count the modes that 2,500 samples reach."""
    node = shutil.which("node")
    if node is None:
        raise RuntimeError("node must be installed: it runs the lab's engine")
    command = [node, "--no-warnings", str(SEEDS), json.dumps(settings), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the lab's engine failed: {done.stderr.strip()}")
    row = json.loads(done.stdout)
    del row["seed"]
    return row


def completed(settings: dict[str, Any]) -> dict[str, Any]:
    """Return all settings of a GAN in the plane: written into a table, they make it stale when a default changes."""
    usual = {name: s["default"] for name, s in SPECIFICATION.items() if "points" in s["games"] and name != "seed"}
    return usual | settings


ENTRIES = {
    about["table"]: Entry(points, completed({"steps": STEPS} | about["settings"]), range(MORE.get(name, 10)))
    for name, about in PRESETS.items()
    if "table" in about
}
