"""From a caption to an image, with a discriminator that is aware of matching. Reed et al. (2016), Algorithm 1.

A discriminator that sees real images with their captions, and fakes, can win by looking at the images alone. This one
is also shown real images with captions of other images, and has to call them fake: so it learns to read.

What it is shown is not enough, if it cannot read. Reed et al. lay the encoded caption beside the features of every
place; at this scale such a discriminator reads backgrounds and inks, but hardly characters, for which a whole shape has
to be compared with a word (table text_reading). Here the features are projected on the words, after Miyato and Koyama
(2018).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gan_course import checks, losses, parallel
from gan_course.checks import Count, ImageShape, Positive, Share, recorded
from gan_course.models import common
from gan_course.models.conditional import Generator, trunk
from gan_course.models.ema import EMA

#: Settings per data set, chosen after trial runs. Backgrounds are obeyed first, then inks, characters last. The tables
#: (text_glyphs) let the rates fall from step 1,500 on, which helps the characters; so does ``--decay-from 1500``.
RECIPES = {"glyphs": {"width": 16, "lr_g": 4e-3, "lr_d": 2e-3, "steps": 3_000, "batch": 64, "size": 16}}
PADDING = 0  # the word number that fills up short captions
EXAMPLES = 64  # captions kept for samples without captions


class CaptionEncoder(nn.Module):
    """A caption as a vector: a linear layer and LeakyReLU on the mean of its words' embeddings.

    A mean forgets the order of the words. That is enough where the words tell their roles themselves: in ``glyphs``,
    inks and backgrounds have names of their own. Where "red on blue" and "blue on red" are both possible, it is not,
    and a recurrent network or attention takes its place.
    """

    def __init__(self, num_words: int, dim: int):
        super().__init__()
        self.embed = nn.Embedding(num_words, dim, padding_idx=PADDING)  # padding is the zero vector, and stays it
        self.out = nn.Sequential(nn.Linear(dim, dim), nn.LeakyReLU(0.2))

    def forward(self, words: Tensor) -> Tensor:
        """Map word numbers ``(B, L)`` to ``(B, dim)``; an empty caption is a mean of zero."""
        count = (words != PADDING).sum(1, keepdim=True).clamp(min=1)
        return self.out(self.embed(words).sum(1) / count)


class TextGenerator(nn.Module):
    """A convolutional generator whose input is the latent and, beside it, the encoded caption."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int, num_words: int, text_dim: int):
        super().__init__()
        self.encoder = CaptionEncoder(num_words, text_dim)
        self.images = Generator(shape, latent_dim + text_dim, width)

    def forward(self, z: Tensor, words: Tensor) -> Tensor:
        """Map latents ``(B, latent_dim)`` and word numbers ``(B, L)`` to images ``(B, C, H, W)`` in [-1, 1]."""
        return self.images(torch.cat([z, self.encoder(words)], 1))


