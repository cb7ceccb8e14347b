"""A whole training step as one CUDA graph.

A step of a small GAN is hundreds of short kernels, and starting them from Python takes longer than running them. A
graph records them once and starts them all by one call. In exchange, the shapes are fixed and nothing may depend on
values that Python has seen: the ``step`` of a family keeps no Python counters and never waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gan_course.train import checkpoint

WARM_UP = 3  # steps before the recording, in which libraries choose their algorithms and optimizers make their state
Step = Callable[[Tensor, Tensor | None], dict[str, Tensor]]


@contextmanager
def without_trace(model: nn.Module) -> Iterator[None]:
    """Undo, in place, all that training steps within change: weights, buffers, optimizers and random state.

    Optimizers keep the tensors that they have made, at the values that they start from: zero.
    """
    device = next(model.parameters()).device
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizers = [optimizer for _, optimizer in checkpoint.optimizers(model)]
    moments = [
        {(p, key): value.clone() for p, state in optimizer.state.items() for key, value in state.items()}
        for optimizer in optimizers
    ]
    random_state = checkpoint.random_state(device)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                tensor.copy_(before[name])
            for optimizer, kept in zip(optimizers, moments, strict=True):
                for p, state in optimizer.state.items():
                    for key, value in state.items():
                        value.copy_(kept[p, key]) if (p, key) in kept else value.zero_()
        checkpoint.set_random_state(device, random_state)


@contextmanager
def recorded(model: nn.Module, step: Step, real: Tensor, labels: Tensor | None) -> Iterator[Step]:
    """Record ``step`` of ``model``, on a CUDA device, as a CUDA graph; yield a function that does the same, faster.

    ``real`` and ``labels`` are a batch of the shapes that all others will have; nothing is learned from it. Learning
    rates live in tensors while the graph does, so that a schedule can change them; then they are again the numbers that
    they were.
    """
    real, labels = real.clone(), None if labels is None else labels.clone()  # where each batch is put
    device, optimizers = real.device, [optimizer for _, optimizer in checkpoint.optimizers(model)]
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    rates = [float(group["lr"]) for group in groups]

    def replay(next_real: Tensor, next_labels: Tensor | None) -> dict[str, Tensor]:
        real.copy_(next_real)
        if labels is not None:
            labels.copy_(next_labels)
        graph.replay()
        return dict(zip(names, values.clone().unbind(), strict=True))  # the next replay overwrites the values

    try:
        for optimizer in optimizers:
            for state in optimizer.state.values():  # RMSprop counted its steps on the CPU, if it has made any
                if "step" in state:
                    state["step"] = state["step"].to(device)
        for group, rate in zip(groups, rates, strict=True):
            group["capturable"] = True
            group["lr"] = torch.tensor(rate, device=device)
        with torch.cuda.device(device):  # streams and graphs are the current device's, which need not be the model's
            stream = torch.cuda.Stream()
            with without_trace(model):
                stream.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(stream):
                    for _ in range(WARM_UP):
                        step(real, labels)
                torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=stream):
                logs = step(real, labels)
                names, values = list(logs), torch.stack([value.float() for value in logs.values()])
        yield replay
    finally:
        for group, rate in zip(groups, rates, strict=True):
            group["capturable"] = False
            group["lr"] = rate
