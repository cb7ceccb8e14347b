"""StarGAN's networks, the step of the paper, labels of several words, domains in turn, and what is measured of them."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import l1_loss, one_hot

from gan_course import data
from gan_course.data import DataSet, glyphs, translation
from gan_course.models.stargan import Critic, Generator, StarGAN, words
from tools.experiments import stargan as experiment

GROUPS = (3, 2)


def small(size: int = 16, **settings) -> StarGAN:
    return StarGAN((3, size, size), **{"num_classes": 5, "groups": GROUPS, "width": 4, "blocks": 1, **settings})


def images(batches: int = 1, batch: int = 4, size: int = 16) -> torch.Tensor:
    return torch.rand(batches, batch, 3, size, size) * 2 - 1


def labels(*shape: int) -> torch.Tensor:
    return torch.stack([torch.randint(3, shape), 3 + torch.randint(2, shape)], -1)


def weights(module: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


# --- networks -------------------------------------------------------------------------------------


def test_the_networks_have_the_size_of_the_paper():
    """Tables 4 and 5, for 128x128 and five attributes, counted by hand: 53.2 million in both together."""
    model = StarGAN()
    g, d = (sum(p.numel() for p in net.parameters()) for net in (model.generator, model.critic))
    kernels = 49 * 8 * 64 + 16 * (64 * 128 + 128 * 256) * 2 + 12 * 9 * 256 * 256 + 49 * 64 * 3
    assert g == kernels + 2 * (64 + 128 + 256 + 12 * 256 + 128 + 64)  # the norms have gains and biases
    widths = [3, 64, 128, 256, 512, 1024, 2048]
    trunk = sum(16 * a * b + b for a, b in zip(widths[:-1], widths[1:], strict=True))
    assert d == trunk + 9 * 2048 + 4 * 2048 * 5
    assert round((g + d) / 1e6, 1) == 53.2


def test_the_planes_are_the_label():
    asked = torch.tensor([[0, 4], [2, 3]])
    assert torch.equal(words(asked, 5), (one_hot(asked[:, 0], 5) + one_hot(asked[:, 1], 5)).bool())
    net, seen = Generator(3, 5, 4, 1, 0, "batch"), []
    net.layers[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x = images()[0, :2]
    assert net(x, asked).shape == x.shape
    assert torch.equal(seen[0][:, :3], x)
    assert torch.equal(seen[0][:, 3:], words(asked, 5).float()[:, :, None, None].expand(-1, -1, 16, 16))


def test_instance_norm_removes_a_label_that_was_padded_by_reflection():
    """What the generator's docstring says: then no label makes a difference, and with zeros it does."""
    x, ways = images(size=32)[0, :2].double(), [torch.tensor([[i, j], [i, j]]) for i in range(3) for j in (3, 4)]
    for padding, norm, blind in (("zeros", "instance", 0), ("reflect", "batch", 0), ("reflect", "instance", 1)):
        torch.manual_seed(0)
        net = Generator(3, 5, 4, 1, 1, norm).double()
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d) and layer.padding[0]:
                layer.padding_mode = padding
                layer._reversed_padding_repeated_twice = [p for p in reversed(layer.padding) for _ in range(2)]
        net.eval()
        gaps = [(net(x, way) - net(x, ways[0])).abs().max().item() for way in ways[1:]]
        assert (max(gaps) < 1e-12) if blind else (min(gaps) > 1e-4), (padding, norm, gaps)


def test_the_critic_ends_at_a_side_of_two():
    for size, halvings in ((128, 6), (32, 4), (16, 3), (12, 2), (8, 2)):
        net = Critic((3, size, size), 5, 2)
        assert sum(isinstance(layer, nn.Conv2d) for layer in net.trunk) == halvings
        scores, logits = net(images(size=size)[0])
        assert scores.shape == (4,) and logits.shape == (4, 5)
    assert Critic((1, 16, 32), 7, 2)(torch.zeros(3, 1, 16, 32))[1].shape == (3, 7)


