"""Two domains: what a task does to an image, which images come together, what folders hold, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from gan_course import data
from gan_course.data import DataSet, Domains, downloads, glyphs, translation
from gan_course.errors import DataError
from gan_course.metrics import judge


def images(n: int = 6, size: int = 16, seed: int = 0) -> DataSet:
    x = torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return DataSet(x, torch.arange(n) % 3, name="noise", classes=["a", "b", "c"])


def grey(x: torch.Tensor) -> torch.Tensor:
    return x[:, None].expand(-1, 3, -1, -1).contiguous()


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 4),
    st.sampled_from([4, 8, 16, 32]),
    st.integers(0, 99),
    st.sampled_from(sorted(translation.TASKS)),
)
def test_partners_are_images_of_the_same_shape_and_each_depends_on_its_own_image(n, size, seed, task):
    source = images(n, size, seed)
    truth = translation.partners(source, task)
    assert truth.x.shape == source.x.shape and truth.x.dtype == torch.uint8
    assert torch.equal(truth.labels, source.labels) and truth.classes == source.classes
    alone = [translation.partners(DataSet(x[None], name="one"), task).x for x in source.x]
    assert torch.equal(truth.x, torch.cat(alone))


@pytest.mark.parametrize(
    ("task", "colours", "side"),
    [
        ("neon", (translation.PAPER, translation.INK), 5),
        ("glow", (translation.INK, translation.PAPER), 5),
        ("copper", (translation.PINE, translation.COPPER), 1),
    ],
)
def test_strokes_are_dilated_and_recoloured(task, colours, side):
    strokes = torch.zeros(2, 32, 32, dtype=torch.uint8)
    strokes[0, 10:20, 15], strokes[1, 4, 4] = 255, 128
    out = translation.TASKS[task](grey(strokes)).numpy()
    for image, stroke in zip(out, strokes.numpy(), strict=True):
        thick = ndimage.grey_dilation(stroke, size=(side, side))  # two pixels to each side at 32x32, or none
        for channel, (paper, ink) in enumerate(zip(*colours, strict=True)):
            expected = paper + (ink - paper) * (thick / 255.0)
            assert np.abs(image[channel] - expected).max() <= 0.5 + 1e-4


def test_edges_are_the_slope_of_sobel():
    x = images(3, 12)
    brightness = np.tensordot([0.299, 0.587, 0.114], x.x.double().numpy(), (0, 1))
    slope = [np.hypot(ndimage.sobel(i, 0, mode="nearest"), ndimage.sobel(i, 1, mode="nearest")) for i in brightness]
    expected = np.clip(255 - np.stack(slope) / 4, 0, 255)
    drawing = translation.edges(x.x)
    assert (drawing[:, 0] == drawing[:, 1]).all() and (drawing[:, 0] == drawing[:, 2]).all()
    assert np.abs(drawing[:, 0].numpy() - expected).max() <= 0.5 + 1e-3
    flat = torch.full((1, 3, 8, 8), 77, dtype=torch.uint8)
    assert (translation.edges(flat) == 255).all()


def test_rotation_turns_left():
    x = images(2, 5).x
    expected = np.stack([[np.rot90(channel) for channel in image] for image in x.numpy()])
    assert np.array_equal(translation.rotate(x).numpy(), expected)


def test_what_can_be_undone_is_read_by_the_judge_of_the_originals():
    critic = judge("digits", 16)
    for task in ("glow", "copper", "neon"):
        d = data.load_domains(f"{task}-digits", size=16, split="test", paired=True)
        undone = translation.undo(d.b.images(), task)
        assert undone.shape == (500, 1, 16, 16) and undone.abs().max() <= 1
        assert (critic.logits(undone).argmax(1) == d.b.labels).float().mean() >= 0.97
    raw = d.b.images().mean(1, keepdim=True)
    assert (critic.logits(raw).argmax(1) == d.b.labels).float().mean() <= 0.5  # there is something to undo
    turned = data.load_domains("rotate-digits", size=16, paired=True, limit=9)
    torch.testing.assert_close(translation.undo(turned.b.images(), "rotate"), turned.a.images()[:, :1])
    with pytest.raises(ValueError, match="undone 'edges'; known: neon, glow, copper, negative, rotate"):
        translation.undo(d.b.images(), "edges")


@pytest.mark.parametrize("name", ["neon-digits", "from-edges-digits", "rotate-digits"])
def test_unpaired_domains_share_no_image_and_pairs_are_partners(name):
    base = data.load("digits", size=16, channels=3, limit=101)
    task = name.removeprefix("from-").split("-")[0]
    d = data.load_domains(name, size=16, limit=101)
    original, changed = (d.b, d.a) if name.startswith("from-") else (d.a, d.b)
    assert not d.paired and len(original) == 51 and len(changed) == 50 and d.shape == (2, 3, 16, 16)
    assert torch.equal(original.x, base.x[0::2]) and torch.equal(original.labels, base.labels[0::2])
    rest = DataSet(base.x[1::2], base.labels[1::2], name="rest", classes=base.classes)
    assert torch.equal(changed.x, translation.partners(rest, task).x) and torch.equal(changed.labels, rest.labels)
    shown = {bytes(x.numpy()) for x in translation.partners(original, task).x}
    assert not shown & {bytes(x.numpy()) for x in changed.x}

    pairs = data.load_domains(name, size=16, limit=101, paired=True)
    original, changed = (pairs.b, pairs.a) if name.startswith("from-") else (pairs.a, pairs.b)
    assert pairs.paired and len(pairs) == 101 and pairs.name == name
    assert torch.equal(original.x, base.x) and torch.equal(changed.x, translation.partners(base, task).x)
    items, _ = pairs.take(0, 0, 5)
    truth = {bytes(a.numpy()): b for a, b in zip(pairs.a.images(), pairs.b.images(), strict=True)}
    assert all(torch.equal(truth[bytes(a.numpy())], b) for a, b in items)


@pytest.mark.parametrize("task", translation.GLYPH_TASKS)
def test_glyphs_change_by_one_factor(task):
    before, after = translation.GLYPH_TASKS[task]
    ((factor, old),), ((_, new),) = before.items(), after.items()
    pairs = data.load_domains(f"{task}-glyphs", size=16, paired=True, limit=12)
    values = pairs.a.values[factor]
    for name, value in pairs.a.factors.items():
        if name != factor:
            assert torch.equal(value, pairs.b.factors[name])
    assert (pairs.a.factors[factor] == values.index(old)).all() and (pairs.b.factors[factor] == values.index(new)).all()
    assert (pairs.a.x != pairs.b.x).flatten(1).any(1).all()

    d = data.load_domains(f"{task}-glyphs", size=16, limit=12)
    assert len(d.a) == len(d.b) == 6 and not torch.equal(translation.partners(d.a, task).x, d.b.x)
    assert torch.equal(translation.partners(pairs.a, task).x, pairs.b.x)


def test_a_limit_beyond_the_split_draws_no_more_glyphs(monkeypatch):
    monkeypatch.setitem(glyphs.SPLIT_SIZES, "test", 20)
    assert len(data.load_domains("red-glyphs", size=8, split="test", paired=True, limit=50)) == 20


def test_splits_and_a_folder(tmp_path):
    train, test = (data.load_domains("red-glyphs", size=16, split=s, limit=8) for s in ("train", "test"))
    assert not torch.equal(train.a.x, test.a.x)
    for i, x in enumerate(images(4, 8).x):
        Image.fromarray(x.permute(1, 2, 0).numpy()).save(tmp_path / f"{i}.png")
    d = data.load_domains(f"edges-{tmp_path}", size=8)
    assert len(d.a) == len(d.b) == 2 and d.a.labels is None
    assert torch.equal(d.a.x, images(4, 8).x[0::2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "digits"}, "name must be task-base or from-task-base.*got 'digits'"),
        ({"name": "neon-"}, "name must be task-base"),
        ({"name": "neo-digits"}, "unknown task 'neo'; known: neon.*Did you mean 'neon'"),
        ({"name": "neon-digit"}, "unknown data set 'digit'.*Did you mean 'digits'"),
        ({"name": "italic-digits"}, "task 'italic' is for glyphs only, got 'digits'"),
        ({"name": "facade"}, "or one of facades, horse2zebra; or the path of a folder; got 'facade'"),
        ({"name": "horse2zebra", "paired": True}, "paired: got True, but in 'horse2zebra' no image has a partner"),
        ({"name": "from-horse2zebra", "paired": True}, "no image has a partner; expected False.*cyclegan"),
        ({"name": "facades", "split": "val"}, "unknown split 'val'"),
        ({"name": "facades", "size": 0}, "size: got 0"),
        ({"name": "neon-digits", "split": "tset"}, "unknown split 'tset'"),
        ({"name": "italic-glyphs", "split": "tset"}, "unknown split 'tset'.*Did you mean 'test'"),
        ({"name": "neon-digits", "limit": 1}, "'neon-digits' must have at least 2 images to be unpaired, got 1"),
        ({"name": "bold-glyphs", "limit": 1}, "'bold-glyphs' must have at least 2 images to be unpaired, got 1"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.load_domains(**arguments)


# --- folders --------------------------------------------------------------------------------------


def save(file: Path, *shades: int, side: int = 6) -> None:
    """Write grey squares side by side, without loss."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.repeat(np.array(shades, np.uint8), side)[None].repeat(side, 0)).save(file)


