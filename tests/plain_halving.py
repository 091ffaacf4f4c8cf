"""The pairs whose maps are halved and doubled, slow and plain: `dcgan`, and `multiscale`, whose images carry their
smaller scales below them. Test images are no higher than they are wide, so that higher ones are known to be packed.
"""

import plain_networks as plain
import torch
from torch import Tensor

from ssgan.config import Recipe

Weights = dict[str, Tensor]


def averaged(x: Tensor) -> Tensor:
    """Over 2x2 pixels."""
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


def packed(scales: list[Tensor]) -> Tensor:
    """The whole image above, the others below it from left to right."""
    whole = scales[0]
    n, c, height, width = whole.shape
    found = torch.zeros(n, c, height + height // 2, width, dtype=whole.dtype)
    found[:, :, :height] = whole
    left = 0
    for x in scales[1:]:
        found[:, :, height:height + x.shape[2], left:left + x.shape[3]] = x
        left += x.shape[3]
    return found


def like(x: Tensor, other: Tensor) -> Tensor:
    """With its averages, where the other has scales."""
    if other.shape[2] == x.shape[2]:
        return x
    scales = [x]
    while scales[-1].shape[2] % 2 == 0 and scales[-1].shape[3] % 2 == 0:
        scales.append(averaged(scales[-1]))
    return packed(scales)


def scales_of(x: Tensor, count: int) -> list[Tensor]:
    """So many scales of images, packed or whole."""
    height = x.shape[2] if x.shape[2] <= x.shape[3] else x.shape[2] * 2 // 3
    scales = [x[:, :, :height]]
    if x.shape[2] == height:
        while len(scales) < count:
            scales.append(averaged(scales[-1]))
        return scales
    left = 0
    for _ in range(count - 1):
        rows, columns = scales[-1].shape[2] // 2, scales[-1].shape[3] // 2
        scales.append(x[:, :, height:height + rows, left:left + columns])
        left += columns
    return scales


def framed(x: Tensor, halvings: int) -> Tensor:
    """In the middle of a black canvas, whose odd row and column are below and at the right."""
    height, width = (-(-side // 2**halvings) * 2**halvings for side in x.shape[2:])
    above, left = (height - x.shape[2]) // 2, (width - x.shape[3]) // 2
    found = torch.zeros(*x.shape[:2], height, width, dtype=x.dtype)
    found[:, :, above:above + x.shape[2], left:left + x.shape[3]] = x
    return found


def discriminator_maps(recipe: Recipe, weights: Weights, x: Tensor, noise: Tensor, masks,
                       hidden: list[Tensor]) -> Tensor:
    """The last map; its layers' activations are appended to `hidden`."""
    model, halvings = recipe.model, len(recipe.model.widths)
    scales = [framed(x, halvings)] if model.family == "dcgan" else scales_of(x, halvings)
    if model.image_range == "signed":
        scales = [x * 2 - 1 for x in scales]
    x = plain.drop(scales[0] + model.input_noise * noise, model.input_dropout, masks)
    for i, name in enumerate(plain.layers(weights)):
        strided = weights[f"{name}.direction" if f"{name}.direction" in weights else f"{name}.weight"].shape[-1] == 4
        if i == 0 and model.norm in ("batch", "virtual"):
            y = plain.convolution(weights[f"{name}.weight"], weights[f"{name}.bias"], x, 2)
        else:
            y = plain.conv_hidden(recipe, weights, name, x, 2 if strided else 1)
        x = torch.where(y > 0, y, (0 if model.activation == "relu" else 0.2) * y)
        hidden.append(x)
        x = plain.drop(x, model.dropout if strided else 0, masks)
        if len(scales) > i + 1:
            x = torch.cat([x, scales[i + 1]], 1)
    return x


def transposed(weight: Tensor, x: Tensor) -> Tensor:
    """A 4x4 transposed convolution of stride 2, weights [in, out, 4, 4], place by place of the kernel."""
    n, _, height, width = x.shape
    wide = torch.zeros(n, weight.shape[1], 2 * height + 2, 2 * width + 2, dtype=x.dtype)
    for row in range(4):
        for column in range(4):
            part = torch.einsum("nihw,io->nohw", x, weight[:, :, row, column])
            wide[:, :, row:row + 2 * height:2, column:column + 2 * width:2] += part
    return wide[:, :, 1:-1, 1:-1]


def doubled(weights: Weights, name: str, x: Tensor) -> Tensor:
    """The norms of weights have them the other way round."""
    weight = plain.normalised(weights, name)
    bias = weights.get(f"{name}.bias", torch.zeros(()))
    turned = f"{name}.u" in weights or f"{name}.direction" in weights
    return transposed(weight.transpose(0, 1) if turned else weight, x) + bias.reshape(
        [1, -1, 1, 1] if bias.dim() else [])


def generator_images(recipe: Recipe, weights: Weights, latent: Tensor, shape: tuple[int, int, int], masks,
                     first: int) -> list[Tensor]:
    """The images of latent vectors behind the first ones, the smallest scale first."""
    share, names = recipe.model.generator_dropout, plain.layers(weights)
    doublings = len(names) + (recipe.model.family == "dcgan")
    start = [-(-side // 2**doublings) for side in shape[1:]]
    x, images = plain.generated_product(recipe, weights, "dense", latent).reshape(len(latent), -1, *start), []
    for i, name in enumerate(["dense", *names]):
        x = doubled(weights, name, x) if i else x
        x = plain.drop(plain.activated(recipe, plain.generated_norm(recipe, weights, i, x), "conv"), share, masks)
        if recipe.model.family == "multiscale":
            y = torch.einsum("nihw,oi->nohw", x[first:], weights[f"outputs.{i}.weight"][:, :, 0, 0])
            images.append(plain.picture(recipe, y + weights[f"outputs.{i}.bias"].reshape(1, -1, 1, 1)))
    if images:
        return images
    y = doubled(weights, "output", x)[first:]
    above, left = ((side - want) // 2 for side, want in zip(y.shape[2:], shape[1:]))
    return [plain.picture(recipe, y[:, :, above:above + shape[1], left:left + shape[2]])]
