"""The paper's pairs for colour once more, slow and plain, as functions of their named weights: torch.nn's layers, one
image at a time where images do not depend on each other.
"""

import torch
from plain_networks import Noise, Weights, drop, normalised
from torch import Tensor, nn

from ssgan.config import Recipe

CONV9 = [(3, 1, 1), (3, 1, 1), (3, 2, 1), (3, 1, 1), (3, 1, 1), (3, 2, 1), (3, 1, 0), (1, 1, 0), (1, 1, 0)]


def loaded(layer: nn.Module, weight: Tensor, bias: Tensor | None = None) -> nn.Module:
    """One of torch's layers with these weights."""
    layer = layer.double()
    layer.weight = nn.Parameter(weight, requires_grad=False)
    if layer.bias is not None:
        layer.bias = nn.Parameter(torch.zeros(len(layer.bias)).double() if bias is None else bias, requires_grad=False)
    return layer


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def conv9_discriminator(recipe: Recipe, weights: Weights, x: Tensor, noise: Noise | None = None):
    """Logits and features: dropout on the input, behind layer 3 and behind layer 6, by the draws in that order."""
    masks, model = iter(noise or ()), recipe.model
    x = drop(2 * x - 1, model.input_dropout, masks)
    for i, (kernel, stride, padding) in enumerate(CONV9):
        weight = normalised(weights, f"hidden.{i}")
        layer = nn.Conv2d(weight.shape[1], weight.shape[0], kernel, stride, padding)
        x = leaky(loaded(layer, weight, weights[f"hidden.{i}.bias"])(x))
        if stride == 2:
            x = drop(x, model.dropout, masks)
    features = x.sum((2, 3)) / (x.shape[2] * x.shape[3])
    return features @ normalised(weights, "output").T + weights["output.bias"], features


def deconvolved(weight: Tensor, bias: Tensor | None, x: Tensor, stride: int = 2) -> Tensor:
    """By torch's layer, which has a weight's inputs first."""
    layer = nn.ConvTranspose2d(weight.shape[1], weight.shape[0], 5, stride, padding=2, output_padding=stride - 1)
    return loaded(layer, weight.transpose(0, 1), bias)(x)


def conv9_generator(recipe: Recipe, weights: Weights, latent: Tensor, shape) -> Tensor:
    """Images of `shape`: batch norm behind the dense layer is by unit."""
    def normed(x: Tensor, name: str) -> Tensor:
        layer = nn.BatchNorm1d if x.dim() == 2 else nn.BatchNorm2d
        return loaded(layer(x.shape[1], eps=1e-6), torch.ones(x.shape[1]).double(), weights[f"{name}.shift"])(x)

    count = len(recipe.model.generator_widths)
    start = [-(-side // 2 ** count) for side in shape[1:]]
    x = normed(latent @ weights["dense.weight"].T, "norms.0").clamp(min=0).reshape(len(latent), -1, *start)
    for i in range(count - 1):
        x = normed(deconvolved(weights[f"hidden.{i}.weight"], None, x), f"norms.{i + 1}").clamp(min=0)
    x = deconvolved(normalised(weights, "output"), weights["output.bias"], x)
    return (torch.tanh(x) + 1)[:, :, : shape[1], : shape[2]] / 2


def imagenet_discriminator(recipe: Recipe, weights: Weights, x: Tensor, generated: int, noise: Tensor | None = None):
    """Logits and features of real images and so many generated ones behind them."""
    model, real = recipe.model, len(x) - generated
    x = 2 * x - 1
    if noise is not None:
        x = x + model.input_noise * noise
    for i, stride in enumerate((2, 2, 2, 1, 1, 2, 2)):
        weight = weights[f"hidden.{i}.weight"]
        x = loaded(nn.Conv2d(weight.shape[1], weight.shape[0], 3, stride, 1, bias=False), weight)(x)
        x = leaky(crossed(weights, f"hidden.{i}", x, real))
    h = leaky(crossed(weights, "hidden.7", x.reshape(len(x), -1) @ weights["hidden.7.weight"].T, real))
    kernels, dimensions = model.minibatch_kernels, model.minibatch_dimensions
    matrix, rows = weights["minibatch.weight"], []
    for i in range(len(h)):
        near = {"real": [], "made": []}
        for j in range(len(h)):
            if i != j:
                apart = ((h[i] - h[j]) @ matrix.T).abs().reshape(dimensions, kernels).sum(0)
                near["real" if j < real else "made"].append(torch.exp(-apart) / 31)
        rows.append(torch.cat([h[i], *(torch.stack(half).mean(0) if half else torch.zeros(kernels).double()
                                       for half in near.values())]))
    return torch.stack(rows) @ weights["output.weight"].T + weights["output.bias"], h


def crossed(weights: Weights, name: str, y: Tensor, real: int) -> Tensor:
    """Batch norm, unit by unit: the first half's statistics are the real images', the others' the generated ones'."""
    units = []
    for unit in range(y.shape[1]):
        kind = y[:real, unit] if unit < y.shape[1] // 2 or real == len(y) else y[real:, unit]
        units.append((y[:, unit] - kind.mean()) / (kind.var(correction=0) + 1e-5).sqrt()
                     * weights[f"{name}.gain"][unit] + weights[f"{name}.shift"][unit])
    return torch.stack(units, 1)


def imagenet_generator(recipe: Recipe, weights: Weights, latent: Tensor, shape) -> Tensor:
    """Images of `shape` by virtual batch norm, each seen alone with the reference batch."""
    widths, references = recipe.model.generator_widths, weights["reference"]
    scales = len(widths)
    sides = [shape[1] // 2 ** (scales - 1 - i) for i in range(scales)]
    channels = [max(1, widths[-1] // (1, 1, 2, 4, 8, 8)[i]) for i in range(scales)]

    def normed(name: str, x: Tensor) -> Tensor:
        axes, first, wide = [0, *range(2, x.dim())], len(references), [-1] + [1] * (x.dim() - 2)
        known, square = x[:first].mean(axes), (x[:first] ** 2).mean(axes)
        found = []
        for i, row in enumerate(x):
            share = 1 / (first + 1) if i >= first else 0
            own = row.reshape(len(row), -1)
            mean = (1 - share) * known + share * own.mean(1)
            variance = (1 - share) * square + share * (own ** 2).mean(1) - mean ** 2
            row = (row - mean.reshape(wide)) / (variance + 1e-5).sqrt().reshape(wide)
            found.append(row * weights[f"{name}.gain"].reshape(wide) + weights[f"{name}.shift"].reshape(wide))
        return torch.stack(found)

    def image(one: Tensor) -> Tensor:
        z = 2 * torch.cat([references, one[None]]) - 1
        x = (z[:, :recipe.model.latent] @ weights["dense.weight"].T).reshape(len(z), -1, sides[0], sides[0])
        place = recipe.model.latent
        for i, (side, count) in enumerate(zip(sides, channels)):
            if i:
                x = deconvolved(weights[f"hidden.{i - 1}.weight"], None, x)
            joined = z[:, place: place + count * side ** 2].reshape(len(z), count, side, side)
            x, place = torch.cat([normed(f"norms.{i}", x).clamp(min=0), joined], 1), place + count * side ** 2
        assert place == z.shape[1]
        return (torch.tanh(deconvolved(weights["output.weight"], weights["output.bias"], x, stride=1)[-1]) + 1) / 2

    return torch.stack([image(one) for one in latent])
