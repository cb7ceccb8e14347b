"""Networks against the papers' tables and the sizes of the official programs, counted without their code."""

import pytest
import torch
from torch import nn

from gan_course.errors import CheckpointError
from gan_course.layers import ResBlockDown, ResBlockUp, ResidualBlock
from gan_course.models import sngan
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
    # The authors' program has 4,276,739 and 1,053,824 + 1; idle are there the biases before the second norm of a block.
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
