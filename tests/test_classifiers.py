"""tools/experiments/classifiers.py against independent truths, and against what its chapter writes out."""

import contextlib
import io
import math

import nbformat
import pytest
import torch
from IPython.core.inputtransformer2 import TransformerManager
from torch import nn
from torch.nn.functional import cross_entropy, kl_div

from gan_course import data
from tools.execute import ROOT
from tools.experiments import classifiers as made

CHAPTER = ROOT / "book" / "judging" / "gans_and_classifiers.ipynb"


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    return made.both_splits("digits", 8, torch.device("cpu"))


@pytest.fixture(scope="module")
def net(digits) -> nn.Module:
    return made.trained(*digits[:2], 200, 0)


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the chapter's cells with functions define."""
    names = {"__name__": "__main__", "display": print}
    patch = pytest.MonkeyPatch()
    patch.setenv("GAN_COURSE_PROFILE", "quick")
    kept = ("kcsetup", "kcnetwork", "kclearn", "kcece", "kcfloor", "kcshift", "kcturn", "kcpgd", "kcadvgancode",
            "kcadvgantrain", "kcproject", "kcvatcode")  # fmt: skip
    names |= {"net": nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), "clean": 0.9}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in nbformat.read(CHAPTER, as_version=4).cells:
            if cell["id"] in kept:
                source = TransformerManager().transform_cell(cell.source)
                # Functions only: what a cell shows of them is for readers.
                source = source.split("\n\n\nlogits = ")[0].split("\n\n\n# By hand")[0].split("\n\n\nmoved = ")[0]
                source = source.split("\n\n\nusual_floor, ")[0].split("\n\n\nrival = ")[0]
                source = source.split("\n\n\nhurt = ")[0].split("\n\n\ntorch.manual_seed(0)\nworst")[0]
                exec(compile(source, cell["id"], "exec"), names)
    patch.undo()
    return names


def test_the_chapter_computes_what_the_tables_do(chapter, digits, net):
    x, y, test_x, test_y = digits
    for kind in ("cnn", "mlp", "linear"):
        here, there = chapter["trained"](x, y, 20, 3, kind), made.trained(x, y, 20, 3, kind)
        assert torch.equal(here(test_x), there(test_x))
    assert chapter["accuracy"](net, test_x, test_y) == made.accuracy(net, test_x, test_y)
    logits = net(test_x).detach()
    assert chapter["calibration_error"](logits, test_y) == made.calibration_error(logits, test_y)
    assert chapter["floor_of"](logits, 20) == made.calibration_floor(logits, 20)
    seeded = [torch.Generator().manual_seed(4) for _ in range(4)]
    for change in ("shifted", "turned"):
        assert torch.equal(chapter[change](x, seeded[0]), vars(made)[change](x, seeded[1]))
    few, few_y = test_x[:30], test_y[:30]
    assert torch.equal(chapter["fgsm"](net, few, few_y, 0.2), made.fgsm(net, few, few_y, 0.2))
    here = chapter["pgd"](net, few, few_y, 0.2, 5, seeded[2], 2)
    assert torch.equal(here, made.pgd(net, few, few_y, 0.2, 5, seeded[3], 2))
    for weight in (0.1, 0.0):
        pair = [one["advgan"](net, x, y, 0.3, 10, 5, weight=weight, width=16) for one in (chapter, vars(made))]
        assert torch.equal(pair[0](few), pair[1](few))
    decode = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))).requires_grad_(False)
    starts = torch.randn(2, 30, 3)
    for here, there in zip(
        chapter["projected"](decode, few, starts, 5), made.projected(decode, few, starts, 5), strict=True
    ):
        assert torch.equal(here, there)
    values = []
    for one in (chapter, vars(made)):
        torch.manual_seed(6)
        values.append(one["divergence"](net, few, 0.5))
    assert torch.equal(*values)


