"""tools/experiments/dimensions.py: networks side by side compute and learn what each of them would alone."""

import torch
from torch import nn

from gan_course import losses
from tools.experiments import dimensions


def alone(seed: int, dim: int, width: int) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = [nn.Linear(dim, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1), nn.Flatten(0)]
    return nn.Sequential(*layers)


def test_networks_side_by_side_are_those_of_their_seeds():
    stacked = dimensions.Stacked([3, 7], 5, 8, 2, smooth=True)
    real, fake = torch.randn(2, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    epsilon = torch.rand(8, generator=torch.Generator().manual_seed(1))
    flat = [x.flatten(0, 1) for x in (real, fake)]
    loss = losses.critic_wasserstein(*map(stacked, flat)) + losses.gradient_penalty(stacked, *flat, epsilon=epsilon)
    (2 * loss).backward()  # as the experiments do: times the number of networks
    for i, seed in enumerate((3, 7)):
        network = alone(seed, 5, 8)
        torch.testing.assert_close(stacked(flat[0]).view(2, 4)[i], network(real[i]))
        own = losses.critic_wasserstein(network(real[i]), network(fake[i]))
        own = own + losses.gradient_penalty(network, real[i], fake[i], epsilon=epsilon.view(2, 4)[i])
        own.backward()
        torch.testing.assert_close(stacked.weights[0].grad[i], network[0].weight.grad.T)
        torch.testing.assert_close(stacked.weights[2].grad[i], network[4].weight.grad.T)
        torch.testing.assert_close(stacked.biases[1].grad[i, 0], network[2].bias.grad)


def test_added_coordinates_have_the_same_law_on_both_sides(monkeypatch):
    """The critic is replaced by one that sees the added coordinates only: it must find no difference."""
    seen = []

    class Added(dimensions.Stacked):
        def forward(self, x):
            seen.append(x)
            return x[:, 1] + 0 * super().forward(x)

    monkeypatch.setattr(dimensions, "Stacked", Added)
    settings = {**dimensions._MEASURED, "dims": [2], "steps": 1, "judged": 20_000}
    for row in dimensions.measured([0, 1], torch.device("cpu"), **settings):
        assert len(row) == 4 and all(abs(error + 1) < 0.06 for error in row.values())  # the estimate is 0
    assert all(x.shape[1] == 2 for x in seen)


def test_a_shift_is_felt_along_the_first_axis_and_with_its_sign():
    settings = {**dimensions._SLOPES, "dims": [3], "steps": 40, "samples": 256}
    for row in dimensions.slopes([0, 1, 2], torch.device("cpu"), **settings):
        assert row["non-saturating, 3"] > 0.1 and row["wasserstein, 3"] > 0.1  # down the slope is towards the data
