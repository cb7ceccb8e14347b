"""The tables of the modern GANs train their seeds side by side: the same steps as the families'."""

from __future__ import annotations

import pytest
import torch

from gan_course.models.r3gan import R3GAN
from gan_course.models.wgan import WGANGP
from tools.experiments import modern

OWN = {"networks": "mlp", "latent_dim": 2, "width": 8, "slope_g": 0.0, "ema_decay": 0.5, "beta1": 0.0, "beta2": 0.9}
GAMES = {
    "relativistic": (R3GAN, {"family": "r3gan", "r1": 0.5, "r2": 2.0}),
    "non-saturating": (R3GAN, {"family": "r3gan", "loss": "non-saturating", "r1": 0.5, "r2": 0.0}),
    "wgan-gp": (WGANGP, {"family": "wgan-gp", "batch_norm": False, "n_critic": 2, "penalty": 0.5}),
}


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("shape", [(2,), (1, 2, 2)])
def test_trials_side_by_side_step_as_each_would_alone(game, shape, monkeypatch):
    family, own = GAMES[game]
    seeds, batch, steps = [3, 4, 5], 6, 3
    torch.set_default_dtype(torch.float64)
    try:
        together = modern.trials(seeds, shape, batch, **OWN, **own)
        settings = {name: value for name, value in {**OWN, **own}.items() if name != "family"}
        singles = [family(shape, **settings) for _ in seeds]
        name = "critic" if family is WGANGP else "discriminator"
        for trial, single in enumerate(singles):
            for network in ("generator", name):
                stacked = list(getattr(together, network).network.layers)
                mine = [x for x in getattr(single, network).layers if isinstance(x, torch.nn.Linear)]
                with torch.no_grad():
                    for i, linear in enumerate(mine):
                        linear.weight.copy_(stacked[2 * i][trial].T)
                        linear.bias.copy_(stacked[2 * i + 1][trial, 0])
        n_critic = together.n_critic
        real = torch.rand(steps, n_critic, len(seeds), batch, *shape) * 2 - 1
        z = torch.randn(steps * (n_critic + 1), len(seeds), batch, 2)
        epsilon = torch.rand(steps * n_critic, len(seeds) * batch)

        def feed(model, latents, epsilons):
            latents, epsilons = iter(latents), iter(epsilons)
            monkeypatch.setattr(model, "latents", lambda n, generator=None: next(latents))
            monkeypatch.setattr("gan_course.parallel.rand", lambda *size, **options: next(epsilons))

        feed(together, z.flatten(1, 2), epsilon)
        for x in real:
            together.step(x.flatten(1, 2))
        for trial, single in enumerate(singles):
            feed(single, z[:, trial], epsilon.view(-1, len(seeds), batch)[:, trial])
            for x in real:
                single.step(x[:, trial])
            for network in ("generator", name):
                stacked = list(getattr(together, network).network.layers)
                mine = [x for x in getattr(single, network).layers if isinstance(x, torch.nn.Linear)]
                for i, linear in enumerate(mine):
                    torch.testing.assert_close(stacked[2 * i][trial].T, linear.weight, rtol=1e-6, atol=1e-9)
                    torch.testing.assert_close(stacked[2 * i + 1][trial, 0], linear.bias, rtol=1e-6, atol=1e-9)
    finally:
        torch.set_default_dtype(torch.float32)


def test_lazy_penalties_come_every_eighth_step_eight_times_as_strong():
    torch.manual_seed(0)
    lazy = modern.trials([0], (2,), 4, **OWN, family="r3gan", every=8)
    plain = R3GAN.penalties
    x, fake = torch.randn(4, 2), torch.randn(4, 2)
    found = [lazy.penalties(x, fake).item() for _ in range(17)]
    expected = 8 * plain(lazy, x, fake).item()
    assert [i for i, value in enumerate(found) if value] == [0, 8, 16]
    assert found[0] == pytest.approx(expected) and expected > 0
