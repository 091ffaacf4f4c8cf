"""Affine changes against a loop over pixels, whole-pixel shifts and quarter turns."""

import math

import plain_images
import plain_networks
import pytest
import small
import torch

from ssgan.config import override
from ssgan.evaluation.classifier import evaluate
from ssgan.techniques import augmentation as augment
from ssgan.techniques.augmentation import Augmentation, draw_size, largest, strength, warp
from ssgan.training import draws as draws_module
from ssgan.training.trained_model import TrainedModel

ANGLE, SHEAR, SCALE_X, SCALE_Y, SHIFT_X, SHIFT_Y = range(6)  # the columns of a draw


def some(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def draws(n: int, seed: int) -> torch.Tensor:
    """n changes, drawn uniformly."""
    return torch.rand(n, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def only(n: int = 1, **columns: float) -> torch.Tensor:
    """A draw [n, 6] that is 0 but for the named columns."""
    draw = torch.zeros(n, 6, dtype=torch.float64)
    for name, value in columns.items():
        draw[:, globals()[name.upper()]] = value
    return draw


def forward_map(draw: torch.Tensor, config: Augmentation) -> tuple[torch.Tensor, torch.Tensor]:
    """Where a point p of the image goes, in pixels right and down from the centre: to matrix @ (p - shift)."""
    shift = draw[[SHIFT_X, SHIFT_Y]] * config.shift
    scale = torch.diag(1 + draw[[SCALE_X, SCALE_Y]] * config.scale)
    turn, lean = (math.radians(config.rotation) * draw[ANGLE].item(),
                  math.tan(math.radians(config.shear) * draw[SHEAR].item()))
    counterclockwise = torch.tensor([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]],
                                    dtype=torch.float64)
    shear = torch.tensor([[1.0, -lean], [0.0, 1.0]], dtype=torch.float64)
    return shear @ counterclockwise @ scale, shift


def by_pixel(image: torch.Tensor, draw: torch.Tensor, config: Augmentation) -> torch.Tensor:
    """One image [c, h, w], each pixel looked up where it comes from, between its four neighbours; outside is 0."""
    matrix, shift = forward_map(draw, config)
    back = torch.linalg.inv(matrix)
    height, width = image.shape[1:]
    centre = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=torch.float64)
    changed = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            x, y = (back @ (torch.tensor([column, row]) - centre) + shift + centre).tolist()
            for j in (math.floor(y), math.floor(y) + 1):
                for i in (math.floor(x), math.floor(x) + 1):
                    if 0 <= j < height and 0 <= i < width:
                        changed[:, row, column] += image[:, j, i] * (1 - abs(y - j)) * (1 - abs(x - i))
    return changed


@pytest.mark.parametrize("shape", [(7, 7), (6, 10), (9, 4)])
@pytest.mark.parametrize("config", [
    Augmentation(shift=2), Augmentation(rotation=50), Augmentation(scale=0.4), Augmentation(shear=35),
    Augmentation(shift=1.5, rotation=30, scale=0.3, shear=20)])
