"""Training as the DCGAN example of PyTorch and common tutorials for the other losses do it: what ours is compared with.

A DataLoader over PIL images with ``ToTensor`` and ``Normalize``; real and fake batches in passes of their own, each
with its backward pass; ``loss.backward()`` of the generator through the discriminator, whose gradients are computed as
well and then zeroed; Adam as torch builds it; losses and mean logits read by ``.item()`` in every step. The generator's
step of the cross-entropy game judges the fakes of the discriminator's step again, as that example does. What some
tutorials do worse is left out: fakes are detached everywhere, the loss is computed from logits, loader processes
outlive the epochs, and nothing is printed or saved.

The networks are given: they are those of the course, so that both train the same function.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, autograd, nn
from torch.nn.utils import parametrizations
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


def batches(dataset: Dataset, batch: int, workers: int, device: torch.device) -> Iterator[Tensor]:
    """Yield batches of images on ``device`` for ever, in an order that is new in each epoch."""
    loader = DataLoader(
        dataset,
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
    while True:
        for images, _ in loader:
            yield images.to(device, non_blocking=True)


def transform(size: int | None, channels: int) -> transforms.Compose:
    """Return what turns a PIL image into a tensor in [-1, 1], of side ``size`` if given."""
    resize = [] if size is None else [transforms.Resize(size), transforms.CenterCrop(size)]
    half = (0.5,) * channels
    return transforms.Compose([*resize, transforms.ToTensor(), transforms.Normalize(half, half)])


def torch_spectral_norms(plain: nn.Module, normalised: nn.Module) -> nn.Module:
    """Give ``plain``, a discriminator without spectral norms, those of torch, which iterate in each training pass.

    Weights, biases and singular vectors start as those of ``normalised``, the same discriminator with our norms.
    """
    for name, module in plain.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            like = normalised.get_submodule(name)
            with torch.no_grad():
                module.weight.copy_(like.parametrizations.weight.original)
                if module.bias is not None:
                    module.bias.copy_(like.bias)
            norm = parametrizations.spectral_norm(module).parametrizations.weight[0]
            norm._u.copy_(like.parametrizations.weight[0].u)
            norm._v.copy_(like.parametrizations.weight[0].v)
    return plain


class Textbook:
    """Two networks, their optimizers, and one iteration of the tutorial for their loss.

    Args:
        netG: maps latents ``(B, latent_dim)`` to images.
        netD: maps images to logits ``(B,)``.
        latent_dim: dimension of the standard normal latent.
        lr_g, lr_d, beta1, beta2: Adam's learning rates and decay rates.
        n_critic: discriminator updates per iteration, each with a new batch.
        penalty: weight of the gradient penalty.
    """

    def __init__(
        self,
        netG: nn.Module,
        netD: nn.Module,
        latent_dim: int,
        lr_g: float,
        lr_d: float,
        beta1: float,
        beta2: float,
        n_critic: int = 1,
        penalty: float = 10.0,
    ):
        self.netG, self.netD, self.latent_dim, self.n_critic, self.penalty = netG, netD, latent_dim, n_critic, penalty
        self.optimizerG = torch.optim.Adam(netG.parameters(), lr=lr_g, betas=(beta1, beta2))
        self.optimizerD = torch.optim.Adam(netD.parameters(), lr=lr_d, betas=(beta1, beta2))
        self.criterion = nn.BCEWithLogitsLoss()
        self.log: list[dict[str, float]] = []

    def cross_entropy(self, images: Iterator[Tensor]) -> None:
        """One iteration of the DCGAN example."""
        real = next(images)
        b, device = real.size(0), real.device

        # (1) Update D: maximize log(D(x)) + log(1 - D(G(z)))
        self.netD.zero_grad()
        label = torch.full((b,), 1.0, dtype=real.dtype, device=device)
        output = self.netD(real)
        errD_real = self.criterion(output, label)
        errD_real.backward()
        D_x = output.mean().item()

        noise = torch.randn(b, self.latent_dim, device=device)
        fake = self.netG(noise)
        label.fill_(0.0)
        output = self.netD(fake.detach())
        errD_fake = self.criterion(output, label)
        errD_fake.backward()
        D_G_z1 = output.mean().item()
        errD = errD_real + errD_fake
        self.optimizerD.step()

        # (2) Update G: maximize log(D(G(z)))
        self.netG.zero_grad()
        label.fill_(1.0)
        output = self.netD(fake)
        errG = self.criterion(output, label)
        errG.backward()
        D_G_z2 = output.mean().item()
        self.optimizerG.step()

        self.log.append({"loss_d": errD.item(), "loss_g": errG.item(), "D_x": D_x, "D_G_z1": D_G_z1, "D_G_z2": D_G_z2})

    def gradient_penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        alpha = torch.rand(real.size(0), *[1] * (real.dim() - 1), device=real.device)
        interpolates = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        output = self.netD(interpolates)
        gradients = autograd.grad(
            outputs=output,
            inputs=interpolates,
            grad_outputs=torch.ones_like(output),
            create_graph=True,
            retain_graph=True,
        )[0]
        gradients = gradients.view(real.size(0), -1)
        return ((gradients.norm(2, dim=1) - 1) ** 2).mean() * self.penalty

    def wasserstein(self, images: Iterator[Tensor]) -> None:
        """One iteration of WGAN-GP."""
        for _ in range(self.n_critic):
            real = next(images)
            b, device = real.size(0), real.device
            self.netD.zero_grad()
            errD_real = -self.netD(real).mean()
            errD_real.backward()
            fake = self.netG(torch.randn(b, self.latent_dim, device=device)).detach()
            errD_fake = self.netD(fake).mean()
            errD_fake.backward()
            penalty = self.gradient_penalty(real, fake)
            penalty.backward()
            distance = -(errD_real + errD_fake)
            self.optimizerD.step()

        self.netG.zero_grad()
        errG = -self.netD(self.netG(torch.randn(b, self.latent_dim, device=device))).mean()
        errG.backward()
        self.optimizerG.step()
        self.log.append({"wasserstein": distance.item(), "penalty": penalty.item(), "loss_g": errG.item()})

    def hinge(self, images: Iterator[Tensor]) -> None:
        """One iteration of SNGAN, whose discriminator normalises itself."""
        for _ in range(self.n_critic):
            real = next(images)
            b, device = real.size(0), real.device
            self.netD.zero_grad()
            errD_real = torch.relu(1.0 - self.netD(real)).mean()
            errD_real.backward()
            fake = self.netG(torch.randn(b, self.latent_dim, device=device)).detach()
            errD_fake = torch.relu(1.0 + self.netD(fake)).mean()
            errD_fake.backward()
            errD = errD_real + errD_fake
            self.optimizerD.step()

        self.netG.zero_grad()
        errG = -self.netD(self.netG(torch.randn(b, self.latent_dim, device=device))).mean()
        errG.backward()
        self.optimizerG.step()
        self.log.append({"loss_d": errD.item(), "loss_g": errG.item()})
