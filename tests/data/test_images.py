"""Images: gathering against a plain loop, the content hash, devices."""

import numpy as np
import pytest
import torch

from ssgan.data.images import Images

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


def some_images(n: int = 7, device: str = "cpu") -> Images:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, 3, 4, 5), generator=generator, dtype=torch.uint8)
    return Images.of(pixels, torch.arange(n) % 3 - 1, ("cat", "dog")).to(device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", [(), (0,), (6,), (2, 3), (2, 1, 4)])
def test_gather_gives_each_indexed_image_scaled_to_one(shape, device):
    images = some_images(device=device)
    index = torch.randint(0, len(images), shape, generator=torch.Generator().manual_seed(1))
    gathered = images.gather(index)
    assert gathered.shape == (*shape, 3, 4, 5) and gathered.dtype == torch.float32 and gathered.device.type == device
    for place in np.ndindex(*shape):
        expected = images.pixels[int(index[place])].cpu().numpy() / np.float32(255)
        np.testing.assert_array_equal(gathered[place].cpu().numpy(), expected)


def test_gather_covers_zero_to_one():
    images = Images.of(torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1),
                       torch.zeros(3, dtype=torch.int64), ("a",))
    assert images.gather(torch.arange(3)).flatten().tolist() == pytest.approx([0, 0.2, 1])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_gather_in_another_type_is_the_rounded_quotient(dtype):
    images = Images.of(torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1), torch.zeros(256, dtype=torch.int64),
                       ("a",))
    exact = torch.arange(256, dtype=torch.float64) / 255
    gathered = images.gather(torch.arange(256), dtype=dtype)
    assert gathered.dtype == dtype
    assert torch.equal(gathered.flatten(), exact.to(dtype))


@pytest.mark.parametrize("bad", [7, -1])
def test_gather_refuses_an_index_outside(bad):
    with pytest.raises((IndexError, RuntimeError)):
        some_images(7).gather(torch.tensor([0, bad]))


def test_gathering_leaves_the_pixels_as_they_are():
    images = some_images()
    images.gather(torch.arange(len(images))).zero_()
    assert torch.equal(images.pixels, some_images().pixels)


def test_hash_depends_on_every_part_of_the_content_and_on_nothing_else():
    pixels = torch.randint(0, 256, (6, 1, 2, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels = torch.tensor([0, 1, 0, 1, -1, -1])
    changed = pixels.clone()
    changed[5, 0, 1, 7] ^= 1
    variants = [
        Images.of(pixels, labels, ("cat", "dog")),
        Images.of(changed, labels, ("cat", "dog")),
        Images.of(pixels.view(6, 1, 4, 4), labels, ("cat", "dog")),
        Images.of(pixels.flip(0), labels, ("cat", "dog")),
        Images.of(pixels, labels.flip(0), ("cat", "dog")),
        Images.of(pixels, labels, ("dog", "cat")),
        Images.of(pixels, labels, ("cat", "dog", "owl")),
    ]
    assert len({images.sha256 for images in variants}) == len(variants)
    elsewhere = pixels.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)  # the same values, laid out otherwise
    assert Images.of(elsewhere, labels.clone(), ("cat", "dog")).sha256 == variants[0].sha256


@pytest.mark.parametrize("device", DEVICES)
def test_moving_keeps_content(device):
    images = some_images()
    moved = images.to(device)
    assert moved.pixels.device.type == device and moved.labels.device.type == device
    assert moved.sha256 == images.sha256 == Images.of(moved.pixels, moved.labels, moved.classes).sha256
    assert len(moved) == 7 and moved.shape == (3, 4, 5) and moved.classes == ("cat", "dog")
    assert torch.equal(moved.labels.cpu(), images.labels)