def test_changes_are_those_of_a_loop_over_pixels(shape, config):
    x = some(3, 2, *shape)
    draw = draws(3, 1)
    expected = torch.stack([by_pixel(image, row, config) for image, row in zip(x, draw)])
    torch.testing.assert_close(warp(x, draw, config), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_a_draw_of_zeros_changes_nothing(dtype, tolerance):
    x = some(2, 3, 5, 8).to(dtype)
    changed = warp(x, torch.zeros(2, 6, dtype=dtype), Augmentation(3, 90, 0.5, 45))
    assert changed.dtype == dtype
    torch.testing.assert_close(changed, x, rtol=0, atol=tolerance)


def test_settings_of_zero_change_nothing_whatever_is_drawn():
    x = some(4, 1, 6, 5)
    torch.testing.assert_close(warp(x, draws(4, 0), Augmentation()), x, rtol=0, atol=1e-12)


def test_a_shift_by_whole_pixels_moves_the_image_and_leaves_black():
    x = some(1, 2, 6, 9)
    left = warp(x, only(shift_x=1), Augmentation(shift=2))
    torch.testing.assert_close(left[..., :-2], x[..., 2:], rtol=0, atol=1e-12)
    assert left[..., -2:].abs().max() < 1e-12
    down = warp(x, only(shift_y=-1), Augmentation(shift=3))
    torch.testing.assert_close(down[..., 3:, :], x[..., :-3, :], rtol=0, atol=1e-12)
    assert down[..., :3, :].abs().max() < 1e-12


@pytest.mark.parametrize(("share", "turns"), [(0.5, 1), (1, 2), (-0.5, 3)])
def test_quarter_turns_are_counterclockwise(share, turns):
    x = some(2, 3, 6, 6)
    torch.testing.assert_close(warp(x, only(2, angle=share), Augmentation(rotation=180)),
                               torch.rot90(x, turns, (2, 3)), rtol=0, atol=1e-12)


def test_scale_enlarges_each_axis_by_its_own_share():
    """A bar of half the image fills it when it is doubled."""
    x = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    x[..., 2:6] = 1
    wide = warp(x, only(scale_x=1), Augmentation(scale=0.9))
    assert (wide > 0.5).sum().item() == 8 * 8 and (x > 0.5).sum().item() == 8 * 4
    torch.testing.assert_close(warp(x, only(scale_y=1), Augmentation(scale=0.9)), x, rtol=0, atol=1e-12)


def test_shear_leans_the_upper_half_to_the_right():
    x = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    x[..., 4] = 1
    leant = warp(x, only(shear=1), Augmentation(shear=45))
    torch.testing.assert_close(leant[0, 0], torch.eye(9, dtype=torch.float64).flip(1), rtol=0, atol=1e-12)


def test_augmentation_is_on_when_any_change_is_asked_for():
    assert not Augmentation().is_on()
    assert all(Augmentation(**{name: 0.1}).is_on() for name in ("shift", "rotation", "scale", "shear"))


@pytest.mark.parametrize("step, expected", [(0, 1), (50, 1), (75, 0.65), (99, 0.314)])
def test_changes_shrink_in_a_line_over_the_decay_to_their_end(step, expected):
    recipe = override(small.MLP, ["augment.end=0.3", "train.decay_from=0.5"])
    assert strength(recipe.augment, recipe.train.decay_from, step, 100) == pytest.approx(expected)
    assert strength(override(recipe, ["augment.end=1"]).augment, recipe.train.decay_from, step, 100) == 1


@pytest.mark.parametrize("step, expected", [(0, 0.2), (10, 0.6), (20, 1), (40, 1), (70, 0.8), (99, 0.6067)])
def test_changes_grow_in_a_line_over_their_share_of_the_run(step, expected):
    settings = ["augment.begin=0.2", "augment.grow=0.2", "augment.end=0.6", "train.decay_from=0.4"]
    assert strength(override(small.MLP, settings).augment, 0.4, step, 100) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("step, expected", [(0, 0.2), (25, 0.6), (40, 0.68), (49, 0.608), (60, 0.52)])
def test_where_changes_grow_and_shrink_at_once_the_smaller_counts(step, expected):
    config = override(small.MLP, ["augment.begin=0.2", "augment.grow=0.5", "augment.end=0.2"]).augment
    assert strength(config, 0.0, step, 100) == pytest.approx(expected, abs=1e-4), "no decay_from is needed"


@pytest.mark.parametrize("settings", [["augment.end=0.1"], ["augment.begin=0.1"],
                                      ["augment.begin=0.2", "augment.end=0.5"]])
def test_the_images_of_a_step_are_changed_by_its_strength(monkeypatch, settings):
    trainer = small.trainer(override(
        small.MLP, ["train.epochs=3", "train.batch=20", "train.decay_from=0.4", "augment.shift=1", *settings]))
    largest = []
    monkeypatch.setattr(augment, "warp", lambda x, draw, config: (
        largest.append(draw.abs().max().item()), warp(x, draw, config))[1])
    expected = [strength(trainer.recipe.augment, trainer.config.decay_from, step, trainer.steps)
                for step in range(trainer.steps)]
    for _ in expected:
        trainer.step()
    assert min(expected) < 0.3 and 0.95 < max(expected) <= 1
    assert largest == pytest.approx(expected, rel=0.05)  # of hundreds of uniform draws the largest is nearly 1


def lattice(x: float | torch.Tensor, y: float | torch.Tensor) -> torch.Tensor:
    """A draw [1, d] that displaces the lattice's points by x and y alone."""
    points = torch.stack([torch.as_tensor(value, dtype=torch.float64).expand(5, 5) for value in (x, y)])
    return torch.cat((torch.zeros(6, dtype=torch.float64), points.flatten()))[None]


def test_a_lattice_displaced_as_a_whole_is_a_shift():
    x = some(1, 2, 8, 9)
    moved = warp(x, lattice(1, -0.5), Augmentation(elastic=2))
    expected = torch.zeros_like(x)
    expected[:, :, 1:, :-2] = x[:, :, :-1, 2:]
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-12)