# --- the step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_step_is_that_of_the_paper(norm):
    """A step with two critic updates equals the updates written out by hand, with the same points between."""
    settings = {"classify": 2.0, "reconstruct": 7.0, "penalty": 3.0, "n_critic": 2, "lr_g": 1e-3, "lr_d": 2e-3}
    model = small(norm=norm, **settings).double()
    g, d = copy.deepcopy(model.generator), copy.deepcopy(model.critic)
    adam_g = torch.optim.Adam(g.parameters(), 1e-3, (0.5, 0.999))
    adam_d = torch.optim.Adam(d.parameters(), 2e-3, (0.5, 0.999))
    batches, sources = images(2).double(), labels(2, 4)
    torch.manual_seed(3)
    logs = model.step(batches, sources)

    def classes(logits, asked):
        return -sum(part.log_softmax(1)[torch.arange(4), place] for part, place in (
            (logits[:, :3], asked[:, 0]), (logits[:, 3:], asked[:, 1] - 3))).mean()  # fmt: skip

    torch.manual_seed(3)
    for x, source in zip(batches, sources, strict=True):
        target = source[[3, 0, 1, 2]]
        fake = g(x, target).detach()
        epsilon = torch.rand(4, dtype=torch.float64)[:, None, None, None]
        between = (epsilon * x + (1 - epsilon) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(d(between)[0].sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        real_scores, real_logits = d(x)
        distance, class_real = real_scores.mean() - d(fake)[0].mean(), classes(real_logits, source)
        loss_d = -distance + 3 * penalty + 2 * class_real
        adam_d.zero_grad()
        loss_d.backward()
        adam_d.step()
    fake = g(x, target)
    scores, logits = d(fake)
    class_fake, cycle = classes(logits, target), l1_loss(g(fake, source), x)
    loss_g = -scores.mean() + 2 * class_fake + 7 * cycle
    adam_g.zero_grad()
    loss_g.backward()
    adam_g.step()

    wanted = {"loss_d": loss_d, "loss_g": loss_g, "wasserstein": distance, "penalty": penalty}
    wanted |= {"class_real": class_real, "class_fake": class_fake, "cycle": cycle}
    assert set(logs) == set(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(logs[name], value.detach(), msg=name)
    torch.testing.assert_close(weights(model.generator), weights(g), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(weights(model.critic), weights(d), rtol=1e-6, atol=1e-8)
    assert all(p.grad is None for p in model.parameters())


def test_translate_goes_where_it_is_told():
    model = small(norm="batch", ema_decay=0.5)
    model.step(images(5), labels(5, 4))
    x, there, here = images()[0], labels(4), torch.tensor([[1, 4]] * 4)
    out = model.translate(x, there)
    assert torch.equal(out, model.ema.network(x, there)) and not out.requires_grad
    assert not torch.equal(out, model.generator(x, there))
    torch.testing.assert_close(model.translate(x[:1], here[:1]), model.translate(x, here)[:1])
    assert not torch.equal(model.translate(x, here), model.translate(x, torch.tensor([[1, 3]] * 4)))
    assert torch.equal(model.translate(x), model.translate(x, torch.tensor([[0, 3], [1, 4], [2, 3], [0, 4]])))
    one = small(groups=None)
    assert one.settings["groups"] == (5,)
    assert torch.equal(one.translate(x, torch.arange(4)), one.translate(x, torch.arange(4)[:, None]))


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": (3, 18, 18)}, "at least 8 that are multiples of 4 for 2 downs"),
        ({"shape": (2, 3, 16, 16)}, r"shape must be \(C, H, W\)"),
        ({"groups": (3, 3)}, r"groups must be positive and add up to 5 classes, got \(3, 3\)"),
        ({"groups": (5, 0)}, "groups must be positive"),
        ({"norm": "layer"}, "unknown norm 'layer'; known: instance, batch"),
        ({"reconstruct": -1.0}, r"reconstruct must lie in \[0, inf\), got -1.0"),
        ({"n_critic": 0}, "n_critic must be positive, got 0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        StarGAN(**{"shape": (3, 16, 16), "num_classes": 5, "groups": GROUPS, "width": 2, **settings})


def test_words_of_another_group_are_refused():
    model, x = small(), images()[0]
    with pytest.raises(ValueError, match="labels must hold words from 3 to 4 in place 1, got values from 2 to 4"):
        model.translate(x, torch.tensor([[0, 3], [1, 4], [2, 3], [0, 2]]))
    with pytest.raises(ValueError, match=r"labels must have shape \(4, 2\), got \(4,\)"):
        model.translate(x, torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match="labels must lie in 0 to 4"):
        model.translate(x, torch.tensor([[0, 5]] * 4))


# --- data -----------------------------------------------------------------------------------------


def test_glyphs_are_labelled_by_factors():
    some = glyphs.make(60, 3, 16, fixed={"family": glyphs.COMPLETE_FAMILIES})
    labelled = some.labelled("weight", "ink")
    assert labelled.classes == ["regular", "bold", "black", "red", "green", "blue", "purple", "brown"]
    assert torch.equal(labelled.x, some.x) and labelled.name == "glyphs by weight, ink"
    for row, weight, ink in zip(labelled.labels.tolist(), some.factors["weight"], some.factors["ink"], strict=True):
        assert [labelled.classes[word] for word in row] == [some.values["weight"][weight], some.values["ink"][ink]]
    for wrong in (["x"], [], ["ink", "font"]):
        with pytest.raises(ValueError, match="unknown discrete factor"):
            some.labelled(*wrong)


def test_domains_in_turn():
    digits = data.load("digits", size=16, channels=3, limit=8)
    several = translation.in_turn(digits, "neon", "negative")
    assert several.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1] and several.classes == ["plain", "neon", "negative"]
    for i, task in enumerate([None, "neon", "negative"] * 2):
        truth = digits.x[i] if task is None else translation.TASKS[task](digits.x[i : i + 1])[0]
        assert torch.equal(several.x[i], truth)
    torch.testing.assert_close(translation.undo(-digits.images(), "negative"), digits.images()[:, :1])
    for wrong, message in (((), "tasks: got none"), (("noen",), "Did you mean 'neon'")):
        with pytest.raises(ValueError, match=message):
            translation.in_turn(digits, *wrong)


# --- what the tables measure ------------------------------------------------------------------------


def test_a_perfect_translator_of_digits_gets_full_marks_and_an_idle_one_does_not():
    plain = data.load("digits", size=16, channels=3, split="test")
    styles = experiment.STYLES
    truth = [plain.images(), *(translation.partners(plain, task).images() for task in styles[1:])]
    cpu = torch.device("cpu")
    best = experiment._directions(lambda x, a, b: truth[b], styles, 16, cpu)
    assert best["reached"] == 1 and best["kept"] == best["real_kept"] > 0.97 and best["agreement"] > 0.999
    idle = experiment._directions(lambda x, a, b: x, styles, 16, cpu)
    assert idle["reached"] == 0
    inverted = experiment._directions(lambda x, a, b: (2 * truth[b].mean(0) - truth[b]).clamp(-1, 1), styles, 16, cpu)
    assert inverted["agreement"] < -0.8 and all(v < 0.2 for k, v in inverted.items() if k.startswith("kept_"))


def test_the_measure_of_characters():
    some = glyphs.make(200, 1, 32, fixed={"family": glyphs.COMPLETE_FAMILIES})
    critic = experiment.judge("glyphs", 32)
    for factor in experiment.FACTORS:
        values = experiment.elsewhere(some, factor)
        assert (values != some.factors[factor]).all() and values.max() < len(some.values[factor])
        changed = some.changed(**{factor: values})
        best = experiment._read(critic, changed.images(), changed, factor, "")
        assert best[f"reached_{factor}"] > 0.98 and min(v for k, v in best.items() if k.startswith("kept")) > 0.97
        idle = experiment._read(critic, some.images(), changed, factor, "")
        assert idle[f"reached_{factor}"] < 0.02 and min(v for k, v in idle.items() if k.startswith("kept")) > 0.97


def test_an_image_is_never_seen_in_two_domains():
    x = torch.arange(12, dtype=torch.uint8).view(12, 1, 1, 1).expand(-1, 3, 8, 8).contiguous()
    several = translation.in_turn(DataSet(x, name="shades"), "negative")
    assert several.x[:, 0, 0, 0].tolist() == [i if i % 2 == 0 else 255 - i for i in range(12)]
