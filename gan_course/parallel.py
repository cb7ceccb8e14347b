"""Several processes that train one model together, each on its share of every batch.

``torchrun`` starts them and tells each its number (*rank*) and how many there are (*world size*). All hold the whole
model, with the same weights and the same random state. Each draws the random numbers of the joined batch and keeps its
own rows (:func:`randn`, :func:`rand`), and gradients are averaged before every optimizer step. So N processes compute
what one computes on the whole batch, up to the order of sums, with two exceptions: batch norm takes the statistics of
each process's share, and dropout over real and fake samples in one pass draws other masks.

Without ``torchrun``, all of this is one process that draws, keeps and averages its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@contextmanager
def processes(device: torch.device | str = "cpu", timeout: float = 1800.0) -> Iterator[torch.device]:
    """Join the processes that ``torchrun`` has started, if it has; yield the device of this one; leave them at the end.

    Args:
        device: what to train on. ``cuda`` becomes the one of this process, ``cuda:LOCAL_RANK``.
        timeout: seconds after which a process that waits for the others gives up.

    Raises:
        ValueError: there are several processes, and they cannot share such a device, or are more than the GPUs here.
    """
    device = torch.device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu or cuda where several processes train together, got {device.type}")
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        if device.index >= torch.cuda.device_count():
            raise ValueError(f"--nproc-per-node must be at most the number of GPUs, {torch.cuda.device_count()}")
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(seconds=timeout))
    try:
        yield device
    finally:
        dist.destroy_process_group()


def own(joined: Tensor) -> Tensor:
    """Return this process's rows of ``joined``, whose first dimension is a multiple of the number of processes."""
    return joined.chunk(world_size())[rank()]


def gather(rows: Tensor) -> Tensor:
    """Return the rows of all processes, in their order; the opposite of :func:`own`. No gradient flows."""
    if world_size() == 1:
        return rows.detach()
    parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(world_size())]
    dist.all_gather(parts, rows.detach().contiguous())
    return torch.cat(parts)


def randn(rows: int, *sizes: int, **made: Any) -> Tensor:
    """Draw standard normal numbers for the joined batch and return this process's ``(rows, *sizes)``; ``made`` may hold
    ``dtype`` and ``device``, as for :func:`torch.randn`."""
    return own(torch.randn(rows * world_size(), *sizes, **made))


def rand(rows: int, *sizes: int, **made: Any) -> Tensor:
    """As :func:`randn`, uniform on [0, 1)."""
    return own(torch.rand(rows * world_size(), *sizes, **made))


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """As torch's, with the masks of the joined batch: no two processes hide the same values."""
    if world_size() == 1 or not training:
        return F.dropout(x, p, training)
    mask = torch.ones(len(x) * world_size(), *x.shape[1:], dtype=x.dtype, device=x.device)
    return x * own(F.dropout(mask, p))


class Dropout(nn.Dropout):
    """:func:`dropout` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p, self.training)


def average(values: Tensor) -> Tensor:
    """Return the mean of ``values`` over the processes."""
    if world_size() > 1:
        values = values.clone()
        dist.all_reduce(values)
        values /= world_size()
    return values


@contextmanager
def averaged_gradients(model: nn.Module) -> Iterator[None]:
    """Give all processes the weights and buffers of the first, and average gradients before each optimizer step.

    Not ``DistributedDataParallel``: a wrapped model has no ``step``, and it is not made for two forward passes before
    one backward pass.
    """
    if world_size() == 1:
        yield
        return
    for tensor in model.state_dict().values():
        dist.broadcast(tensor, 0)
    optimizers = [value for value in vars(model).values() if isinstance(value, torch.optim.Optimizer)]
    hooks = [optimizer.register_step_pre_hook(_average_gradients) for optimizer in optimizers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _average_gradients(optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    joined = torch.cat([gradient.reshape(-1) for gradient in gradients])  # one message instead of one per tensor
    dist.all_reduce(joined)
    joined /= world_size()
    parts = joined.split([gradient.numel() for gradient in gradients])
    torch._foreach_copy_(gradients, [part.view(g.shape) for part, g in zip(parts, gradients, strict=True)])


class Agreement:
    """The greatest number that any process has given, known to all at the same step.

    Nobody waits: a process learns at its next call what was given at this one. The messages go by way of the CPU, so
    that a GPU is not waited for either.
    """

    def __init__(self):
        self.group = dist.new_group(backend="gloo") if world_size() > 1 else None
        self.sent: tuple[Tensor, dist.Work] | None = None

    def __call__(self, mine: int) -> int:
        """Give a number; return the greatest of all that were given at the call before (alone: of this one)."""
        if self.group is None:
            return mine
        known = self._received()
        number = torch.tensor([mine])
        self.sent = number, dist.all_reduce(number, dist.ReduceOp.MAX, group=self.group, async_op=True)
        return known

    def __enter__(self) -> Agreement:
        return self

    def __exit__(self, *error: object) -> None:
        if self.group is not None:
            self._received()
            dist.destroy_process_group(self.group)

    def _received(self) -> int:
        if self.sent is None:
            return 0
        number, work = self.sent
        work.wait()
        return int(number)
