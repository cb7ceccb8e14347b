"""Networks against the papers' tables and the sizes of the official programs, counted without their code."""

import pytest
import torch
from torch import nn

from gan_course import losses, metrics
from gan_course.errors import CheckpointError
from gan_course.layers import MinibatchStd, ResBlockDown, ResBlockUp, ResidualBlock
from gan_course.models import cyclegan, dcgan, sngan
from gan_course.models.pix2pix import PatchGAN, UNet
from gan_course.models.sngan import SNGAN
from gan_course.train import checkpoint


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def layers(network: nn.Module) -> list[str]:
    """The layers in the words of the papers' tables; "+" where a bias is added, unless a norm subtracts it again."""
    found = []
    for module in network.children():
        bias = "+" if getattr(module, "bias", None) is not None else ""
        match module:
            case nn.Linear():
                found.append(f"dense {module.out_features}{bias}")
            case nn.Conv2d() | nn.ConvTranspose2d():
                kind = "deconv" if isinstance(module, nn.ConvTranspose2d) else "conv"
                kernel, stride = module.kernel_size[0], module.stride[0]
                found.append(f"{kernel}x{kernel} {kind}/{stride} {module.out_channels}{bias}")
            case nn.BatchNorm2d() | nn.InstanceNorm2d():
                found.append("norm")
            case nn.LeakyReLU():
                found.append(f"lReLU {module.negative_slope}")
            case ResBlockUp() | ResBlockDown() | ResidualBlock():
                sizes = {m.out_channels for m in module.modules() if isinstance(m, nn.Conv2d)}
                found.append(f"{type(module).__name__} {sizes.pop()}")
                assert not sizes
            case nn.Sequential() | nn.ModuleList():
                found += layers(module)
            case nn.Identity() | nn.Unflatten() | nn.Flatten():
                pass
            case _:
                found.append(type(module).__name__)
    return found


# --- SNGAN: tables 3 and 4 --------------------------------------------------------------------------


def test_the_cnn_of_table_3():
    g = sngan.CNNGenerator((3, 32, 32), 128, 64)
    ups = [x for c in (256, 128, 64) for x in (f"4x4 deconv/2 {c}", "norm", "ReLU")]
    assert layers(g) == ["dense 8192+", "norm", "ReLU", *ups, "3x3 conv/1 3+", "Tanh"]
    d = sngan.CNNDiscriminator((3, 32, 32), 64)
    threes, fours = (64, 128, 256, 512), (64, 128, 256)
    pairs = [[f"3x3 conv/1 {c}+", f"4x4 conv/2 {c}+"] for c in fours] + [[f"3x3 conv/1 {threes[-1]}+"]]
    assert [x for x in layers(d) if x != "lReLU 0.1"] == [*sum(pairs, []), "dense 1"]
    assert layers(d).count("lReLU 0.1") == 7


def test_the_resnet_of_table_4():
    g, d = sngan.ResNetGenerator((3, 32, 32), 128, 128), sngan.ResNetDiscriminator((3, 32, 32), 128)
    assert layers(g) == ["dense 4096+", *["ResBlockUp 256"] * 3, "norm", "ReLU", "3x3 conv/1 3+", "Tanh"]
    assert layers(d) == [*["ResBlockDown 128"] * 4, "ReLU", "dense 1"]
    # The authors' program has 4,276,739 and 1,053,824; idle are there the biases before the second norm of a block.
    assert count(g) == 4_276_739 - 3 * 256
    assert count(d) == 1_053_824


