"""Affine changes against a loop over pixels, whole-pixel shifts and quarter turns."""

import math

import pytest
import small
import torch

from ssgan.config import override
from ssgan.techniques import augmentation as augment
from ssgan.techniques.augmentation import Augmentation, draw_size, strength, warp

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
