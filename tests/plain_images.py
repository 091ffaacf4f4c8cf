"""Changes of images once more, slow and plain: one image at a time, pixel by pixel."""

import math

import torch
from torch import Tensor


def mirrored(i: int, side: int) -> int:
    """A place on a line whose ends are mirrors, at the outer edges of the first and last pixel."""
    return -1 - i if i < 0 else 2 * side - 1 - i if i >= side else i


def moved(image: Tensor, right: int, down: int, border: str) -> Tensor:
    """Every pixel of one image [c, h, w] comes from so many pixels further right and down."""
    _, height, width = image.shape
    rows = []
    for row in range(height):
        pixels = []
        for column in range(width):
            y, x = row + down, column + right
            inside = 0 <= y < height and 0 <= x < width
            pixel = image[:, mirrored(y, height), mirrored(x, width)]
            pixels.append(pixel if inside or border == "reflected" else 0 * pixel)
        rows.append(torch.stack(pixels, 1))
    return torch.stack(rows, 1)


def coloured(image: Tensor, brightness: float, contrast: float, saturation: float) -> Tensor:
    """One image [c, h, w]: brightness, then saturation, then contrast."""
    image = image + brightness
    grey = sum(image) / len(image)
    image = torch.stack([channel + saturation * (channel - grey) for channel in image])
    mean = image.sum() / image.numel()
    return image + contrast * (image - mean)


def cut(image: Tensor, across: float, down: float, side: float) -> Tensor:
    """One image [c, h, w] with a grey square about that point; all in shares of the image's sides."""
    _, height, width = image.shape
    image = image.clone()
    for row in range(height):
        for column in range(width):
            if abs((row + 0.5) / height - down) < side / 2 and abs((column + 0.5) / width - across) < side / 2:
                image[:, row, column] = 0.5
    return image


def changed(settings, images: Tensor, draws: Tensor) -> Tensor:
    """What [diff_augment] makes of images [n, c, h, w] by draws [n, 7]."""
    found, farthest = [], round(settings.shift)
    for image, draw in zip(images, draws.tolist()):
        right, down = (math.floor(u * (2 * farthest + 1)) - farthest for u in draw[:2])
        image = moved(image, right, down, settings.border)
        brightness, contrast, saturation = (2 * u - 1 for u in draw[2:5])
        image = coloured(image, settings.brightness * brightness, settings.contrast * contrast,
                         settings.saturation * saturation)
        found.append(cut(image, draw[5], draw[6], settings.cutout))
    return torch.stack(found)