@pytest.fixture
def pairs(tmp_path) -> Path:
    """Eleven pairs to train on, number i of which has the shades i and 200 + i, and three to test on."""
    for split, n in (("train", 11), ("val", 3)):
        for i in range(1, n + 1):
            save(tmp_path / "pairs" / split / f"{i}.png", i, 200 + i)
    return tmp_path / "pairs"


@pytest.fixture
def apart(tmp_path) -> Path:
    for part, n, shade in (("trainA", 5, 0), ("trainB", 4, 100), ("testA", 2, 200), ("testB", 3, 220)):
        for i in range(n):
            save(tmp_path / "apart" / part / f"{i}.png", shade + i)
    return tmp_path / "apart"


def shades(images: DataSet) -> list[int]:
    assert images.shape[0] == 3 and all((x == x.flatten()[0]).all() for x in images.x)
    return images.x[:, 0, 0, 0].tolist()


def test_a_folder_of_pairs(pairs):
    d = data.load_domains(pairs, paired=True)
    assert d.paired and d.shape == (2, 3, 6, 6) and d.name == str(pairs) and d.a.labels is None
    assert shades(d.a) == list(range(1, 12)) and shades(d.b) == list(range(201, 212))  # 2.png before 10.png
    back = data.load_domains(f"from-{pairs}", paired=True, size=4, limit=3)
    assert shades(back.a) == [201, 202, 203] and shades(back.b) == [1, 2, 3] and back.shape == (2, 3, 4, 4)
    apart = data.load_domains(pairs)
    assert not apart.paired and shades(apart.a) == [1, 3, 5, 7, 9, 11] and shades(apart.b) == [202, 204, 206, 208, 210]
    assert shades(data.load_domains(pairs, split="test", paired=True).a) == [1, 2, 3]  # val, for there is no test
    save(pairs / "test" / "a.png", 77, 88)
    assert shades(data.load_domains(pairs, split="test", paired=True).a) == [77]
    flat = data.load_domains(pairs / "train", paired=True)
    assert shades(flat.a) == list(range(1, 12))


