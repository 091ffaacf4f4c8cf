"""The airbench pair: its whitening, its first weights, its sizes, and what is kept and handed over. (Its outputs:
test_models.py; its steps: tests/technique_cases.py.)
"""

import numpy as np
import pytest
import small
import torch
from torch.nn import functional

from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.export import write as export
from ssgan.export.load import open_model
from ssgan.export.model_card import card_of
from ssgan.models import build_discriminator
from ssgan.models.airbench import halved, maps_of
from ssgan.models.context import Context
from ssgan.models.fold import fold
from ssgan.models.whitening import whitening
from ssgan.random_streams import torch_generator
from ssgan.training.trained_model import TrainedModel

RECIPE = override(small.AIRBENCH, ["train.initialise_images=30"])


def test_the_whitening_is_that_of_the_images_of_the_initialisation_and_stays():
    trainer = small.trainer(RECIPE, seeds=(3, 4))
    kept = trainer.state["players"]["discriminator"]["buffers"]["whitening"].clone()
    for lane in range(2):
        seen = trainer._drawn_images(lane, "initialisation images", 30)
        torch.testing.assert_close(kept[lane], whitening(seen)[0].double())
    trainer.step()
    trainer.step()
    assert torch.equal(trainer.state["players"]["discriminator"]["buffers"]["whitening"], kept)
    assert not torch.equal(kept[0], kept[1]), "each lane has its own images"


def test_a_classifier_that_sees_labelled_images_alone_is_whitened_by_them():
    trainer, data = small.trainer(override(RECIPE, ["gan.weight=0"])), small.dataset()
    labelled = data.train.gather(torch.from_numpy(trainer.splits[0].labelled))
    order = torch.randperm(8, generator=torch_generator(0, "initialisation images"))
    kept = trainer.state["players"]["discriminator"]["buffers"]["whitening"][0]
    torch.testing.assert_close(kept, whitening(labelled[order])[0].double())


def test_convolutions_begin_as_the_identity_in_as_many_channels_as_come_in():
    module = build_discriminator(override(RECIPE, ["model.widths=[30]"]).model, (3, 12, 12), 4, torch_generator(0))
    x = torch.rand(2, 24, 5, 5, generator=torch.Generator().manual_seed(1))
    wider, further = module.hidden
    torch.testing.assert_close(wider(x)[:, :24], x)
    assert not torch.allclose(wider(x)[:, 24:], x[:, :6])
    x = torch.rand(2, 30, 5, 5, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(further(x), x)
    lengths = wider.direction.flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths[:24], lengths[:1].expand(24))
    assert 0.7 < lengths[24:].mean() / lengths[0] < 1.3, "all directions turn about as fast"


@pytest.mark.parametrize(("shape", "expected"), [
    ((3, 32, 32), [(31, 31), (15, 15), (7, 7), (3, 3)]), ((1, 28, 28), [(27, 27), (13, 13), (6, 6), (3, 3)]),
    ((3, 9, 17), [(8, 16), (4, 8), (2, 4), (1, 2)])])
def test_maps_are_halved_once_for_each_width(shape, expected):
    assert maps_of(shape, 3) == expected
    model = override(RECIPE, ["model.widths=[4, 4, 4]", "model.pooling=none"]).model
    with torch.no_grad():
        features = build_discriminator(model, shape, 2, torch_generator(0))(torch.rand(2, *shape))[1]
    assert features.shape == (2, 4 * expected[-1][0] * expected[-1][1])


def test_images_that_are_too_small_for_its_widths_are_a_mistake_before_training():
    with pytest.raises(Mistake, match="airbench halves .* for each of its 3 widths, and of 8x6 pixels nothing is left"):
        small.trainer(override(RECIPE, ["model.widths=[4, 4, 4]"]))


@pytest.mark.parametrize("shape", [(2, 3, 6, 4), (2, 3, 7, 5)])
def test_of_odd_maps_the_last_row_or_column_is_left_out(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    height, width = (side // 2 * 2 for side in shape[2:])
    blocks = x[:, :, :height, :width].unflatten(2, (-1, 2)).unflatten(4, (-1, 2))
    torch.testing.assert_close(halved(x), blocks.amax((3, 5)))


def test_noise_of_deviation_zero_is_not_drawn():
    model = override(RECIPE, ["model.input_noise=0", "model.hidden_noise=0"]).model
    assert build_discriminator(model, (3, 12, 12), 4, None).noise_shapes(5) == []
    model = override(RECIPE, ["model.input_noise=0", "model.dropout=0.5"]).model
    shapes = build_discriminator(model, (3, 12, 12), 4, torch_generator(0)).noise_shapes(5)
    assert shapes == [(5, 6), (5, 4, 5, 5), (5, 6, 2, 2)]


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    trainer = small.trainer(RECIPE, small.FP32)
    for _ in range(3):
        trainer.step()
    assert trainer.failures() == []
    return TrainedModel.of_trainer(trainer)


def test_folded_and_saved_it_answers_as_trained(trained):
    x = small.dataset().test.gather(torch.arange(20))
    wanted, module = trained.classifier()(x), trained.discriminator()
    plain = fold(module)
    torch.testing.assert_close(plain(x)[0], wanted, rtol=0, atol=1e-5)
    kept = dict(plain.named_buffers())
    torch.testing.assert_close(kept["whitening"], module.state_dict()["whitening"])
    y = functional.conv2d(x, kept["whitening"], plain.whitening_bias)
    assert y.shape == (20, 16, 5, 7)
    torch.testing.assert_close(torch.cat([plain(each[None], Context())[0] for each in x]), wanted, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_what_is_exported_answers_as_the_trained_one(trained, kind, tmp_path):
    path, pixels = tmp_path / f"x.{kind}", small.dataset().test.pixels.numpy()
    assert export.export_classifier(trained.discriminator(), card_of(trained), kind, path, pixels).sound
    wanted = trained.classifier()(small.dataset().test.gather(torch.arange(20))).numpy()
    np.testing.assert_allclose(open_model(path).answer(pixels)[0], wanted, rtol=0, atol=1e-4)


def test_its_generator_is_the_convolutional_one_to_the_rounding():
    trainers = [small.trainer(override(RECIPE, [f"model.generator={name}"])) for name in ("family", "conv")]
    for trainer in trainers:
        trainer.step()
    torch.testing.assert_close(*(small.weights(trainer, "generator") for trainer in trainers), rtol=0, atol=1e-9)