def test_each_pixel_under_a_point_of_the_lattice_goes_where_the_point_says():
    x, config = some(1, 2, 5, 5), Augmentation(elastic=1.5)
    displaced = torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 2 - 1
    moved = warp(x, lattice(*displaced), config)
    for row in range(5):
        for column in range(5):
            at = [column + 1.5 * displaced[0, row, column].item(), row + 1.5 * displaced[1, row, column].item()]
            left, top = math.floor(at[0]), math.floor(at[1])
            expected = sum(
                x[0, :, j, i] * (1 - abs(at[0] - i)) * (1 - abs(at[1] - j))
                for i in (left, left + 1) for j in (top, top + 1) if 0 <= i < 5 and 0 <= j < 5)
            torch.testing.assert_close(moved[0, :, row, column], torch.zeros(x.shape[1], dtype=x.dtype) + expected,
                                       rtol=0, atol=1e-12)


def test_a_draw_has_numbers_for_the_lattice_only_where_it_is_used():
    assert draw_size(Augmentation(shift=1)) == 6 and draw_size(Augmentation(elastic=1)) == 56
    assert Augmentation(elastic=1).is_on()


def changed(config: Augmentation, strength: float = 1.0, **kinds: tuple[torch.Tensor, torch.Tensor]):
    """The images by kind, changed by their draws."""
    numbers = {"strength": torch.tensor(strength, dtype=torch.float64)}
    return config.changed({kind: x for kind, (x, _) in kinds.items()}, {kind: d for kind, (_, d) in kinds.items()},
                          numbers)


