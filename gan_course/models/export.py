"""Generators for web pages: one file of JavaScript with weights of 8 bits and the layers as plain data.

A page that was opened from a file may fetch nothing, but it may load a script. So the file is a script, which hands an
object to whoever provides ``GanGenerators.weights``, by default the generators of this book's pages (``lab/`` in the
repository, which also show how to compute with it). The object says what the generator takes and gives, and lists its
layers in the order in which they are computed: no code depends on the family.

**Rounding.** Each output of a linear or convolutional layer has a scale of its own, the largest of its weights divided
by 127, and its weights are the nearest whole multiples of that, from -127 to 127 (symmetric: no offset). Batch norm in
evaluation multiplies each channel by a number and adds another one: the first goes into the scale, the second into the
bias, and nothing of it is left to compute. Of a batch norm that depends on the class, both numbers are kept for each
class. Instance norm depends on the image and stays a layer. Scales and biases are float32. See Jacob et al. (2018),
"Quantization and training of neural networks for efficient integer-arithmetic-only inference", sections 2.1 and 3.2;
here only the weights are rounded, and the arithmetic is that of ordinary numbers.

**Text.** Both arrays stand in base64: a weight then takes 1.33 bytes, and about 1.0 where the server compresses. (A
letter for each value, rare ones of two bytes, was tried: it compresses to the same, within a tenth.)
"""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gan_course.layers import ConditionalBatchNorm2d, ResBlockUp, ResidualBlock
from gan_course.models import conditional, cyclegan, dcgan, gan, pix2pix, sngan, text

LARGEST = 127  #: of the whole numbers that weights are rounded to
FORMAT = 1  #: changes when files of before cannot be read any more

Layer = dict[str, Any]


def to_script(model: nn.Module, name: str, *, direction: str = "ab", classes: list[str] | None = None) -> str:
    """Return the text of a script that hands the averaged generator of ``model`` to ``GanGenerators.weights``.

    Args:
        model: of a family whose generator makes a sample in one pass from a latent, with a class or a caption beside
            it, or from an image.
        name: what pages call it: letters, digits, ``_`` and ``-``.
        direction: which generator of a CycleGAN, ``"ab"`` or ``"ba"``; of others there is one.
        classes: names of the classes, or words of the captions, in the order of their numbers.

    Raises:
        ValueError: the family cannot be exported, or an argument is not as above, or a weight is not finite.
    """
    if not name or not all(c.isascii() and (c.isalnum() or c in "_-") for c in name):
        raise ValueError(f"name must have letters, digits, _ and - only, got {name!r}")
    number = model.settings.get("num_classes") if hasattr(model, "settings") else None
    if classes is not None and number is None:
        raise ValueError(f"classes must be left out for a model without classes or words, got {len(classes)} names")
    if classes is not None and len(classes) != number:
        raise ValueError(f"classes must be the {number} names that the model has numbers for, got {len(classes)}")
    network = copy.deepcopy(_network(model, direction)).cpu()
    if broken := [key for key, value in network.state_dict().items() if not value.isfinite().all()]:
        raise ValueError(f"model must have finite weights, got infinities or NaN in {', '.join(broken)}")
    layers = _folded(_layers(network))
    weights, floats = _packed(layers)
    about = {
        "format": FORMAT,
        "name": name,
        "family": model.family,
        "settings": {key: value for key, value in model.settings.items() if not key.startswith(("lr", "beta"))},
        "input": _input(model, classes),
        "shape": list(model.shape[-3:]),
        "parameters": sum(p.numel() for p in network.parameters()),
        "layers": layers,
        "floats": b64encode(floats.astype("<f4").tobytes()).decode(),
        "weights": b64encode(weights.tobytes()).decode(),
    }
    return f'GanGenerators.weights("{name}", {json.dumps(about, separators=(",", ":"))});\n'


