"""Where GANs live today, text: words of a small grammar by likelihood, by REINFORCE and by Gumbel-softmax, and how far
their gradients are from the exact one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tools.experiments.applications import PROGRAMS

TEMPERATURES = (0.8, 0.6, 0.4, 0.2)


def words(
    seed: int, device: torch.device, *, program: str, steps: int, lr: float, lr_adversarial: float
) -> dict[str, Any]:
    """Learn the balanced words of six brackets from the same first network in four ways, with as many updates of it.

    All numbers are exact, over all 4,096 words: the share of valid ones, the entropy of what is generated in bits, and
    the divergence of it from the truth (uniform over the 40 valid ones) in bits. The model of likelihood is also
    measured at lower temperatures.
    """
    names = PROGRAMS.load("text", program)
    every, valid = (x.to(device) for x in names["all_words"]())
    real, row = every[valid], {}

    def fresh() -> tuple[nn.Module, nn.Module]:
        torch.manual_seed(seed)
        return names["NextSign"]().to(device), names["word_judge"]().to(device)

    def report(name: str, model: nn.Module, temperature: float = 1.0) -> None:
        found = names["word_report"](model, every, valid, temperature)
        row.update({f"{name}_{key}": value for key, value in found.items()})

    model, _ = fresh()
    names["likelihood_words"](model, real, steps, lr)
    report("likelihood", model)
    for temperature in TEMPERATURES:
        report(f"cold{temperature}", model, temperature)
    for name in ("reinforce", "gumbel"):
        model, judge = fresh()
        names["adversarial_words"](model, judge, real, steps, names[f"{name}_loss"], lr_adversarial)
        report(name, model)
    model, judge = fresh()
    names["likelihood_words"](model, real, steps // 2, lr)
    report("before", model)
    names["adversarial_words"](model, judge, real, steps - steps // 2, names["reinforce_loss"], lr_adversarial)
    report("after", model)
    return row


def polish(
    seed: int, device: torch.device, *,
    program: str, steps: int, lr: float, lr_fast: float, lr_slow: float, judged: int,
) -> dict[str, Any]:  # fmt: skip
    """Learn the words by likelihood for half of the steps, then by REINFORCE for the other half: at two rates, against
    a new judge (``fresh``) and against one that has had ``judged`` updates on the words of the first half
    (``judged``). Exact numbers, as in the table of the words."""
    names = PROGRAMS.load("text", program)
    every, valid = (x.to(device) for x in names["all_words"]())
    real, row = every[valid], {}

    def report(name: str, model: nn.Module) -> None:
        found = names["word_report"](model, every, valid)
        row.update({f"{name}_{key}": value for key, value in found.items()})

    for first, updates in {"fresh": 0, "judged": judged}.items():
        for rate, lr_game in {"fast": lr_fast, "slow": lr_slow}.items():
            torch.manual_seed(seed)
            model, judge = names["NextSign"]().to(device), names["word_judge"]().to(device)
            names["likelihood_words"](model, real, steps // 2, lr)
            report("before", model)
            # At rate 0 the judge alone learns.
            names["adversarial_words"](model, judge, real, updates, names["reinforce_loss"], 0.0)
            names["adversarial_words"](model, judge, real, steps - steps // 2, names["reinforce_loss"], lr_game)
            report(f"{first}_{rate}", model)
    return row


def gradients(
    seed: int, device: torch.device, *, program: str, before: int, lr: float, batch: int, draws: int
) -> dict[str, Any]:
    """Compare estimates of the generator's gradient with the exact one, at a generator in the middle of its game.

    Both players have had ``before`` updates of the game with REINFORCE. The exact gradient of the mean of -log D over
    the generator's words comes from the sum over all 4,096. For each estimator, from ``draws`` batches: the squared
    length of its mean error (bias, without what chance adds to it) and of its deviations from its mean (variance), and
    the cosine between a single estimate and the exact gradient, all relative to the exact gradient.
    """
    names = PROGRAMS.load("text", program)
    every, valid = (x.to(device) for x in names["all_words"]())
    torch.manual_seed(seed)
    model, judge = names["NextSign"]().to(device), names["word_judge"]().to(device)
    names["adversarial_words"](model, judge, every[valid], before, names["reinforce_loss"], lr)

    def gradient(loss: Tensor) -> Tensor:
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))]).double()

    with torch.no_grad():
        rewards = nn.functional.logsigmoid(judge(nn.functional.one_hot(every, 4).float()))
    exact = gradient(-(names["log_prob_words"](model, every).exp() * rewards).sum())
    size = exact.square().sum()
    estimators = {
        "plain": lambda: names["reinforce_loss"](model, judge, batch, baseline=False),
        "baseline": lambda: names["reinforce_loss"](model, judge, batch),
        "gumbel1": lambda: names["gumbel_loss"](model, judge, batch, tau=1.0),
        "gumbel0.2": lambda: names["gumbel_loss"](model, judge, batch, tau=0.2),
    }
    row: dict[str, Any] = {**names["word_report"](model, every, valid)}
    for name, loss in estimators.items():
        found = torch.stack([gradient(loss()) for _ in range(draws)])
        mean, variance = found.mean(0), found.var(0).sum()
        row[f"{name}_variance"] = (variance / size).item()
        row[f"{name}_bias"] = (((mean - exact).square().sum() - variance / draws) / size).item()
        row[f"{name}_cosine"] = nn.functional.cosine_similarity(found, exact[None]).mean().item()
    return row


_LR = 2e-3
ENTRIES = {
    "text_words": PROGRAMS.entry(words, "text", range(10), steps=400, lr=5e-3, lr_adversarial=_LR),
    "text_polish": PROGRAMS.entry(
        polish, "text", range(10), steps=400, lr=5e-3, lr_fast=_LR, lr_slow=_LR / 4, judged=200
    ),
    "text_gradients_early": PROGRAMS.entry(gradients, "text", range(10), before=30, lr=_LR, batch=64, draws=100),
    "text_gradients_late": PROGRAMS.entry(gradients, "text", range(10), before=200, lr=_LR, batch=64, draws=100),
}
