r"""The variational autoencoder. Kingma and Welling (2014), Algorithm 1 with one latent per image, equation 10.

A latent :math:`z \sim N(0, I)` becomes an image by :math:`p(x|z)`. The probability of an image, :math:`p(x) = \int
p(z)\,p(x|z)\,dz`, cannot be computed. An encoder :math:`q(z|x)` gives a lower bound of its logarithm, the ELBO,

.. math:: \log p(x) \ge E_{q(z|x)}[\log p(x|z)] - \mathrm{KL}(q(z|x)\,\|\,p(z)) \qquad \text{(equation 3)}

and both networks are trained to raise it. Here :math:`p(x|z)` is a probability of grey levels (Salimans et al.,
2017), so the bound counts bits and can stand beside the exact numbers of :mod:`gan_course.models.autoregressive`. A
squared error stands for a Gaussian density instead, whose logarithm depends on the variance that was chosen.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from gan_course import checks, parallel
from gan_course.checks import Count, ImageShape, Levels, Positive, Share, Weight, recorded
from gan_course.losses import widened
from gan_course.models import common
from gan_course.models.autoregressive import from_levels, to_levels
from gan_course.models.ema import EMA

#: Settings per data set, chosen after trial runs; table likelihood_digits_vae tells what the first reach.
RECIPES = {
    "digits": {"levels": 17, "latent_dim": 16, "width": 256, "steps": 2_500},
    "mnist": {"size": 16, "levels": 8, "latent_dim": 16, "width": 256, "steps": 5_000},
}


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence, in nats, of Gaussians with diagonal covariance ``(B, dim)`` from N(0, I), ``(B,)``; appendix B."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


class DiscretizedLogistic:
    r"""A probability of each level: what a logistic density puts nearest to it. Salimans et al. (2017), section 2.1.

    .. math:: P(k) = \sigma\Big(\frac{x_k + h - \mu}{s}\Big) - \sigma\Big(\frac{x_k - h - \mu}{s}\Big)

    where :math:`x_k` are the levels' values in [-1, 1] and 2h is the step between them. The lowest level takes all
    that lies below it, the highest all above, so the sum is 1 without a division.

    Args:
        mean: :math:`\mu`, of any shape, in the units of x.
        log_scale: :math:`\log s`, of the same shape; kept in [-7, 7], beyond which nothing changes to speak of.
        levels: number of levels, at least 2.
    """

    def __init__(self, mean: Tensor, log_scale: Tensor, levels: int):
        self.levels, self.half = levels, 1 / (levels - 1)
        self.location, self.sharpness = mean, torch.exp(-log_scale.clamp(-7, 7))

    def log_prob(self, level: Tensor) -> Tensor:
        r"""Return the log probability, in nats, of levels 0 to ``levels - 1``.

        :math:`\sigma(a) - \sigma(b) = \sigma(a)\,\sigma(-b)\,(1 - e^{b-a})` keeps its logarithm exact in the tails.
        """
        x = from_levels(level.to(self.location.dtype), self.levels)
        below = logsigmoid((x + self.half - self.location) * self.sharpness)
        above = logsigmoid((self.location - x + self.half) * self.sharpness)
        between = torch.log(-torch.expm1(-2 * self.half * self.sharpness))
        top, bottom = level == self.levels - 1, level == 0
        return below.masked_fill(top, 0) + above.masked_fill(bottom, 0) + between.masked_fill(top | bottom, 0)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw values on the levels, in [-1, 1], by the inverse distribution function of the logistic."""
        mean = self.location
        drawn_on = mean.device if generator is None else generator.device
        u = torch.rand(mean.shape, generator=generator, dtype=mean.dtype, device=drawn_on).to(mean.device)
        return from_levels(to_levels(mean + u.logit() / self.sharpness, self.levels).to(mean.dtype), self.levels)

    def mean(self) -> Tensor:
        """Return the mean value, in [-1, 1]: of a whole number it is the sum over k of P(at least k)."""
        edges = (from_levels(k - 0.5, self.levels) for k in range(1, self.levels))
        level = sum(torch.sigmoid((self.location - edge) * self.sharpness) for edge in edges)
        return from_levels(level, self.levels)