@torch.no_grad()
def rounded(model: nn.Module, direction: str = "ab") -> nn.Module:
    """Return a copy of a model whose averaged generator has the weights that its script would have, as float32: to
    measure what the rounding costs. Arguments and errors as of :func:`to_script`."""
    _network(model, direction)  # refuses what cannot be exported
    model = copy.deepcopy(model)
    for module, dim in _rounded_modules(_network(model, direction)):
        weights, scale = _whole(module.weight.detach().cpu().double().transpose(0, dim))
        weights = weights * scale.double().view(-1, *[1] * (weights.ndim - 1))
        module.weight.copy_(weights.transpose(0, dim))
    return model


# --- what a generator takes -----------------------------------------------------------------------
def _network(model: nn.Module, direction: str) -> nn.Module:
    """The averaged generator, if it is one that can be exported."""
    network = getattr(getattr(model, "ema", None), "network", None)
    if isinstance(network, nn.ModuleDict) and direction in network:
        return network[direction]
    if isinstance(network, nn.ModuleDict):
        raise ValueError(f"direction must be one of {', '.join(network)}, got {direction!r}")
    if direction != "ab":
        raise ValueError(f"direction must be 'ab' where there is one generator, got {direction!r}")
    known = (
        gan.Generator, dcgan.Generator, sngan.CNNGenerator, sngan.ResNetGenerator, conditional.Generator,
        text.TextGenerator, pix2pix.UNet,
    )  # fmt: skip
    if not isinstance(network, known):
        what = f"family {model.family!r}" if hasattr(model, "family") else f"a {type(model).__name__}"
        raise ValueError(
            f"{what} cannot be exported: expected a model whose averaged generator makes a sample in one pass from a"
            " latent, a class, a caption or an image"
        )
    return network


def _input(model: nn.Module, classes: list[str] | None) -> dict[str, Any]:
    """What has to be given: a latent with, for some, a class or the words of a caption; or an image."""
    if hasattr(model, "translate"):
        return {"kind": "image", "shape": list(model.shape[1:])}
    given = {"kind": "latent", "latent": model.latent_dim}
    if getattr(model, "reads_captions", False):
        given |= {"words": model.num_classes, "longest": model.max_words}
    elif "num_classes" in model.settings:
        given["classes"] = model.num_classes
    return given | ({"names": list(classes)} if classes is not None else {})


