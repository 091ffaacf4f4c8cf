"""Historical averaging on the game of the paper, and its mean against a history. (Its steps:
tests/training/test_passes.py.)
"""

import pytest
import small
import torch

from ssgan.config import override
from ssgan.techniques.historical_averaging import HistoricalAveraging
from ssgan.techniques.technique import Size

SIZE = Size((1, 2, 2), 2, 1, 1, 1, 1, {"x": 1, "y": 1})


def play(weight: float, steps: int = 3000, rate: float = 0.05) -> list[float]:
    """How far from (0, 0) min over x, max over y of x * y is after each step of plain descent from (1, 1)."""
    technique = HistoricalAveraging(weight=weight)
    state = {name: value.double()[None] for name, value in technique.state(SIZE).items()}
    weights = {name: torch.ones(1, 1, dtype=torch.float64) for name in "xy"}
    distances = []
    for _ in range(steps):
        gradients = {"x": weights["y"], "y": -weights["x"]}
        for name in "xy":
            gradients[name], new = technique.gradient(name, gradients[name], weights[name], state, {})
            state |= new
        weights = {name: value - rate * gradients[name] for name, value in weights.items()}
        distances.append(torch.cat(list(weights.values())).norm().item())
    return distances


def test_plain_descent_circles_and_with_the_mean_it_comes_near_the_solution():
    """Salimans et al. 2016, section 3.3: gradient descent goes into orbits there."""
    plain, damped = play(0.0), play(0.1)
    assert plain == sorted(plain) and plain[0] > 2**0.5, "it never comes nearer"
    assert max(damped) < 1.5 and damped[-1] < 0.01


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_added_gradient_is_that_of_the_squared_distance_from_the_mean_of_all(dtype):
    technique, size = HistoricalAveraging(weight=0.7), SIZE._replace(parameters={"x": 5})
    state = {name: value.to(dtype).expand(3, *value.shape) for name, value in technique.state(size).items()}
    history = []
    for step in range(6):
        weights = torch.randn(3, 5, generator=torch.Generator().manual_seed(step), dtype=torch.float64).to(dtype)
        history.append(weights)
        leaf = weights.clone().requires_grad_()
        distance = (leaf - torch.stack(history).mean(0)).square().sum()
        expected, = torch.autograd.grad(0.7 * distance, leaf)
        found, new = technique.gradient("x", torch.ones(3, 5, dtype=dtype), weights, state, {})
        state = state | new
        torch.testing.assert_close(found, 1 + expected, rtol=1e-5 if dtype == torch.float32 else 1e-12,
                                   atol=1e-6 if dtype == torch.float32 else 1e-12)


def test_it_is_on_in_the_supervised_baseline_too():
    """It sees weights alone."""
    trainer = small.trainer(override(small.MLP, ["historical_averaging.weight=1", "gan.weight=0"]))
    for _ in range(3):
        trainer.step()
    kept = trainer.state["techniques"]["historical_averaging"]
    assert kept["discriminator count"].tolist() == [3] and kept["generator count"].tolist() == [0]
