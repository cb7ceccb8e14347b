"""An exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from gan_course import checks


class EMA(nn.Module):
    r"""A copy of ``network`` whose parameters follow it slowly.

    After each training step :meth:`update` sets

    .. math:: \bar\theta \leftarrow \beta\,\bar\theta + (1 - \beta)\,\theta

    for parameters and copies buffers (batch-norm statistics are averages already). GANs circle around a solution
    rather than settle on it; the average lies nearer to its centre (Yazici et al., 2019). It starts at the
    initial weights, whose share after ``t`` steps is :math:`\beta^t`. Most papers that the families follow sample from
    the last weights instead: that is a decay of 0 (every family's ``ema_decay``).

    With ``ramp`` the decay of update ``t`` (from 0) is :math:`\min(\beta, (1 + t) / (10 + t))`: early in training the
    average looks back over a part of the run only, and the initial weights are soon forgotten.

    Args:
        network: the network to follow; it is deep-copied and not changed.
        decay: :math:`\beta` in [0, 1); 0 keeps a plain copy.
        ramp: whether the decay begins low. The number of updates is then a buffer, ``updates``.
    """

    def __init__(self, network: nn.Module, decay: float = 0.99, ramp: bool = False):
        super().__init__()
        self.decay = checks.between(0, 1)("decay", decay)
        # A tensor: a captured CUDA graph has to count on.
        self.register_buffer("updates", torch.tensor(0, device=next(network.parameters()).device) if ramp else None)
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    def train(self, mode: bool = True) -> EMA:
        """The average is never trained: it stays in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average one step towards ``network``."""
        averaged = [p.data for p in self.network.parameters()]
        followed = [p.data for p in network.parameters()]
        if self.updates is None:
            torch._foreach_lerp_(averaged, followed, 1 - self.decay)
        else:
            decay = ((1 + self.updates) / (10 + self.updates)).clamp(max=self.decay)
            torch._foreach_lerp_(averaged, followed, [(1 - decay).to(p) for p in averaged])
            self.updates += 1
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Tensor:
        return self.network(*args, **kwargs)