def test_a_folder_of_two_domains(apart, monkeypatch):
    d = data.load_domains(apart)
    assert not d.paired and shades(d.a) == [0, 1, 2, 3, 4] and shades(d.b) == [100, 101, 102, 103]
    back = data.load_domains(f"from-{apart}", split="test", limit=2)
    assert shades(back.a) == [220, 221] and shades(back.b) == [200, 201]
    with pytest.raises(ValueError, match="paired: got True, but in '.*apart' no image has a partner"):
        data.load_domains(apart, paired=True)
    monkeypatch.chdir(apart.parent)
    assert len(data.load_domains("apart")) == len(data.load_domains("from-./apart")) == 5


def test_pairs_in_two_folders_go_by_their_names(tmp_path):
    for split, n in (("train", 11), ("Val", 3)):
        for i in range(1, n + 1):
            save(tmp_path / split / "A" / f"{i}.png", i)
            save(tmp_path / split / "b" / f"{i}.bmp", 200 + i)
    d = data.load_domains(tmp_path, paired=True)
    assert d.paired and shades(d.a) == list(range(1, 12)) and shades(d.b) == list(range(201, 212))
    back = data.load_domains(f"from-{tmp_path}", split="test", paired=True)
    assert shades(back.a) == [201, 202, 203] and shades(back.b) == [1, 2, 3]
    assert translation.has_pairs(tmp_path)
    apart = data.load_domains(tmp_path, limit=4)
    assert shades(apart.a) == [1, 3] and shades(apart.b) == [202, 204]
    for i, name in enumerate(("x", "x.c")):  # x.c.png comes before x.png, but x.c.bmp after x.bmp
        save(tmp_path / "dots" / "a" / f"{name}.png", 50 + i)
        save(tmp_path / "dots" / "b" / f"{name}.bmp", 60 + i)
    dots = data.load_domains(tmp_path / "dots", paired=True)
    assert shades(dots.a) == [51, 50] and shades(dots.b) == [61, 60]
    save(tmp_path / "train" / "A" / "12.png", 12)
    with pytest.raises(DataError, match="A/12.png has no partner of the same name in b/"):
        data.load_domains(tmp_path, paired=True)
    save(tmp_path / "train" / "b" / "12.png", 12)
    save(tmp_path / "train" / "b" / "12.bmp", 12)
    with pytest.raises(DataError, match="two files of one side have the same name"):
        data.load_domains(tmp_path, paired=True)


