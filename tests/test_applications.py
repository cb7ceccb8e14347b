"""The programs of the chapter "Where GANs live today", which its experiments run from the chapter's own cells."""

from __future__ import annotations

import math

import pytest
import torch

from tools.experiments.applications import PROGRAMS

PARTS = ("speech", "video", "distil", "codec", "text")


def program(part: str) -> dict:
    return PROGRAMS.load(part, PROGRAMS.version(part))


def test_every_part_has_a_program_and_a_wrong_version_is_refused():
    assert sorted(PROGRAMS.sources()) == sorted(PARTS)
    for part in PARTS:
        assert program(part)
    with pytest.raises(ValueError, match="program must be"):
        PROGRAMS.load("speech", "000000000000")
    with pytest.raises(ValueError, match="no program 'sound'"):
        PROGRAMS.source("sound")


def test_noise_has_the_ratio_that_is_asked_for_and_the_measure_finds_it():
    names, draw = program("speech"), torch.Generator().manual_seed(0)
    clean = names["speech_voices"](3, draw)
    assert clean.shape == (3, names["RATE"]) and clean.isfinite().all()
    for decibels in (0.0, 5.0, 20.0):
        noisy = names["speech_noisy"](clean, draw, decibels)
        assert abs(names["speech_ratio"](clean, noisy) - decibels) < 0.3
    assert names["speech_hiss"](clean, clean / 10) == pytest.approx(-20, abs=1e-4)
    assert names["speech_distance"](clean, clean) < 1e-6


def test_the_enhancer_keeps_the_length_and_the_critic_sees_both_sounds():
    names, sound = program("speech"), torch.randn(2, 1024)
    torch.manual_seed(0)
    assert names["Enhancer"]()(sound).shape == sound.shape
    critic, other = names["SpectralCritic"](), torch.randn(2, 1024)
    assert not torch.equal(critic(sound, sound), critic(sound, other))


def test_training_lowers_the_absolute_error():
    names, draw = program("speech"), torch.Generator().manual_seed(0)
    clean = names["speech_voices"](8, draw)
    noisy = names["speech_noisy"](clean, draw)
    errors = []
    for steps in (1, 60):
        enhancer = names["speech_train"](clean, steps, 0, adversarial=0.03)
        with torch.no_grad():
            made = enhancer(noisy)
        errors.append((made - clean).abs().mean().item())
    assert errors[1] < 0.8 * errors[0]


def test_clips_drift_at_one_speed_and_the_measures_know_it():
    names, draw = program("video"), torch.Generator().manual_seed(0)
    digits = torch.rand(20, 1, 8, 8, generator=draw) * 2 - 1
    clips = names["video_clips"](digits, 500, draw)
    assert clips.shape == (500, names["FRAMES"], names["HIGH"], names["WIDE"])
    ink = (clips + 1).sum((2, 3))
    assert (ink - ink[:, :1]).abs().max() < 1e-3  # nothing leaves the picture
    assert names["video_bend"](clips) < 1e-4
    jump = clips[:, [0, 3, 1, 4, 2, 5]]
    assert names["video_bend"](jump) > 1
    moving = (clips[:, 1] != clips[:, 0]).flatten(1).any(1).double().mean().item()
    assert abs(moving - 2 / 3) < 0.1  # the speeds -1, 0 and 1


def test_the_distance_of_frames_is_blind_to_their_order():
    names, draw = program("video"), torch.Generator().manual_seed(0)
    digits = torch.rand(50, 1, 8, 8, generator=draw) * 2 - 1
    a, b = (names["video_clips"](digits, 600, draw) for _ in range(2))
    order = torch.rand(600, names["FRAMES"], generator=draw).argsort(1)
    mixed = a[torch.arange(600)[:, None], order]
    (frames, clips), (frames_mixed, clips_mixed) = (names["video_distances"](x, b) for x in (a, mixed))
    assert math.isclose(frames, frames_mixed, rel_tol=1e-6, abs_tol=1e-9)
    assert clips_mixed > 3 * clips


def test_words_are_counted_exactly_and_gumbel_noise_draws_from_the_model():
    names = program("text")
    words, valid = names["all_words"]()
    assert len(words) == 4**6 and valid.sum() == 40  # 5 shapes of three pairs, two kinds each: 5 times 8
    torch.manual_seed(0)
    model = names["NextSign"]()
    p = names["log_prob_words"](model, words).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-4)
    drawn = names["draw_words"](model, 20_000).argmax(2)
    assert (drawn[:, 1] == 2).double().mean().item() == pytest.approx(p[words[:, 1] == 2].sum().item(), abs=0.015)


def test_the_codec_stores_numbers_of_codes():
    names = program("codec")
    torch.manual_seed(0)
    codec, x = names["ImageCodec"](4), torch.rand(3, 1, 16, 16) * 2 - 1
    numbers = codec.book.nearest(codec.encoder(x))
    assert numbers.shape == (3, 4, 4) and numbers.max() < 4
    image, loss = codec(x)
    loss.backward()
    assert image.shape == x.shape and codec.book.codes.grad.abs().sum() > 0


def test_the_flow_sampler_finds_a_point_that_the_velocity_aims_at():
    names = program("distil")

    def velocity(x, t):  # of data that are one point, (1, -2): x = (1 - t) point + t noise
        return (x - torch.tensor([1.0, -2.0])) / t

    z = torch.randn(5, 2)
    for steps in (1, 4):
        end = names["flow_sample"](velocity, z, steps)
        assert torch.allclose(end, torch.tensor([1.0, -2.0]).expand(5, 2), atol=1e-5)
    assert torch.allclose(names["one_step"](velocity, z), end, atol=1e-5)