# --- layers ---------------------------------------------------------------------------------------
def _layers(module: nn.Module) -> list[Layer]:
    """The layers of a generator, or of a part of one, in the order in which they are computed.

    The operations, each on the result ``x`` of the one before:

    - ``linear``, ``conv``, ``transposed``: ``scale * (weight . x) + shift`` for each output; for images of ``in``
      channels ``kernel`` x ``kernel``, with ``stride``, ``padding`` (by zeros, or by reflection) and for ``transposed``
      ``extra`` rows and columns at the end.
    - ``affine``: ``scale * x + shift`` for each channel, from the row of the class where there are ``classes``.
    - ``instance``: each channel less its mean, over its standard deviation (``eps`` is added to the variance).
    - ``relu`` with the ``slope`` below 0, ``tanh``, ``up`` (each pixel becomes 2x2), ``reshape``.
    - ``keep`` x ``as`` a name, ``recall`` it in place of x, ``add`` it to x, ``concat``: its channels after those of x.
      Under the name ``input`` is what came.
    - ``class``: the class, one-hot, after x. ``caption``: the mean of the words' rows of ``weight``, in place of x.
    """
    match module:
        case nn.Sequential():
            return [layer for part in module for layer in _layers(part)]
        case nn.Linear():
            return [{"op": "linear", "in": module.in_features, "out": module.out_features, **_parameters(module)}]
        case nn.Conv2d():
            return [{"op": "conv", **_window(module), "reflect": module.padding_mode == "reflect"}]
        case nn.ConvTranspose2d():
            return [{"op": "transposed", **_window(module), "extra": module.output_padding[0]}]
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            gain = 1.0 if module.weight is None else module.weight
            return [_affine(module, gain, 0.0 if module.bias is None else module.bias)]
        case ConditionalBatchNorm2d():
            layer = _affine(module.norm, module.gain.weight, module.bias.weight)
            return [{**layer, "classes": module.gain.num_embeddings}]
        case nn.InstanceNorm2d(affine=False, track_running_stats=False):
            return [{"op": "instance", "eps": module.eps}]
        case nn.ReLU() | nn.LeakyReLU():
            return [_relu(getattr(module, "negative_slope", 0.0))]
        case nn.Tanh():
            return [{"op": "tanh"}]
        case nn.Upsample(mode="nearest", scale_factor=2):
            return [{"op": "up"}]
        case nn.Unflatten():
            return [{"op": "reshape", "shape": list(module.unflattened_size)}]
        case nn.Identity():
            return []
        case gan.Generator():
            return _layers(module.layers) + [{"op": "reshape", "shape": list(module.shape)}]
        case dcgan.Generator():
            return _layers(nn.Sequential(module.project, module.ups, module.to_image))
        case sngan.CNNGenerator() | sngan.ResNetGenerator() | cyclegan.ResNetGenerator():
            return _layers(module.layers)
        case conditional.Generator():
            return _conditional(module)
        case text.TextGenerator():
            words = module.encoder.embed
            caption = {"op": "caption", "words": words.num_embeddings, "out": words.embedding_dim}
            return [
                {**caption, **_parameters(words)}, *_layers(module.encoder.out), {"op": "keep", "as": "caption"},
                {"op": "recall", "of": "input"}, {"op": "concat", "with": "caption"}, *_layers(module.images),
            ]  # fmt: skip
        case pix2pix.UNet():
            return _unet(module)
        case ResidualBlock():
            return [{"op": "keep", "as": "block"}, *_layers(module.layers), {"op": "add", "with": "block"}]
        case ResBlockUp():
            first, second = ([*_layers(norm), _relu()] for norm in (module.norm1, module.norm2))
            return [
                {"op": "keep", "as": "block"},
                *first, {"op": "up"}, *_layers(module.conv1), *second, *_layers(module.conv2),
                {"op": "keep", "as": "branch"}, {"op": "recall", "of": "block"},
                *_layers(module.shortcut), {"op": "up"}, {"op": "add", "with": "branch"},
            ]  # fmt: skip
    raise ValueError(f"a layer of type {type(module).__name__} cannot be exported: {module}")


def _conditional(network: conditional.Generator) -> list[Layer]:
    layers = [{"op": "class", "classes": network.num_classes}] if hasattr(network, "num_classes") else []
    layers += [*_layers(network.first), {"op": "reshape", "shape": list(network.grid)}]
    layers += [*_layers(network.norms[0]), _relu()]
    for up, norm in zip(network.ups, network.norms[1:], strict=True):
        layers += [*_layers(up), *_layers(norm), _relu()]
    return [*layers, *_layers(network.last), {"op": "tanh"}]


def _unet(network: pix2pix.UNet) -> list[Layer]:
    layers, *names = [], *(f"down{i}" for i in range(len(network.downs) - 1))
    for i, down in enumerate(network.downs):
        layers += [*_layers(down), *([{"op": "keep", "as": names[i]}] if i < len(names) else [_relu()])]
    for i, up in enumerate(network.ups):
        # What came up has passed a ReLU, which a second one does not change; what was kept has passed a leaky one.
        layers += [{"op": "concat", "with": names[-i]}, _relu()] if i else []
        layers += _layers(up)
    return layers


def _window(module: nn.Conv2d | nn.ConvTranspose2d) -> Layer:
    sizes = (module.kernel_size, module.stride, module.padding, module.output_padding)
    if module.groups > 1 or any(len(set(v)) > 1 for v in sizes):
        raise ValueError(f"a convolution with groups, or other along rows than along columns: {module}")
    if set(module.dilation) != {1} or module.padding_mode not in ("zeros", "reflect"):
        raise ValueError(f"a convolution that is dilated, or padded by other than zeros or reflection: {module}")
    return {
        "in": module.in_channels, "out": module.out_channels, "kernel": module.kernel_size[0],
        "stride": module.stride[0], "padding": module.padding[0], **_parameters(module),
    }  # fmt: skip