def test_paths_are_absolute_and_colours_wide(apart, pairs, monkeypatch):
    monkeypatch.chdir(apart.parent)
    for name in ("pairs", "./pairs", "pairs/"):
        assert data.load_domains(name, paired=True).name == str(pairs)
        assert data.load_domains(f"from-{name}").name == f"from-{pairs}"
        assert data.load_domains(f"neon-{name}/train", size=6).name == f"neon-{pairs}/train"
        assert data.load(f"{name}/train").name == f"{pairs}/train"
    assert data.load_domains("neon-digits", limit=4, size=8).name == "neon-digits"


def test_images_to_translate_need_no_partners(apart, pairs, tmp_path):
    source = lambda name, **kwargs: shades(translation.load_source(name, size=6, **kwargs))  # noqa: E731
    assert source(pairs) == [1, 2, 3] and source(f"from-{pairs}") == [201, 202, 203]
    assert source(pairs, limit=2) == [1, 2]
    assert source(apart) == [200, 201] and source(f"from-{apart}") == [220, 221, 222]
    for i in (3, 20, 100):
        save(tmp_path / "only" / "photos" / f"{i}.png", i, side=8)
        save(tmp_path / "split" / "test" / f"{i}.png", i + 1)
        save(tmp_path / "one" / "testA" / f"{i}.png", i + 2)
        save(tmp_path / "two" / "trainA" / f"{i}.png", i + 3)
        save(tmp_path / "sides" / "val" / "a" / f"{i}.png", i + 4)
        save(tmp_path / "sides" / "val" / "b" / f"{i}.png", i + 5)
    for way in ("", "from-"):
        assert source(f"{way}{tmp_path}/only") == [3, 20, 100] and source(f"{way}{tmp_path}/split") == [4, 21, 101]
        assert source(f"{way}{tmp_path}/one/testA") == [5, 22, 102]
    assert source(tmp_path / "one") == [5, 22, 102] and source(tmp_path / "two") == [6, 23, 103]
    assert source(tmp_path / "sides") == [7, 24, 104] and source(f"from-{tmp_path}/sides") == [8, 25, 105]
    assert len(translation.load_source("neon-digits", size=8, limit=5)) == 5
    wide = tmp_path / "wide"
    save(wide / "1.png", 10, 30)  # twice as wide as high, but alone or beside others: no pair, so its middle is shown
    assert translation.load_source(wide, size=6).x[0, 0, 0].tolist() == [10] * 3 + [30] * 3
    assert translation.direction(str(wide), str(pairs)) == translation.direction(str(wide), f"from-{pairs}") == "ab"
    save(wide / "2.png", 50)
    assert translation.load_source(wide, size=6).x[:, 0, 0, 0].tolist() == [10, 50]
    save(wide / "2.png", 50, 60)
    assert source(wide) == [10, 50] and source(f"from-{wide}") == [30, 60]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no images"):
        source(tmp_path / "empty")
    with pytest.raises(ValueError, match="limit: got 0"):
        source(tmp_path / "only", limit=0)


def test_which_way_a_translator_is_asked_to_go(apart, pairs, tmp_path):
    save(tmp_path / "only" / "1.png", 1)
    (tmp_path / "one" / "testA").mkdir(parents=True)
    for here in ("neon-digits", "facades", str(apart), str(pairs), str(tmp_path / "one")):
        back = f"from-{here}"
        assert translation.direction(here, here) == translation.direction(back, back) == "ab"
        assert translation.direction(here, back) == translation.direction(back, here) == "ba"
    for trained_on in ("neon-digits", "from-neon-digits"):  # forward is whatever was learned
        assert translation.direction(f"{tmp_path}/only", trained_on) == "ab"
        assert translation.direction(f"from-{tmp_path}/only", trained_on) == "ba"


def test_which_names_are_domains_and_which_have_pairs(pairs, apart):
    for name in ("neon-digits", "from-edges-digits", "facades", "from-facades", "horse2zebra", apart, f"from-{pairs}"):
        assert translation.is_task(name)
    for name in ("digits", "cifar10", "cifar10-jpeg", "stl10", "stacked-digits", pairs, "red", "neon-"):
        assert not translation.is_task(name)
    assert all(map(translation.has_pairs, ("neon-digits", "facades", "from-facades", pairs, f"from-{pairs}")))
    assert not any(map(translation.has_pairs, ("horse2zebra", "from-horse2zebra", apart, f"from-{apart}")))


