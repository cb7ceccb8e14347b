"""The page "Your own model in the loop": its code runs as it stands, is interrupted, and goes on with the same bits."""

import re

import pytest
import torch

from gan_course import data
from gan_course.train import checkpoint, fit
from gan_course.train.runs import CHECKPOINT


@pytest.fixture
def page(root) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (root / "book" / "appendix" / "own_model.md").read_text(), re.S)


def test_the_page_runs_as_it_stands(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict = {}
    for block in page:
        exec(block.replace("steps=1_000", "steps=60").replace("snapshot_every=200", "snapshot_every=30"), names)
    assert names["history"]["loss_d"] and list(names["history"].snapshots) == [0, 30, 60]
    said = capsys.readouterr().out
    assert "new run of Theirs in runs/theirs: digits" in said and "'frechet'" in said


def test_a_model_from_elsewhere_resumes_with_the_same_bits(page, tmp_path):
    def theirs():
        names: dict = {}
        torch.manual_seed(3)
        for block in page[:2]:
            exec(block, names)
        return names["Theirs"](names["netG"], names["netD"])

    digits, options = data.load("digits", size=16, limit=100), {"batch": 16, "progress": False}
    whole, first, second = theirs(), theirs(), theirs()
    fit(whole, digits, 20, **options)
    fit(first, digits, 9, out=tmp_path, **options)
    fit(second, digits, 20, out=tmp_path, **options)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    loaded = theirs()
    checkpoint.restore(loaded, checkpoint.load(tmp_path / CHECKPOINT))
    assert torch.equal(loaded.netG[0].weight, whole.netG[0].weight)