@pytest.mark.parametrize("networks", sngan.NETWORKS)
def test_the_dense_layer_has_a_bias_of_which_batch_norm_leaves_what_differs_by_place(networks):
    generator = sngan.NETWORKS[networks][0]((1, 16, 16), 3, 4).double()
    z = torch.randn(50, 3, dtype=torch.float64)
    (bias,) = (m.bias for m in generator.modules() if isinstance(m, nn.Linear))
    before = generator(z)
    with torch.no_grad():
        bias += torch.randn(bias.numel() // 16).repeat_interleave(16)  # one number per channel
    torch.testing.assert_close(generator(z), before)
    with torch.no_grad():
        bias += torch.randn_like(bias)
    assert (generator(z) - before).abs().max() > 0.1


def test_a_checkpoint_without_that_bias_is_refused_by_name():
    """Those of earlier versions: the key is named, nothing is made up."""
    model = SNGAN((1, 8, 8), latent_dim=3, width=2)
    state = checkpoint.capture(model)
    for key in ("generator.layers.0.bias", "ema.network.layers.0.bias"):
        del state["model"][key]
    with pytest.raises(
        CheckpointError, match="does not fit the model of family 'sngan' .*Missing.*\"generator.layers.0.bias\""
    ) as error:
        checkpoint.restore(model, state)
    assert "\n" not in str(error.value)


# --- DCGAN: the maps of figure 1, kernels of 4x4 for its 5x5 ----------------------------------------


def test_the_dcgan_with_the_maps_of_figure_1():
    g, d = dcgan.Generator((3, 64, 64), 100, 128), dcgan.Discriminator((3, 64, 64), 128)
    ups = [x for c in (512, 256, 128) for x in (f"4x4 deconv/2 {c}", "norm", "ReLU")]
    assert layers(g) == ["dense 16384", "norm", "ReLU", *ups, "4x4 deconv/2 3+", "Tanh"]
    downs = [x for c in (256, 512, 1024) for x in (f"4x4 conv/2 {c}", "norm", "lReLU 0.2")]
    assert layers(d) == ["4x4 conv/2 128+", "lReLU 0.2", *downs, "dense 1+"]


def test_dcgan_has_the_size_of_pytorchs_example():
    """With its 64 channels, and biases in the outermost layers: 3 in the generator, 64 and 1 in the discriminator."""
    assert count(dcgan.Generator((3, 64, 64), 100, 64)) == 3_576_704 + 3
    assert count(dcgan.Discriminator((3, 64, 64), 64)) == 2_765_568 + 64 + 1


# --- pix2pix and CycleGAN: their appendices ---------------------------------------------------------


def test_the_unet_of_the_appendix():
    net = UNet((3, 256, 256), 64, "batch", 0.5)
    down = [["4x4 conv/2 64+", "lReLU 0.2"]]
    down += [[f"4x4 conv/2 {c}", "norm", "lReLU 0.2"] for c in (128, 256, 512, 512, 512, 512)]
    assert [layers(block) for block in net.downs] == [*down, ["4x4 conv/2 512+", "lReLU 0.2"]]
    up = [[f"4x4 deconv/2 {c}", "norm", "ReLU"] for c in (512, 512, 512, 512, 256, 128, 64)]
    assert [layers(block) for block in net.ups] == [*up, ["4x4 deconv/2 3+", "Tanh"]]
    assert net.noisy == 3 and net.dropout == 0.5
    # The authors' PyTorch program has no bias in the encoder's outermost and innermost layers, their Lua program has.
    assert count(net) == 54_413_955 + 64 + 512 == 54_414_531


def test_the_patchgan_of_the_appendix():
    net = PatchGAN(6, 64, 70, "batch")
    middle = [x for c, s in ((128, 2), (256, 2), (512, 1)) for x in (f"4x4 conv/{s} {c}", "norm", "lReLU 0.2")]
    assert layers(net) == ["4x4 conv/2 64+", "lReLU 0.2", *middle, "4x4 conv/1 1+"]
    assert count(net) == 2_768_705


def test_the_resnet_of_cyclegan():
    net = cyclegan.ResNetGenerator(3, 64, 2, 9, "instance")
    downs = [x for c in (128, 256) for x in (f"3x3 conv/2 {c}", "norm", "ReLU")]
    ups = [x for c in (128, 64) for x in (f"3x3 deconv/2 {c}", "norm", "ReLU")]
    blocks = ["ResidualBlock 256"] * 9
    assert layers(net) == ["7x7 conv/1 64", "norm", "ReLU", *downs, *blocks, *ups, "7x7 conv/1 3+", "Tanh"]
    idle = 64 + 128 + 256 + 9 * 2 * 256 + 128 + 64  # the authors' program has biases before instance norm
    assert count(net) == 11_378_179 - idle == 11_372_931


# --- conventions that the documentation states ------------------------------------------------------


def test_a_copy_of_the_reference_is_denser_where_balls_hold_their_border():
    x = torch.randn(200, 3)
    assert metrics.density_coverage(x, x, k=5) == (pytest.approx(6 / 5), 1)


def test_r1_has_the_half_of_equation_9():
    slope = torch.tensor([3.0, 4.0])
    assert losses.r1_penalty(lambda x: x @ slope, torch.randn(7, 2)).item() == pytest.approx(25 / 2)


def test_shares_of_modes_count_points_far_from_all():
    """PacGAN's program would leave out the last one: the shares would be equal."""
    points, centers = torch.tensor([[0.0], [1.0], [7.0]]), torch.tensor([[0.0], [1.0]])
    assert metrics.mode_shares(points, centers).tolist() == pytest.approx([1 / 3, 2 / 3])
    assert metrics.modes_covered(points, centers, 0.1) == (2, pytest.approx(2 / 3))


def test_groups_of_minibatch_std_are_consecutive():
    x = torch.tensor([0.0, 2.0, 5.0, 5.0]).view(4, 1)
    torch.testing.assert_close(MinibatchStd(2)(x)[:, 1], torch.tensor([1.0, 1.0, 0.0, 0.0]), atol=1e-3, rtol=0)