def test_a_shift_moves_each_image_and_black_comes_in():
    x = torch.full((200, 1, 5, 5), -1.0)
    x[:, :, 2, 2] = 1.0
    moved = made.shifted(x, torch.Generator().manual_seed(0))
    places = moved.flatten(1).argmax(1)
    assert set(places.tolist()) == {5 * r + c for r in (1, 2, 3) for c in (1, 2, 3)}
    assert (moved.flatten(1).sum(1) == -23).all()  # one white pixel in each
    corner = torch.ones(50, 1, 4, 4)
    assert set(made.shifted(corner, torch.Generator().manual_seed(1)).unique().tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("eps", [0.1, 0.5])
def test_attacks_stay_in_their_box(net, digits, eps):
    _, _, x, y = digits
    x, y = x[:40], y[:40]
    draw = torch.Generator().manual_seed(0)
    attacks = [
        made.random_signs(x, eps, draw),
        made.fgsm(net, x, y, eps),
        made.pgd(net, x, y, eps, 5, draw, 2),
        made.passed(made.Perturber((1, 8, 8), eps, 8), x),
    ]
    for changed in attacks:
        assert (changed - x).abs().max() <= eps + 1e-6 and changed.abs().max() <= 1


def test_attacks_on_a_linear_classifier_reach_the_exact_worst():
    torch.manual_seed(0)
    w = torch.randn(9)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(9, 2, bias=False))
    with torch.no_grad():
        linear[1].weight.copy_(torch.stack([w, -w]))
    x, y = 0.2 * torch.rand(20, 1, 3, 3), torch.zeros(20, dtype=torch.long)
    clean = made.margin(linear(x), y)
    worst = clean - 2 * 0.3 * w.abs().sum()  # twice eps times the 1-norm: both logits move
    for changed in (made.fgsm(linear, x, y, 0.3), made.pgd(linear, x, y, 0.3, 20, torch.Generator().manual_seed(0))):
        assert torch.allclose(made.margin(linear(changed), y), worst, atol=1e-5)


def test_pgd_is_no_weaker_than_one_step(net, digits):
    _, _, x, y = digits
    many = made.pgd(net, x, y, 0.3, 10, torch.Generator().manual_seed(0), 2)
    losses = [cross_entropy(net(at), y, reduction="none") for at in (x, made.fgsm(net, x, y, 0.3), many)]
    assert (losses[2] > losses[0]).double().mean() > 0.95
    assert losses[2].mean() > losses[1].mean()


def test_margin_says_what_is_misread():
    logits = torch.randn(200, 10)
    y = torch.randint(10, (200,))
    assert torch.equal(made.margin(logits, y) > 0, logits.argmax(1) == y)


def test_calibration_error_of_a_calibrated_reader_and_of_a_boaster():
    torch.manual_seed(0)
    logits = 2 * torch.randn(100_000, 5).double()
    y = torch.multinomial(logits.softmax(1), 1)[:, 0]  # labels drawn with the stated probabilities
    assert made.calibration_error(logits, y) < 0.01
    sure = torch.zeros(1_000, 5).double()
    sure[:, 0] = 50.0
    y = torch.zeros(1_000, dtype=torch.long)
    y[:300] = 1
    assert made.calibration_error(sure, y) == pytest.approx(0.3, abs=1e-6)


def test_projection_finds_what_the_generator_can_draw():
    torch.manual_seed(0)
    decode = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))).requires_grad_(False)
    x = decode(torch.randn(10, 4))
    near, errors = made.projected(decode, x, torch.randn(3, 10, 4), 400)
    assert errors.max() < 1e-3 and torch.allclose((near - x).square().flatten(1).mean(1), errors)


def test_the_worst_direction_of_vat_is_that_of_the_largest_eigenvalue():
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).double()
    x, radius = torch.randn(1, 1, 2, 2).double(), 1e-3
    p = linear(x).softmax(1)[0]
    w = linear[1].weight
    fisher = w.T @ (torch.diag(p) - p[:, None] * p) @ w  # the KL divergence is half its quadratic form
    largest = torch.linalg.eigvalsh(fisher)[-1].item()
    found = max(made.divergence(linear, x, radius, power=1e-3).item() for _ in range(20))  # one power step each
    assert found == pytest.approx(largest * radius**2 / 2, rel=0.1)
    way = torch.randn_like(x)
    random = kl_div(linear(x + radius * way / way.norm()).log_softmax(1), p[None], reduction="batchmean").item()
    assert random <= found * 1.01


def test_labels_are_drawn_for_each_class():
    y = torch.arange(100) % 10
    chosen = made.few_labels(y, 3, 0)
    assert torch.bincount(y[chosen]).tolist() == [3] * 10 and len(set(chosen.tolist())) == 30


def test_samples_get_the_grey_levels_of_the_real_digits():
    x = data.load("digits").images(50)
    assert torch.allclose(made.on_levels(x), x, atol=1e-6)
    levels = made.on_levels(torch.linspace(-1, 1, 1_000)).unique()
    assert len(levels) == 17


def test_area_under_the_curve():
    assert made.auc(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0])) == 1
    assert made.auc(torch.tensor([1.0, 1.0]), torch.tensor([1.0])) == 0.5


