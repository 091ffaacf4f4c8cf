"""Adam in both forms against a plain loop, averages against sums, schedules."""

import dataclasses

import plain
import pytest
import torch

from ssgan.config import Recipe, TrainConfig
from ssgan.training.optimisers import adam, adam_numbers, averaging_weight, clipped, learning_rate, moments

FORMS = ["standard", "authors"]


def config(**settings) -> TrainConfig:
    return dataclasses.replace(TrainConfig(), **settings)


def gradients(steps: int, dtype=torch.float64) -> torch.Tensor:
    """Gradients [steps, 3, 5] of very different sizes, zeros among them; the smallest are below the authors' floor of
    1e-4.
    """
    random = torch.Generator().manual_seed(0)
    sizes = torch.tensor([0, 1e-6, 1e-4, 1, 1e3], dtype=dtype)
    return torch.randn(steps, 3, 5, generator=random, dtype=dtype) * sizes


class Adam:
    """Flat parameters with their moments, and how often they were updated."""

    def __init__(self, parameters: torch.Tensor, config: TrainConfig, plain: bool = False):
        self.parameters, self.config, self.plain, self.updates = parameters, config, plain, 0
        self.state, self.rate = moments(parameters), config.learning_rate

    def step(self, gradient: torch.Tensor) -> None:
        self.updates += 1
        numbers = {name: torch.tensor(value, dtype=torch.float64)
                   for name, value in adam_numbers(self.config, self.rate, self.updates).items()}
        adam(self.config, self.parameters, self.state, gradient, numbers, plain=self.plain)