def test_every_other_image_is_mirrored_by_a_number_of_its_own_and_then_changed_as_without():
    x, config = some(4, 1, 5, 7), Augmentation(shift=1, flip=True)
    assert Augmentation(flip=True).is_on() and config.change(None).shape == (7,)
    draw = torch.rand(4, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    draw[:, -1] = torch.tensor([0.0, 0.49, 0.5, 0.99])
    mirrored = torch.cat([x[:2].flip(-1), x[2:]])
    alone = changed(Augmentation(shift=1), unlabelled=(mirrored, draw[:, :-1]))
    torch.testing.assert_close(changed(config, unlabelled=(x, draw)), alone, rtol=0, atol=0)


def test_mirrored_alone_no_pixel_is_interpolated():
    x, draw = some(2, 1, 4, 4), torch.full((2, 7), 0.25, dtype=torch.float64)
    found = changed(Augmentation(flip=True, begin=0.0), 0.0, unlabelled=(x, draw))
    torch.testing.assert_close(found["unlabelled"], x.flip(-1), rtol=0, atol=1e-12)


def test_labelled_images_take_their_share_of_the_changes_and_the_others_all():
    x, y = some(3, 1, 6, 6), some(2, 1, 6, 6) + 1
    draw = torch.rand(5, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    config = Augmentation(shift=2, rotation=20, scale=0.2, shear=10, labelled=0.25)
    found = changed(config, labelled=(x, draw[:3]), unlabelled=(y, draw[3:]))
    torch.testing.assert_close(found["labelled"], warp(x, (draw[:3] * 2 - 1) / 4, config), rtol=0, atol=1e-12)
    torch.testing.assert_close(found["unlabelled"], warp(y, draw[3:] * 2 - 1, config), rtol=0, atol=1e-12)


COLUMNS = {"warp": 6, "colour": 3, "cutout": 2, "chosen": 3, "flip": 1}


def test_colours_and_the_cutout_come_after_the_shift_and_stay_within_0_and_1():
    x = some(3, 3, 6, 8)
    config = Augmentation(shift=2, whole=True, border="reflected", brightness=0.6, contrast=0.5, saturation=1,
                          cutout=0.4)
    assert config.change(None).shape == (11,)
    draw = torch.rand(3, 11, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    expected = []
    for image, row in zip(x, draw.tolist()):
        image = plain_images.moved(image, *(math.floor(5 * u) - 2 for u in row[4:6]), "reflected")
        amounts = (value * (2 * u - 1) for value, u in zip((0.6, 0.5, 1), row[6:9]))
        expected.append(plain_images.cut(plain_images.coloured(image, *amounts).clamp(0, 1), row[9], row[10], 0.4))
    found = changed(config, unlabelled=(x, draw))["unlabelled"]
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-12)
    assert found.min() == 0 or found.max() == 1


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_on_labelled_images_and_early_in_the_run_colours_and_the_cutout_are_weaker_too(strength):
    x = some(2, 3, 8, 8) / 4 + 0.3
    draw = torch.full((2, 11), 0.5, dtype=torch.float64)
    draw[:, 6] = 1.0
    config = Augmentation(brightness=0.2, cutout=0.5, whole=True, labelled=0.5, begin=0.1)
    found = changed(config, strength, labelled=(x, draw), unlabelled=(x, draw))
    for kind, share in (("labelled", 0.5 * strength), ("unlabelled", strength)):
        expected = [plain_images.cut(image + 0.2 * share, 0.5, 0.5, 0.5 * share) for image in x]
        torch.testing.assert_close(found[kind], torch.stack(expected), rtol=0, atol=1e-12)


def test_whole_shifts_beside_a_warp_are_no_part_of_it():
    x, draw = some(2, 1, 6, 8), torch.rand(2, 6, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    found = changed(Augmentation(shift=2, whole=True, rotation=30), unlabelled=(x, draw))["unlabelled"]
    turned = changed(Augmentation(rotation=30), unlabelled=(x, draw))["unlabelled"]
    expected = [plain_images.moved(image, *(math.floor(5 * u) - 2 for u in row), "black")
                for image, row in zip(turned, draw[:, 4:].tolist())]
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-12)


def test_each_image_takes_as_many_changes_as_are_chosen_and_always_its_shift_and_mirroring():
    settings = {"rotation": 30.0, "brightness": 0.1, "cutout": 0.4}
    config = Augmentation(shift=2, flip=True, whole=True, chosen=1, **settings)
    assert config.to_choose() == tuple(settings) and config.change(None).shape == (sum(COLUMNS.values()),)
    x = some(3, 3, 8, 8) / 2 + 0.2
    draw = torch.rand(3, 15, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    its = dict(zip(COLUMNS, draw.split(list(COLUMNS.values()), 1)))
    its["chosen"].copy_(torch.tensor([[0.9, 0.1, 0.2], [0.1, 0.9, 0.3], [0.3, 0.1, 0.4]]))
    found = changed(config, unlabelled=(x, draw))["unlabelled"]
    for i, name in enumerate(settings):
        alone = Augmentation(shift=2, flip=True, whole=True, **{name: settings[name]})
        wanted = [its[part][i:i + 1] for part in COLUMNS if part in ("warp", "flip") or part == {
            "brightness": "colour", "cutout": "cutout"}.get(name)]
        expected = changed(alone, unlabelled=(x[i:i + 1], torch.cat(wanted, 1)))["unlabelled"]
        torch.testing.assert_close(found[i:i + 1], expected, rtol=0, atol=1e-12)


def test_the_largest_of_each_row_are_taken():
    draw = torch.tensor([[0.3, 0.1, 0.2], [0.7, 0.8, 0.9]])
    assert largest(draw, 2).tolist() == [[1, 0, 1], [0, 1, 1]]
    assert largest(draw, 3).tolist() == largest(draw, 5).tolist() == [[1, 1, 1], [1, 1, 1]]


def test_every_new_change_switches_it_on():
    assert all(Augmentation(**{name: 0.1}).is_on() for name in ("brightness", "contrast", "saturation", "cutout"))
    assert not Augmentation(chosen=2, whole=True, border="reflected").is_on()


ALL = ["augment.shift=2", "augment.whole=true", "augment.flip=true", "augment.brightness=0.5", "augment.contrast=0.5",
       "augment.cutout=0.5", "augment.rotation=20", "augment.chosen=2"]


def test_lanes_change_their_images_as_each_alone_does():
    recipe = override(small.CONV, [*ALL, "consistency.weight=1", "consistency.start=0"])
    together = small.trainer(recipe, seeds=(3, 4))
    alone = [small.trainer(recipe, seeds=(seed,)) for seed in (3, 4)]
    for trainer in (together, *alone):
        trainer.step()
        trainer.step()
    for lane, each in enumerate(alone):
        torch.testing.assert_close(small.weights(together)[lane], small.weights(each)[0], rtol=0, atol=1e-9)


def test_images_that_are_tested_and_those_a_teacher_sees_are_as_they_are(monkeypatch):
    """Whatever changes the images of training, an error is measured on the test set as it lies there."""
    trainer, data = small.trainer(override(small.CONV, [*ALL, "consistency.weight=1"]), small.FP32), small.dataset()
    trainer.step()
    drawn = trainer._draw()["discriminator"][0]
    index = trainer.feed._indices(0, trainer.numbers["step"])
    raw = data.train.gather(index[draws_module.ROWS["unlabelled"]])
    torch.testing.assert_close(drawn["plain"]["unlabelled"], raw)
    assert not torch.allclose(drawn["images"]["unlabelled"], raw)

    before = data.test.pixels.clone()
    monkeypatch.setattr(Augmentation, "changed", None)
    model = TrainedModel.of_trainer(trainer)
    found = evaluate(model.classifier(), data.test, torch.arange(20))
    x = data.test.gather(torch.arange(20))
    weights = {name: value.double() for name, value in model.weights["discriminator"].items()}
    answers = plain_networks.discriminator(trainer.recipe, weights, x.double(), None)[0].argmax(1)
    assert found.error == pytest.approx((answers != data.test.labels).double().mean().item())
    assert torch.equal(data.test.pixels, before)
