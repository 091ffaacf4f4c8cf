"""Instance noise: on which images it falls, and how it dies away. (Its steps: tests/training/test_passes.py.)"""

import pytest
import torch

from ssgan.techniques.instance_noise import InstanceNoise
from ssgan.techniques.technique import Moment, Size, View

SIZE = Size((1, 2, 2), 3, 4, 6, 5, 2)


@pytest.mark.parametrize(("until", "expected"), [(1.0, [0.4, 0.3, 0.2, 0.1]), (0.5, [0.4, 0.2, 0.0, 0.0])])
def test_it_falls_to_nothing_by_a_line(until, expected):
    technique = InstanceNoise(std=0.4, until=until)
    found = [technique.numbers(Moment(step, 4, 0.0))["std"] for step in range(4)]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("parts", [("labelled", "unlabelled", "generated"), ("generated",)])
def test_it_falls_on_real_and_generated_images_and_not_on_labelled_ones(parts):
    images = {part: torch.rand(n, 1, 2, 2) for part, n in (("labelled", 4), ("unlabelled", 6), ("generated", 5))}
    technique, draws = InstanceNoise(std=0.4), {}
    for part, draw in technique.draws("discriminator", SIZE).items():
        draws[part] = torch.ones(draw.shape)
    view = View({part: images[part] for part in parts}, {}, {}, {}, {}, draws, {}, {"std": torch.tensor(0.25)}, None)
    found = technique.images("discriminator", view)
    assert set(found) == set(parts) - {"labelled"}
    for part, x in found.items():
        torch.testing.assert_close(x, images[part] + 0.25)