class TextDiscriminator(nn.Module):
    r""":math:`\ell(x, c) = \psi(\phi(x)) + \sum_{w \in c} \langle v_w, \phi(x) \rangle`: features projected on words.

    The projection discriminator of Miyato and Koyama (2018), equation 3, with the words of a caption in place of the
    class. Where the words are independent of one another given the image, :math:`\log p(c \mid x)` is the sum of
    :math:`\log p(w \mid x)`: so the words' parts of the logit are added, and not averaged. A combination of words has
    no weight of its own, so that words can be read in combinations that were never seen, too.

    As in :class:`gan_course.models.conditional.ProjectionDiscriminator`, :math:`\phi` keeps its places apart.
    """

    def __init__(self, shape: tuple[int, ...], width: int, num_words: int):
        super().__init__()
        self.trunk, features = trunk(shape, width)
        self.psi = nn.Linear(math.prod(features), 1)
        self.embed = nn.Embedding(num_words, math.prod(features), padding_idx=PADDING)
        nn.init.normal_(self.embed.weight[1:], std=0.05)  # a word's part of a logit begins about as small as psi

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` and word numbers ``(B, L)`` to logits ``(B,)``: real, and the caption's?"""
        return self.match(self.trunk(x), words)

    def match(self, maps: Tensor, words: Tensor) -> Tensor:
        """Map the trunk's features ``(B, F, h, w)`` and word numbers ``(B, L)`` to logits ``(B,)``."""
        phi = maps.flatten(1)
        return self.psi(phi).squeeze(1) + (self.embed(words).sum(1) * phi).sum(1)  # padding is the zero vector


class TextGAN(common.LabelledSampler, nn.Module):
    """From captions to images: two networks, their optimizers, and the training step of Algorithm 1 (GAN-CLS).

    Each network reads captions by weights of its own, trained by its own loss. Reed et al. train an encoder beforehand,
    to match captions and images, and both networks use it. One encoder trained along by the discriminator would move
    under the generator with every discriminator update.

    Args:
        shape, latent_dim, lr_g, lr_d, beta1, beta2, ema_decay: see :mod:`gan_course.models`.
        num_classes: size of the vocabulary; word numbers are 0 (padding) to num_classes - 1.
        max_words: length of the longest caption.
        text_dim: length of an encoded caption in the generator.
        width: channels at full size, in both networks; twice as many after each halving.
    """

    family = "text"
    n_critic = 1
    reads_captions = True
    networks = (TextGenerator, TextDiscriminator)

    @recorded
    def __init__(
        self,
        shape: ImageShape = (3, 32, 32), num_classes: Count = 38, max_words: Count = 16,
        latent_dim: Count = 64, text_dim: Count = 64, width: Count = 16,
        lr_g: Positive = 2e-3, lr_d: Positive = 1e-3, beta1: Share = 0.5, beta2: Share = 0.999,
        ema_decay: Share = 0.99,
    ):  # fmt: skip
        super().__init__()
        self.shape, self.num_classes, self.max_words, self.latent_dim = shape, num_classes, max_words, latent_dim
        generator, discriminator = self.networks
        self.generator = generator(shape, latent_dim, width, num_classes, text_dim)
        self.discriminator = discriminator(shape, width, num_classes)
        self.register_buffer("examples", torch.full((EXAMPLES, max_words), PADDING))
        self.ema = EMA(self.generator, ema_decay)
        self.optimizer_g = common.adam(self.generator, lr_g, beta1, beta2)
        self.optimizer_d = common.adam(self.discriminator, lr_d, beta1, beta2)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Update the discriminator once per batch in ``real``, ``(n_critic, B, C, H, W)``, then the generator once.

        ``labels`` are the word numbers of their captions, ``(n_critic, B, L)`` with L at most ``max_words``. The wrong
        caption of an image is that of the one before it in the batch; by chance it may be right, too. Returned are the
        mean logits ``logit_right`` and ``logit_wrong`` of real images with each kind of caption, and ``logit_fake``.
        """
        checks.check_real(real, self.shape, least=2)
        captions = self.checked_labels(labels, real.shape[:2]).to(real.device)
        b = real.shape[1]
        self.keep_examples(parallel.gather(captions[0]))
        for x, words in zip(real, captions, strict=True):
            with torch.no_grad():
                fake = self.generator(self.latents(b), words)
            # One pass over all images: allowed because the discriminator has no batch norm.
            real_maps, fake_maps = self.discriminator.trunk(torch.cat([x, fake])).chunk(2)
            others = parallel.own(parallel.gather(words).roll(1, 0))  # captions of other images: mismatched pairs
            maps, texts = [real_maps, real_maps, fake_maps], [words, others, words]
            right, wrong, fakes = self.discriminator.match(torch.cat(maps), torch.cat(texts)).chunk(3)
            # The mean over wrong and fake ones together is the paper's factor 1/2 for each.
            loss_d = losses.discriminator_cross_entropy(right, torch.cat([wrong, fakes]))  # lines 7 to 10
            common.update(self.optimizer_d, loss_d)

        loss_g = losses.generator_non_saturating(self.discriminator(self.generator(self.latents(b), words), words))
        common.update(self.optimizer_g, loss_g)
        self.ema.update(self.generator)
        return common.logged(loss_d=loss_d, loss_g=loss_g, logit_right=right, logit_wrong=wrong, logit_fake=fakes)

    def checked_labels(self, captions: Tensor | None, shape: tuple[int, ...]) -> Tensor:
        """Return ``captions`` as int64 if they are word numbers ``(*shape, L)`` with L from 1 to ``max_words``."""
        length = captions.shape[-1] if isinstance(captions, Tensor) and captions.ndim else 1
        if not 1 <= length <= self.max_words:
            raise ValueError(f"labels must hold 1 to {self.max_words} words per caption, got {length}")
        return checks.check_labels(captions, (*shape, length), self.num_classes).long()

    def default_labels(self, n: int) -> Tensor:
        """Return :attr:`examples` in turn, ``(n, max_words)``: captions of the first batch that the model was trained
        on, which its checkpoints hold; before any training they are empty."""
        return self.examples[torch.arange(n, device=self.examples.device) % EXAMPLES]

    @torch.no_grad()
    def keep_examples(self, words: Tensor) -> None:
        """Keep the captions ``(B, L)`` of the first batch, in turn, if none are kept yet; without asking the device."""
        words = words[torch.arange(EXAMPLES, device=words.device) % len(words)]
        words = pad(words, (0, self.max_words - words.shape[1]), value=PADDING)
        self.examples.copy_(torch.where(self.examples.any(), self.examples, words))
