"""The Inception network of the literature, through torch-fidelity.

Published FIDs, KIDs and Inception Scores are computed with one certain network: Inception v3 as TensorFlow released it
on 5 December 2015, with its own way of resizing. torch-fidelity has a faithful copy of it.

Even with this network, a number is comparable to a published one only if everything else is the same too: the numbers
of samples and of reference images (50,000 is usual; with fewer, FID comes out higher), the reference set, and its
preprocessing, above all resizing and JPEG compression.
"""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_course.data import downloads
from gan_course.errors import DataError
from gan_course.metrics.inputs import check_images

WEIGHTS = downloads.Download(
    mirrors=[
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
    ],
    size=95_628_359,
    known_hash="sha256:6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    instead="use another extractor: metrics.judge(...).features or metrics.pixels (--features judge or pixels)",
)


class Inception:
    """Inception v3 as an extractor of features and class probabilities; :func:`load` makes one.

    Images are rounded to the 256 values of a file, grey ones repeated to RGB, and resized to 299x299 by the network
    itself (torch-fidelity's, with the outputs ``2048`` and ``logits_unbiased``) as TensorFlow 1 did it.
    """

    def __init__(self, network: nn.Module):
        self.network = network

    def features(self, images: Tensor, chunk: int = 50) -> Tensor:
        """Features (n, 2048) after the last pooling, float32, of images (n, 1 or 3, H, W) in [-1, 1].

        Raises:
            ValueError: wrong shape or dtype, no image, NaN, or values outside [-1, 1].
        """
        return self._in_chunks("2048", images, chunk)

    def probabilities(self, images: Tensor, chunk: int = 50) -> Tensor:
        """Class probabilities (n, 1008), float32, for the Inception Score.

        As in the code of Salimans et al. (2016), the bias of the last layer is left out. Arguments and errors as for
        :meth:`features`.
        """
        return self._in_chunks("logits_unbiased", images, chunk).softmax(1)

    @torch.no_grad()
    def _in_chunks(self, output: str, images: Tensor, chunk: int) -> Tensor:
        check_images(images)
        device, outputs = next(self.network.parameters()).device, []
        for part in images.split(chunk):
            pixels = part.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(device, torch.uint8)
            found = self.network.convert_features_tuple_to_dict(self.network(pixels.expand(-1, 3, -1, -1)))
            outputs.append(found[output])
        return torch.cat(outputs)


def load(device: str | torch.device = "cpu", weights: str | Path | None = None) -> Inception:
    """The Inception network on ``device``, loaded once per process, device and file.

    Args:
        weights: a state dict for torch-fidelity's ``FeatureExtractorInceptionV3``; by default the published one
            (96 MB), found or downloaded by :func:`gan_course.data.downloads.fetch`.

    Raises:
        DataError: torch-fidelity is not installed; or the weights are damaged, or missing and cannot be downloaded:
            says where to put the file by hand, and what would do instead.
    """
    try:
        import torch_fidelity.feature_extractor_inceptionv3  # noqa: F401  (before 96 MB are fetched in vain)
    except ImportError as error:
        cure = f"pip install torch-fidelity, or {WEIGHTS.instead}"
        raise DataError(f"torch-fidelity cannot be imported ({error}); {cure}") from error
    return _load(str(torch.device(device)), str(downloads.fetch("inception", WEIGHTS) if weights is None else weights))


@functools.lru_cache(maxsize=2)
def _load(device: str, weights: str) -> Inception:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    try:
        # torch-fidelity unpickles whatever is in the file; this first look refuses code.
        torch.load(weights, map_location="cpu", weights_only=True)
        network = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], weights)
    except Exception as error:  # torch.load fails in many ways, and a wrong state dict with a RuntimeError
        reason = " ".join(str(error).split())[:200]
        cure = f"replace it, or {WEIGHTS.instead}"
        raise DataError(f"{weights} cannot be read as Inception weights ({reason}); {cure}") from error
    return Inception(network.to(device))