@pytest.mark.parametrize("operations", ["fused", "plain"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "settings", [{}, {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-3}, {"beta1": 0.0, "beta2": 0.001}])
def test_adam_is_the_plain_loop(form, settings, operations):
    chosen = config(adam=form, learning_rate=0.1, **settings)
    start = torch.randn(3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    optimiser, weights = Adam(start.clone(), chosen, plain=operations == "plain"), {"w": start.clone()}
    slow = plain.Adam(dataclasses.replace(Recipe(), train=chosen))
    for step, gradient in enumerate(gradients(30)):
        optimiser.rate = 0.1 / (1 + step)
        optimiser.step(gradient.clone())
        slow.step(weights, {"w": gradient}, 0.1 / (1 + step))
        torch.testing.assert_close(optimiser.parameters, weights["w"], rtol=1e-12, atol=1e-12)


def test_the_two_forms_differ_where_gradients_are_small():
    """The authors' floor is 1e-4 under the root; a gradient of 1e-6 moves a hundredth of the learning rate, not all of
    it.
    """
    moved = {}
    for form in FORMS:
        optimiser = Adam(torch.zeros(1, 1, dtype=torch.float64), config(adam=form, learning_rate=1.0))
        optimiser.step(torch.full((1, 1), 1e-6, dtype=torch.float64))
        moved[form] = -optimiser.parameters.item()
    assert moved["standard"] == pytest.approx(1 / 1.01) and moved["authors"] == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_lanes_are_independent(form):
    """Each is what it is alone, but for the last bits; and to the bit what it is beside a lane that is not finite."""
    together, beside_a_bad_one = (Adam(torch.zeros(3, 5), config(adam=form)) for _ in range(2))
    alone = [Adam(torch.zeros(1, 5), config(adam=form)) for _ in range(3)]
    for gradient in gradients(10, torch.float32):
        together.step(gradient.clone())
        beside_a_bad_one.step(gradient * torch.tensor([[1], [float("nan")], [1]]))
        for lane, optimiser in enumerate(alone):
            optimiser.step(gradient[lane: lane + 1].clone())
    torch.testing.assert_close(together.parameters, torch.cat([optimiser.parameters for optimiser in alone]),
                               rtol=1e-5, atol=1e-8)
    assert beside_a_bad_one.parameters[1].isnan().all()
    assert torch.equal(beside_a_bad_one.parameters[[0, 2]], together.parameters[[0, 2]])


@pytest.mark.parametrize("form", FORMS)
def test_the_state_is_all_that_a_resumed_adam_needs(form):
    whole = Adam(torch.ones(3, 5), config(adam=form))
    steps = gradients(8, torch.float32)
    for gradient in steps[:4]:
        whole.step(gradient.clone())
    half = Adam(whole.parameters.detach().clone(), config(adam=form))
    for name, value in whole.state.items():
        half.state[name].copy_(value)
    half.updates = whole.updates
    for gradient in steps[4:]:
        for optimiser in (whole, half):
            optimiser.step(gradient.clone())
    assert torch.equal(whole.parameters, half.parameters)


def test_parameters_are_updated_in_the_tensor_that_was_given():
    flat = torch.ones(2, 3)
    Adam(flat, config(learning_rate=0.5)).step(torch.ones(2, 3))
    torch.testing.assert_close(flat, torch.full((2, 3), 0.5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_in_tensors_are_numbers(dtype):
    """To the bit, as Python's floats give them: Adam's rate, and the average's share."""
    chosen, random = config(learning_rate=0.0123456789), torch.Generator().manual_seed(0)
    start = torch.randn(2, 4, generator=random, dtype=torch.float64).to(dtype)
    mine, its = Adam(start.clone(), chosen), torch.nn.Parameter(start.clone())
    torchs = torch.optim.Adam([its], lr=chosen.learning_rate, betas=(chosen.beta1, chosen.beta2), eps=chosen.epsilon,
                              fused=True)
    for gradient in gradients(5)[:, :2, :4].to(dtype):
        mine.step(gradient.clone())
        its.grad = gradient.clone()
        torchs.step()
    assert torch.equal(mine.parameters, its.detach())
    for share in (1e-7, 0.123456789, 0.7):
        assert torch.equal(start.clone().lerp_(mine.parameters, torch.tensor(share, dtype=torch.float64)),
                           start.clone().lerp_(mine.parameters, share))


def test_a_long_gradient_is_shortened_lane_by_lane():
    gradient = torch.tensor([[3.0, 4.0], [0.3, 0.4], [float("nan"), 1.0], [0.0, 0.0]])
    found = clipped(gradient, 1.0)
    torch.testing.assert_close(found[[0, 1, 3]], torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))
    assert found[2].isnan().any() and torch.equal(clipped(gradient[:2], 1.0), found[:2])


@pytest.mark.parametrize("form", ["corrected", "zero-start"])
@pytest.mark.parametrize("rate", [1e-7, 1e-4, 0.3, 1.0])
def test_the_average_is_the_weighted_sum_of_its_definition(form, rate):
    chosen = config(averaging=form, averaging_rate=rate)
    history = [{"w": row} for row in torch.randn(20, 4, generator=torch.Generator().manual_seed(0),
                                                 dtype=torch.float64)]
    average = torch.full((4,), 7.0, dtype=torch.float64) if form == "corrected" else torch.zeros(4, dtype=torch.float64)
    for i, weights in enumerate(history):
        average.lerp_(weights["w"], averaging_weight(chosen, i + 1))
        expected = (plain.average(dataclasses.replace(Recipe(), train=chosen), history[: i + 1], "w") if rate < 1
                    else weights["w"])
        torch.testing.assert_close(average, expected, rtol=1e-6 if rate < 1e-6 else 1e-10, atol=0)


def test_the_corrected_average_forgets_what_was_there_before():
    assert averaging_weight(config(averaging_rate=1e-4), 1) == pytest.approx(1, abs=1e-12)
    assert averaging_weight(config(averaging_rate=1e-4), 10**9) == pytest.approx(1e-4)


@pytest.mark.parametrize(("settings", "expected"), [
    ({"schedule": "constant", "decay_from": 0.5}, {0: 1, 50: 1, 99: 1}),
    ({"schedule": "linear"}, {0: 1, 25: 0.75, 50: 0.5, 99: 0.01}),
    ({"schedule": "linear", "decay_from": 0.8}, {0: 1, 79: 1, 80: 1, 90: 0.5, 99: 0.05}),
    ({"schedule": "cosine"}, {0: 1, 50: 0.5, 99: 0.000246719817}),
    ({"schedule": "cosine", "decay_from": 0.5}, {0: 1, 50: 1, 75: 0.5}),
    ({"schedule": "linear", "decay_from": 1.0}, {0: 1, 99: 1})])
def test_the_learning_rate_of_a_hundred_steps(settings, expected):
    chosen = config(learning_rate=2.0, **settings)
    for step, share in expected.items():
        assert learning_rate(chosen, step, 100) == pytest.approx(2 * share)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("decay_from", [0.0, 0.3, 0.99, 1.0])
def test_a_decaying_learning_rate_only_falls_and_stays_above_zero(schedule, steps, decay_from):
    rates = [learning_rate(config(schedule=schedule, decay_from=decay_from), step, steps) for step in range(steps)]
    assert rates == sorted(rates, reverse=True) and rates[0] == TrainConfig().learning_rate and rates[-1] > 0