def test_what_is_wrong_with_a_folder_is_said(pairs, apart):
    def fails(message: str, name: object, **kwargs) -> None:
        with pytest.raises(DataError, match=message) as caught:
            data.load_domains(name, **kwargs)
        assert "\n" not in str(caught.value)

    fails("none does not exist, expected a folder of pairs, or one with trainA/", pairs / "none")
    fails("1.png is a file", pairs / "train" / "1.png")
    fails("train has no subfolder test/, expected one with the images to be measured by", pairs / "train", split="test")
    (pairs / "empty" / "train").mkdir(parents=True)
    fails("train holds no images, expected files that end in", pairs / "empty")
    save(pairs / "train" / "3.png", 1)
    fails("3.png is 6x6, expected 2 square images side by side", pairs)
    save(pairs / "train" / "3.png", 1, 2, side=8)
    fails("3.png is 16x8 but .*1.png is 12x6; give a size", pairs)
    assert len(data.load_domains(pairs, size=6, paired=True)) == 11
    for file in (apart / "testB").iterdir():
        file.unlink()
    fails("testB holds no images", apart, split="test")
    save(pairs / "one" / "1.png", 1, 2)
    with pytest.raises(ValueError, match="must have at least 2 images to be unpaired, got 1"):
        data.load_domains(pairs / "one")


@pytest.mark.data("facades")
def test_real_facades_have_photos_on_the_left_and_labels_on_the_right():
    train, test = (data.load_domains("facades", split=split, paired=True, size=64) for split in ("train", "test"))
    assert (len(train), len(test)) == (400, 106) and data.load_domains("facades", limit=2).shape == (2, 3, 256, 256)
    for d in (train, test):
        # The maps are mostly blue, the colour of walls, and saturated; photos of houses are neither.
        spread = [(side.x.amax(1).int() - side.x.amin(1).int()).float().mean() for side in (d.a, d.b)]
        assert spread[0] < 40 and spread[1] > 150
        red, _, blue = d.b.x.float().mean((0, 2, 3))
        assert blue > 150 > 80 > red
    assert torch.equal(data.load_domains("from-facades", paired=True, size=64).a.x, train.b.x)
    assert downloads.fault("facades", Path(os.environ["GAN_COURSE_DATA"], "facades")) is None


def test_images_that_a_task_cannot_take_are_refused():
    with pytest.raises(ValueError, match=r"images must be \(3, size, size\), got \(1, 8, 8\)"):
        translation.partners(data.load("digits", limit=3), "neon")
    with pytest.raises(ValueError, match="unknown task 'flip'"):
        translation.partners(images(), "flip")


def test_paired_items_come_together_and_unpaired_ones_by_chance():
    x = images(200, 4)
    index = {bytes(item.numpy()): i for i, item in enumerate(x.images())}

    def read(paired: bool, seed: int = 0) -> torch.Tensor:
        items, labels = Domains(x, x, paired=paired, name="twice").take(seed, 0, 400)
        assert items.shape == (400, 2, 3, 4, 4) and labels is None
        return torch.tensor([[index[bytes(side.numpy())] for side in item] for item in items])

    pairs, apart = read(True), read(False)
    assert torch.equal(pairs[:, 0], pairs[:, 1])
    for rows in (pairs, apart):  # each domain is read once in every epoch
        assert all(sorted(side.tolist()) == list(range(200)) for epoch in rows.split(200) for side in epoch.T)
    assert (apart[:, 0] == apart[:, 1]).sum() < 10  # two by chance
    first, second = (dict(epoch.tolist()) for epoch in apart.split(200))
    assert sum(first[i] == second[i] for i in first) < 8  # one by chance: no company stays together
    assert torch.equal(read(False), apart) and not torch.equal(read(False, 1), apart)


def test_domains_that_do_not_fit_are_refused():
    a = images(4, 8)
    with pytest.raises(ValueError, match=r"b: got items of shape \(3, 9, 9\), expected \(3, 8, 8\) as in a"):
        Domains(a, images(4, 9), paired=False, name="x")
    with pytest.raises(ValueError, match="b: got 5 items, expected 4 as in a, for the sets are paired"):
        Domains(a, images(5, 8), paired=True, name="x")
    apart = Domains(a, images(5, 8), paired=False, name="x")
    assert len(apart) == 5 and len(apart.images()) == 4 and "unpaired" in repr(apart)
    assert torch.equal(apart.to("cpu").images(2), apart.images(2))