def _parameters(module: nn.Module) -> Layer:
    """Weights ``(outputs, ...)``, and the gains and offsets of the outputs, in float64."""
    weight = module.weight.detach().double()
    weight = weight.transpose(0, 1) if isinstance(module, nn.ConvTranspose2d) else weight
    bias, n = getattr(module, "bias", None), len(weight)
    return {
        "weight": weight,
        "scale": torch.ones(n, dtype=torch.float64),
        "shift": torch.zeros(n, dtype=torch.float64) if bias is None else bias.detach().double(),
    }


def _affine(norm: nn.BatchNorm1d | nn.BatchNorm2d, gain: Tensor | float, bias: Tensor | float) -> Layer:
    """What batch norm with running statistics does to each channel, in the order of its rows where it has classes."""
    scale = torch.as_tensor(gain).detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    shift = torch.as_tensor(bias).detach().double() - norm.running_mean.double() * scale
    return {"op": "affine", "channels": norm.num_features, "scale": scale, "shift": shift}


def _relu(slope: float = 0.0) -> Layer:
    return {"op": "relu", "slope": slope}


def _folded(layers: list[Layer]) -> list[Layer]:
    """Put each affine layer without classes into the linear or convolutional one whose outputs it follows."""
    folded: list[Layer] = []
    for layer in layers:
        before = next((old for old in reversed(folded) if old["op"] != "reshape"), {})
        if layer["op"] == "affine" and "classes" not in layer and before.get("op") in ("linear", "conv", "transposed"):
            places = len(before["scale"]) // layer["channels"]  # of a channel, in what a linear layer made
            scale, shift = (layer[key].repeat_interleave(places) for key in ("scale", "shift"))
            before["scale"], before["shift"] = before["scale"] * scale, before["shift"] * scale + shift
        else:
            folded.append(layer)
    return folded


# --- numbers --------------------------------------------------------------------------------------
def _whole(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round weights ``(outputs, ...)``, float64: return whole numbers, and what each output's were divided by."""
    scale = (weight.abs().flatten(1).amax(1) / LARGEST).float()
    scale = scale.where(scale > 0, 1)  # of an output without weights, or with some that float32 does not tell from 0
    return (weight / scale.double().view(-1, *[1] * (weight.ndim - 1))).round(), scale


def _packed(layers: list[Layer]) -> tuple[np.ndarray, np.ndarray]:
    """Replace the numbers in ``layers`` by the places at which they begin, and return all of them: whole and float."""
    whole, floats = [np.zeros(0, np.int8)], [np.zeros(0, np.float32)]
    for layer in layers:
        if "weight" in layer:
            rounded, scale = _whole(layer["weight"])
            layer["scale"] = layer["scale"] * scale.double()
            layer["weight"] = _append(whole, rounded.numpy().astype(np.int8))
        for key in ("scale", "shift"):
            if key in layer:
                layer[key] = _append(floats, layer[key].float().numpy())
    return np.concatenate(whole), np.concatenate(floats)


def _append(parts: list[np.ndarray], values: np.ndarray) -> int:
    begin = sum(len(part) for part in parts)
    parts.append(values.ravel())
    return begin


def _rounded_modules(network: nn.Module) -> Iterator[tuple[nn.Module, int]]:
    """The modules whose weights are rounded, with the dimension of their outputs."""
    classes = {part for m in network.modules() if isinstance(m, ConditionalBatchNorm2d) for part in m.children()}
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding) and module not in classes:
            yield module, 0
        elif isinstance(module, nn.ConvTranspose2d):
            yield module, 1