def test_a_turn_leaves_the_middle_and_moves_a_dot_by_the_stated_angle():
    x = torch.full((300, 1, 41, 41), -1.0)
    x[:, :, 20, 40] = 1.0  # 20 pixels to the right of the centre
    moved = made.turned(x, torch.Generator().manual_seed(0)) + 1
    rows = (moved.sum((1, 3)) * torch.arange(41)).sum(1) / moved.sum((1, 2, 3))
    away = rows[moved.sum((1, 2, 3)) > 0.5] - 20
    assert away.abs().max() <= 20 * math.sin(math.pi / 18) + 0.6 and away.min() < -2 and away.max() > 2
    assert torch.equal(made.turned(torch.full((5, 1, 8, 8), -1.0), torch.Generator()), torch.full((5, 1, 8, 8), -1.0))


def test_pgd_by_the_margin_keeps_a_misread_point_where_the_cross_entropy_does_not():
    y = torch.zeros(1, dtype=torch.long)
    # Ten classes: at -1 a narrow misread with low loss, elsewhere correct with high loss.
    misread = torch.tensor([0.40, 0.41] + [0.19 / 8] * 8).log()
    correct = torch.tensor([0.22] + [0.78 / 9] * 9).log()

    class Reader(nn.Module):
        def forward(self, x):
            share = x.flatten(1).mean(1, keepdim=True).clamp(-1, 1) / 2 + 0.5
            return (1 - share) * misread + share * correct

    x = torch.zeros(1, 1, 2, 2)
    by_loss, by_margin = (
        made.pgd(Reader(), x, y, 1.0, 10, torch.Generator().manual_seed(0), 2, by) for by in ("cross-entropy", "margin")
    )
    assert made.accuracy(Reader(), by_loss, y) == 1 and made.accuracy(Reader(), by_margin, y) == 0


def test_a_calibrated_reader_stays_below_its_own_floor():
    torch.manual_seed(0)
    logits = 2 * torch.randn(400, 5).double()
    usual, high = made.calibration_floor(logits, 100)
    found = [made.calibration_error(logits, torch.multinomial(logits.softmax(1), 1)[:, 0]) for _ in range(100)]
    assert 0 < usual < high
    assert 0.8 <= sum(one < high for one in found) / 100 <= 1


def test_misread_samples_nearby_stay_in_the_box(digits, net):
    _, _, x, y = digits
    torch.manual_seed(0)
    decode = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))).requires_grad_(False)
    near = made.near_samples(decode, net, x[:20], y[:20], 0.3, torch.randn(2, 20, 3), 5)
    assert (near - x[:20]).abs().max() <= 0.3 + 1e-6 and near.abs().max() <= 1


def test_few_images_are_all_that_the_gan_sees(monkeypatch):
    seen = []

    def spy(x, y, seed, steps, batch, model):
        seen.append(x)
        return made.ConditionalGAN((1, 8, 8), 10, width=8)

    monkeypatch.setattr(made, "conditional", spy)
    made.few(0, torch.device("cpu"), data_name="digits", size=8, per_class=5, steps=1, batch=8, learn_steps=1)
    assert len(seen[0]) == 50 and len(seen[1]) == 1_000  # the images, and 20 shifted copies of each
    all_x, all_y = made.both_splits("digits", 8, torch.device("cpu"))[:2]
    assert torch.equal(seen[0], all_x[made.few_labels(all_y, 5, 0)])


def test_many_samples_are_more_than_the_real_images():
    entry = made.ENTRIES["classifiers_synthetic_digits"]
    assert entry.settings["many"] >= 5 * len(data.load("digits"))


def test_members_and_others_are_disjoint():
    settings = made.ENTRIES["classifiers_privacy"].settings
    largest = max(size for size, _ in settings["arms"])
    assert largest + settings["others"] <= len(data.load("digits"))  # the ends of one permutation
    passes = [steps / size for size, steps in settings["arms"]]
    assert passes[1] == pytest.approx(passes[2], rel=0.01)


def test_shares_of_grey_levels():
    x = made.on_levels(torch.tensor([-1.0, -1.0, 1.0, 0.0]).view(1, 1, 2, 2))
    shares = made.level_shares(x)
    assert shares.shape == (1, 17) and shares[0, 0] == 0.5 and shares[0, 16] == 0.25 and shares[0, 8] == 0.25


def test_without_a_use_for_them_unlabelled_images_change_nothing(digits):
    x, y, test_x, _ = digits
    nets = [
        made.semi_supervised(x[:30], y[:30], free, 3, 0, way=way)
        for way in ("supervised", "gan", "vat")
        for free in (x, x.flip(0))
    ]
    same = [torch.equal(one(test_x), other(test_x)) for one, other in zip(nets[::2], nets[1::2], strict=True)]
    assert same == [True, False, False]