def perceptron(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Two hidden layers with ReLU."""
    hidden = [nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


class Encoder(nn.Module):
    """From images to the mean and log variance of q(z|x). Arguments as of :class:`VAE`."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int):
        super().__init__()
        self.layers = perceptron(math.prod(shape), width, 2 * latent_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map images ``(B, *shape)`` to means and log variances, ``(B, latent_dim)`` each."""
        return widened(self.layers(x.flatten(1))).chunk(2, 1)


class Decoder(nn.Module):
    """From latents to p(x|z), under which pixels are independent of each other. Arguments as of :class:`VAE`."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int, levels: int):
        super().__init__()
        self.shape, self.levels = shape, levels
        self.layers = perceptron(latent_dim, width, 2 * math.prod(shape))

    def forward(self, z: Tensor) -> DiscretizedLogistic:
        """Map latents ``(B, latent_dim)`` to distributions of pixels ``(B, *shape)``."""
        outputs = widened(self.layers(z))  # bfloat16 hardly tells one of 256 levels from the next
        mean, log_scale = outputs.unflatten(1, (2, *self.shape)).unbind(1)
        return DiscretizedLogistic(mean, log_scale - 2, self.levels)  # so that training starts at a scale near 0.14


class VAE(common.Sampler, nn.Module):
    r"""VAE: encoder, decoder, and the training step of Algorithm 1.

    Args:
        shape, latent_dim, width: see :mod:`gan_course.models`.
        levels: grey levels that images are taken to have; each value is mapped to the nearest.
        beta: weight of the KL divergence (Higgins et al., 2017); 1 for the ELBO.
        lr, beta1, beta2: Adam's learning rate and decay rates.
        ema_decay: decay of the averages that everything but :meth:`step` uses.
    """

    family = "vae"
    n_critic = 1  # batches per step

    @recorded
    def __init__(
        self,
        shape: ImageShape = (1, 28, 28), levels: Levels = 256, latent_dim: Count = 16, width: Count = 256,
        beta: Weight = 1.0, lr: Positive = 1e-3, beta1: Share = 0.9, beta2: Share = 0.999, ema_decay: Share = 0.99,
    ):  # fmt: skip
        super().__init__()
        self.shape, self.levels, self.latent_dim, self.beta = shape, levels, latent_dim, beta
        self.encoder = Encoder(shape, latent_dim, width)
        self.decoder = Decoder(shape, latent_dim, width, levels)
        self.ema_encoder, self.ema_decoder = EMA(self.encoder, ema_decay), EMA(self.decoder, ema_decay)
        self.optimizer = common.adam(nn.ModuleList([self.encoder, self.decoder]), lr, beta1, beta2)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Take one step down minus the ELBO of ``real``, ``(1, B, *shape)``, estimated with one latent per image.

        Returned are means in bits per pixel (of each channel): ``reconstruction``, ``kl``, and ``loss``, the first plus
        beta times the second.
        """
        checks.check_real(real, self.shape)
        x = real.flatten(0, 1)
        mean, log_variance = self.encoder(x)
        z = self.reparametrize(mean, log_variance, parallel.randn(*mean.shape, dtype=mean.dtype, device=mean.device))
        reconstruction = -self.bits(self.decoder(z).log_prob(to_levels(x, self.levels)).flatten(1).sum(1)).mean()
        kl = self.bits(kl_to_standard_normal(mean, log_variance)).mean()
        loss = reconstruction + self.beta * kl  # minus the ELBO, for beta 1
        common.update(self.optimizer, loss)

        self.ema_encoder.update(self.encoder)
        self.ema_decoder.update(self.decoder)
        return common.logged(loss=loss, reconstruction=reconstruction, kl=kl)

    @staticmethod
    def reparametrize(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
        """Make latents of standard normal ``noise``, so that gradients reach mean and variance; section 2.4."""
        return mean + torch.exp(0.5 * log_variance) * noise

    def bits(self, nats: Tensor) -> Tensor:
        """Turn nats per image into bits per pixel (of each channel)."""
        return nats / (math.prod(self.shape) * math.log(2))

    @torch.no_grad()
    def bits_per_pixel(self, x: Tensor, samples: int = 1, generator: torch.Generator | None = None) -> Tensor:
        r"""Estimate an upper bound of :math:`-\log_2 p(x)` per pixel (of each channel), for each image.

        With ``samples`` latents k the estimate is minus the logarithm of :math:`\frac1k\sum_i p(x, z_i) / q(z_i|x)`,
        Burda et al. (2016), section 3. For k = 1 its mean over draws is minus the ELBO; with k that mean falls
        towards the true value and never below (Theorem 1).

        ``x`` is ``(n, *shape)`` in [-1, 1], the result ``(n,)``. Take its mean: a single estimate may lie below the
        true value by chance.
        """
        checks.check_images(x, self.shape)
        checks.at_least("samples", samples, 1)
        mean, log_variance = self.ema_encoder(x)
        log_weights = []
        for _ in range(samples):
            noise = self.latents(len(x), generator)
            z = self.reparametrize(mean, log_variance, noise)
            log_prior_over_q = 0.5 * (noise.square() - z.square() + log_variance).sum(1)  # log p(z) - log q(z|x)
            log_weights.append(common.in_passes(self._log_prob, self.shape, z, x) + log_prior_over_q)
        return -self.bits(torch.logsumexp(torch.stack(log_weights), 0) - math.log(samples))

    def _log_prob(self, z: Tensor, x: Tensor) -> Tensor:
        """log p(x|z) in nats, ``(B,)``, by the averaged decoder."""
        return self.ema_decoder(z).log_prob(to_levels(x, self.levels)).flatten(1).sum(1)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Encode images ``(n, *shape)`` in [-1, 1], and decode the mean of q(z|x)."""
        checks.check_images(x, self.shape)
        return self.decode(self.ema_encoder(x)[0])

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Map latents ``(n, latent_dim)`` to the mean images of p(x|z), ``(n, *shape)`` in [-1, 1]."""
        checks.check_latents(z, self.latent_dim)
        return common.in_passes(lambda z: self.ema_decoder(z).mean(), self.shape, z)

    @torch.no_grad()
    def sample(
        self, n: int, labels: Tensor | None = None, generator: torch.Generator | None = None, mean: bool = False
    ) -> Tensor:
        """Draw ``(n, *shape)`` images in [-1, 1]: a latent each, then every pixel from p(x|z).

        These are the images to which the model gives its likelihood, with the noise of each pixel. With ``mean``,
        the smooth means of p(x|z) instead, which is what most published pictures show: they hide that noise, and
        the model holds them to be no typical images. ``labels`` are not used.
        """
        checks.at_least("n", n, 1)
        z = self.latents(n, generator)
        if mean:
            return self.decode(z)
        return common.in_passes(lambda z: self.ema_decoder(z).sample(generator), self.shape, z)
