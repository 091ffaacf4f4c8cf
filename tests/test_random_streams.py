"""Random streams: pure functions of seed and names, different for different ones."""

import numpy as np
import torch

from ssgan.random_streams import numpy_generator, stream, torch_generator


def test_a_stream_is_what_it_was():
    """Results in recipes' evidence stand on these numbers; they depend on no interpreter, machine or hash seed."""
    assert [stream(0, "latent", 7), stream(1), stream(-3, "ä")] == [
        1950321931517896550, 8898586205396736955, 2479040838840082978]


def test_streams_of_different_seeds_names_and_steps_differ():
    found = {stream(seed, name, step) for seed in range(30) for name in ("latent", "noise", "order", "")
             for step in range(30)}
    assert len(found) == 30 * 4 * 30
    assert all(0 <= seed < 2**63 for seed in found)


def test_where_one_name_ends_and_the_next_begins_matters():
    assert len({stream(1, "ab", "c"), stream(1, "a", "bc"), stream(1, "abc"), stream(1, "abc", ""), stream(12, 3),
                stream(1, 23), stream(123)}) == 7


def test_generators_begin_where_their_stream_does():
    assert torch.equal(torch.rand(5, generator=torch_generator(3, "a")),
                       torch.rand(5, generator=torch_generator(3, "a")))
    assert np.array_equal(numpy_generator(3, "a").random(5), numpy_generator(3, "a").random(5))


def test_streams_of_neighbouring_steps_are_independent():
    n = 20_000
    for draw in (lambda step: torch.randn(n, generator=torch_generator(0, "noise", step)).numpy(),
                 lambda step: numpy_generator(0, "noise", step).standard_normal(n)):
        correlations = np.corrcoef([draw(step) for step in range(10)]) - np.eye(10)
        assert np.abs(correlations).max() < 4.5 / n**0.5
