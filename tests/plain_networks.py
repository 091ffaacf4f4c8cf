"""The networks once more, slow and plain, as functions of their named weights."""

import itertools
from statistics import NormalDist

import plain_airbench
import plain_halving
import torch
from torch import Tensor
from torch.nn import functional

from ssgan.config import Recipe

HALVING = ("dcgan", "multiscale")
Weights = dict[str, Tensor]
Noise = list[Tensor]  # one tensor of standard normal draws a site


def normalised(weights: Weights, name: str) -> Tensor:
    """W = g v / |v|, row by row; or W / sigma with sigma = u W v; or W."""
    if f"{name}.weight" in weights and f"{name}.u" not in weights:
        return weights[f"{name}.weight"]
    if f"{name}.u" in weights:
        matrix = weights[f"{name}.weight"].flatten(1)
        v = matrix.detach().T @ weights[f"{name}.u"]
        sigma = (weights[f"{name}.u"] * (matrix @ (v / (v * v).sum().sqrt()))).sum()
        return weights[f"{name}.weight"] / sigma
    directions, scales = weights[f"{name}.direction"], weights[f"{name}.scale"]
    return torch.stack([g * v / (v * v).sum().sqrt() for v, g in zip(directions, scales)])


def layers(weights: Weights) -> list[str]:
    """The names of the hidden layers, in order."""
    return list(itertools.takewhile(
        lambda name: any(key.startswith(f"{name}.") for key in weights), (f"hidden.{i}" for i in itertools.count())))


def dense(weights: Weights, name: str, x: Tensor) -> Tensor:
    plain_weight = f"{name}.weight" in weights and f"{name}.u" not in weights
    weight = weights[f"{name}.weight"] if plain_weight else normalised(weights, name)
    return torch.einsum("nf,of->no", x, weight) + weights[f"{name}.bias"]


def transposed(weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    """A transposed 4x4 convolution of stride 2, number by number: each is spread over 4x4 pixels of a map twice as
    large, whose first row and column are cut off; weight [out, in, 4, 4].
    """
    height, width = x.shape[2:]
    rows = []
    for image in x:
        pad = torch.zeros(weight.shape[0], 2 * height + 2, 2 * width + 2, dtype=x.dtype)
        for i in range(height):
            for j in range(width):
                spread = torch.einsum("c,ocab->oab", image[:, i, j], weight)
                pad = pad + functional.pad(spread, (2 * j, 2 * width - 2 - 2 * j, 2 * i, 2 * height - 2 - 2 * i))
        rows.append(pad[:, 1:-1, 1:-1])
    y = torch.stack(rows)
    return y if bias is None else y + bias.reshape(1, -1, 1, 1)


def averaged(x: Tensor, square: int) -> Tensor:
    """The mean over squares of so many pixels a side, at the edges over what there is."""
    height, width = (-(-side // square) for side in x.shape[2:])
    return torch.stack([torch.stack([x[:, :, square * i: square * (i + 1), square * j: square * (j + 1)].mean((2, 3))
                                     for j in range(width)], -1) for i in range(height)], -2)


def convolution(weight: Tensor, bias: Tensor | None, x: Tensor, stride: int, border: int = 1) -> Tensor:
    """A convolution over x with a border of so many zeros, patch by patch."""
    out, kernel = weight.shape[0], weight.shape[-1]
    patches = functional.unfold(x, kernel, padding=border, stride=stride)  # [n, c * 9, places]
    y = torch.einsum("of,nfp->nop", weight.reshape(out, -1), patches)
    height, width = ((side + 2 * border - kernel) // stride + 1 for side in x.shape[-2:])
    y = y.reshape(len(x), out, height, width)
    return y if bias is None else y + bias.reshape(1, -1, 1, 1)


def normed_by_batch(recipe: Recipe, weights: Weights, name: str, y: Tensor) -> Tensor:
    """Unit by unit; row by row where the norm is by a reference batch, whose rows are the first ones."""
    gain = weights.get(f"{name}.gain", torch.ones(()))
    wide = [1, -1] + [1] * (y.dim() - 2)
    if recipe.model.norm == "batch":
        rows = [(row, list(y)) for row in y]
    else:
        first = recipe.model.reference_images
        own = [[row] if recipe.model.reference_itself and i >= first else [] for i, row in enumerate(y)]
        rows = [(row, [*y[:first], *more]) for row, more in zip(y, own)]
    found = []
    for row, others in rows:
        values = torch.stack(others).movedim(1, 0).flatten(1)  # [out, ...]
        mean = values.sum(1) / values.shape[1]
        variance = ((values - mean[:, None]) ** 2).sum(1) / values.shape[1]
        found.append((row - mean.reshape(wide[1:])) / (variance + 1e-5).sqrt().reshape(wide[1:]))
    return gain.reshape(wide if gain.dim() else []) * torch.stack(found) + weights[f"{name}.shift"].reshape(wide)


def dense_hidden(recipe: Recipe, weights: Weights, name: str, x: Tensor) -> Tensor:
    if recipe.model.norm in ("batch", "virtual"):
        return normed_by_batch(recipe, weights, name, torch.einsum("nf,of->no", x, weights[f"{name}.weight"]))
    return dense(weights, name, x)


def conv_hidden(recipe: Recipe, weights: Weights, name: str, x: Tensor, stride: int) -> Tensor:
    if recipe.model.norm == "none":
        return convolution(weights[f"{name}.weight"], weights[f"{name}.bias"], x, stride)
    if recipe.model.norm in ("batch", "virtual"):
        return normed_by_batch(recipe, weights, name, convolution(weights[f"{name}.weight"], None, x, stride))
    return convolution(normalised(weights, name), weights[f"{name}.bias"], x, stride)


def discriminator(recipe: Recipe, weights: Weights, x: Tensor, noise: Noise | None,
                  hidden: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """Logits and features of images; `hidden` is filled with every hidden layer's activations. A reference batch goes
    before them, and noise is for it too.
    """
    if recipe.model.norm != "virtual":
        return judged(recipe, weights, x, noise, hidden)
    first, inner = recipe.model.reference_images, []
    said = judged(recipe, weights, torch.cat([plain_halving.like(weights["reference"], x), x]), noise, inner)
    if hidden is not None:
        hidden.extend(each[first:] for each in inner)
    return said[0][first:], said[1][first:]


def pair(recipe: Recipe, weights: Weights, real: Tensor, fake: Tensor, noises: tuple[Noise, Noise],
         hidden: tuple[list[Tensor], list[Tensor]] = ((), ())) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Logits and features of unlabelled and of generated images, which batch norm may have in one batch."""
    if recipe.model.norm != "batch" or recipe.model.norm_batches == "apart":
        return tuple(discriminator(recipe, weights, *each) for each in zip((real, fake), noises, map(_list, hidden)))
    inner, count = [], len(real)
    said = discriminator(recipe, weights, torch.cat([real, fake]), [torch.cat(each) for each in zip(*noises)], inner)
    for number, rows in enumerate((slice(count), slice(count, None))):
        _list(hidden[number]).extend(each[rows] for each in inner)
    return tuple(each[:count] for each in said), tuple(each[count:] for each in said)


def _list(hidden) -> list[Tensor]:
    return hidden if isinstance(hidden, list) else []


def judged(recipe: Recipe, weights: Weights, x: Tensor, noise: Noise | None,
           hidden: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """The same of all the images of a pass."""
    hidden = [] if hidden is None else hidden
    model = recipe.model
    count = len(layers(weights)) + 1 if model.family == "mlp" else 2
    if model.family == "airbench":  # draws nothing for noise that it has not
        count = (model.input_noise > 0) + (model.hidden_noise > 0)
    draws = list(noise or [torch.zeros(())] * count)
    draws, masks = draws[:count], iter(draws[count:])
    if model.family in HALVING:
        x = plain_halving.discriminator_maps(recipe, weights, x, draws[0], masks, hidden)
        return last_answers(recipe, weights, x, draws[1])
    if model.image_range == "signed":
        x = x * 2 - 1
    if model.family == "mlp":
        x = drop(x.reshape(len(x), -1) + model.input_noise * draws[0], model.input_dropout, masks)
        for draw, name in zip(draws[1:], layers(weights)):
            features = rectified(recipe, dense_hidden(recipe, weights, name, x), "mlp")
            hidden.append(features)
            last = name == layers(weights)[-1]
            x = (compared(recipe, weights, features) if last else features) + model.hidden_noise * draw
            x = drop(x, model.dropout, masks)
        return dense(weights, "output", x), features
    if model.family == "airbench":
        return plain_airbench.answers(recipe, weights, x, draws, masks, hidden)
    x = drop(x + model.input_noise * draws[0], model.input_dropout, masks)
    for i, name in enumerate(layers(weights)):
        stride = model.strides[i % len(model.strides)]
        mean = model.downsampling == "average"
        x = rectified(recipe, conv_hidden(recipe, weights, name, x, 1 if mean else stride), "conv")
        x = averaged(x, stride) if mean else x
        hidden.append(x)
        x = drop(x, model.dropout if stride > 1 else 0, masks)
    return last_answers(recipe, weights, x, draws[1])


def last_answers(recipe: Recipe, weights: Weights, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and features of convolutions' last map."""
    features = pooled(recipe, x)
    return dense(weights, "output", compared(recipe, weights, features) + recipe.model.hidden_noise * noise), features


def pooled(recipe: Recipe, x: Tensor) -> Tensor:
    """A map as features."""
    rows = x.flatten(2)
    if recipe.model.pooling == "none":
        return x.reshape(len(x), -1)
    return rows.sum(2) / rows.shape[2] if recipe.model.pooling == "mean" else rows.max(2)[0]


def rectified(recipe: Recipe, x: Tensor, family: str) -> Tensor:
    """A discriminator's activation."""
    leaky = {"mlp": False, "conv": True}[family] if recipe.model.activation == "family" else (
        recipe.model.activation == "leaky")
    return torch.where(x > 0, x, (0.2 if leaky else 0) * x)


def drop(x: Tensor, share: float, masks) -> Tensor:
    """Each number is 0 where the next draw, as a probability, is below the share; x itself where there are no draws."""
    draw = next(masks, None) if share > 0 else None
    if draw is None:
        return x
    flat = [value / (1 - share) if NormalDist().cdf(e) >= share else 0 * value
            for value, e in zip(x.reshape(-1), draw.reshape(-1).tolist(), strict=True)]
    return torch.stack(flat).reshape(x.shape)


def activated(recipe: Recipe, x: Tensor, family: str) -> Tensor:
    """A generator's activation."""
    name = recipe.model.generator_activation
    name = {"mlp": "softplus", "conv": "relu"}[family] if name == "family" else name
    if name == "softplus":
        return torch.log1p(torch.exp(x))
    return torch.where(x > 0, x, (0.2 if name == "leaky" else 0) * x)


def picture(recipe: Recipe, x: Tensor) -> Tensor:
    """In [0, 1]."""
    return (torch.tanh(x) + 1) / 2 if recipe.model.image_range == "signed" else 1 / (1 + torch.exp(-x))


def compared(recipe: Recipe, weights: Weights, features: Tensor) -> Tensor:
    """Features [n, f] and, kernel by kernel and pair by pair, how near each image is to the others: [n, f + kernels].
    """
    kernels, dimensions = recipe.model.minibatch_kernels, recipe.model.minibatch_dimensions
    if not kernels:
        return features
    matrix = normalised(weights, "minibatch")  # its row d * kernels + b is number d of kernel b
    rows = []
    for i, x in enumerate(features):
        row = list(x)
        for b in range(kernels):
            total = weights["minibatch.bias"][b]
            for j, y in enumerate(features):
                if i != j:
                    gaps = [(matrix[d * kernels + b] * x).sum() - (matrix[d * kernels + b] * y).sum()
                            for d in range(dimensions)]
                    apart = sum(gap.abs() for gap in gaps)
                    if recipe.model.minibatch_distance == "l2":
                        apart = sum(gap ** 2 for gap in gaps) ** 0.5
                    total = total + 99 / (len(features) - 1) * torch.exp(-apart)
            row.append(total)
        rows.append(torch.stack(row))
    return torch.stack(rows)


def batch_norm(x: Tensor, shift: Tensor, first: int | None = None) -> Tensor:
    """By the statistics of the first rows, or of all."""
    axes = [axis for axis in range(x.dim()) if axis != 1]
    mean = x[:first].mean(axes, keepdim=True)
    variance = ((x[:first] - mean) ** 2).mean(axes, keepdim=True)
    return (x - mean) / (variance + 1e-6).sqrt() + shift.reshape(1, -1, *[1] * (x.dim() - 2))


def generated_norm(recipe: Recipe, weights: Weights, number: int, x: Tensor) -> Tensor:
    """That of the generator's hidden layer of that number; a reference batch stands before the others."""
    kind, name = recipe.model.generator_norm, f"norms.{number}"
    wide = [1, -1] + [1] * (x.dim() - 2)
    if kind == "weight":
        return x
    shift = weights[f"{name}.shift"]
    if kind == "none":
        return x + shift.reshape(wide)
    gain = weights.get(f"{name}.gain", torch.ones_like(shift))
    if kind in ("batch", "spectral"):
        return batch_norm(x, torch.zeros_like(shift)) * gain.reshape(wide) + shift.reshape(wide)
    first = recipe.model.reference_images
    rows = [batch_norm(torch.cat([x[:first], row[None]]), torch.zeros_like(shift), first)[-1] for row in x]
    return torch.stack(rows) * gain.reshape(wide) + shift.reshape(wide)


def generated_product(recipe: Recipe, weights: Weights, name: str, x: Tensor) -> Tensor:
    doubles = recipe.model.upsampling == "transposed"
    if f"{name}.u" in weights or f"{name}.direction" in weights:
        matrix, bias = normalised(weights, name), weights[f"{name}.bias"]
    else:
        matrix, bias = weights[f"{name}.weight"], None
        matrix = matrix.transpose(0, 1) if doubles and matrix.dim() == 4 else matrix
    if matrix.dim() == 4 and doubles:
        return transposed(matrix, bias, x)
    if matrix.dim() == 4:
        return convolution(matrix, bias, x, stride=1)
    return x @ matrix.T if bias is None else x @ matrix.T + bias


def generator(recipe: Recipe, weights: Weights, latent: Tensor, shape: tuple[int, int, int],
              classes: Tensor | None = None, count: int = 0, noise: Noise = ()) -> Tensor:
    """Images of `shape` from latent vectors; with classes, of which there are so many, as ones in a row of zeros
    behind.
    """
    masks, share, first = iter(noise), recipe.model.generator_dropout, 0
    if recipe.model.generator_norm == "virtual":
        first = len(weights["reference"])
        latent = torch.cat([weights["reference"], latent])
        if classes is not None:
            classes = torch.cat([torch.tensor([i % count for i in range(first)]), classes])
    if classes is not None:
        latent = torch.stack([torch.cat([z, torch.eye(count, dtype=z.dtype)[label]])
                              for z, label in zip(latent, classes)])
    if "mlp" in (recipe.model.generator, recipe.model.generator.replace("family", recipe.model.family)):
        x = latent
        for i, name in enumerate(layers(weights)):
            x = generated_norm(recipe, weights, i, generated_product(recipe, weights, name, x))
            x = drop(activated(recipe, x, "mlp"), share, masks)
        return picture(recipe, dense(weights, "output", x))[first:].reshape(-1, *shape)
    if recipe.model.generator == "family" and recipe.model.family in HALVING:
        images = plain_halving.generator_images(recipe, weights, latent, shape, masks, first)
        return plain_halving.packed(images[::-1]) if len(images) > 1 else images[0]
    doublings = len(layers(weights))
    start = [-(-side // 2 ** doublings) for side in shape[1:]]
    x = generated_product(recipe, weights, "dense", latent).reshape(len(latent), -1, *start)
    x = drop(activated(recipe, generated_norm(recipe, weights, 0, x), "conv"), share, masks)
    for i, name in enumerate(layers(weights)):
        if recipe.model.upsampling == "nearest":
            x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        x = generated_norm(recipe, weights, i + 1, generated_product(recipe, weights, name, x))
        x = drop(activated(recipe, x, "conv"), share, masks)
    x = convolution(normalised(weights, "output"), weights["output.bias"], x, stride=1)
    return picture(recipe, x[first:, :, : shape[1], : shape[2]])


def advanced(weights: Weights, steps: int) -> Weights:
    """With every u so many steps of the power method further."""
    found = dict(weights)
    for name in [name for name in weights if name.endswith(".u")]:
        matrix = weights[name.removesuffix("u") + "weight"].detach().flatten(1)
        for _ in range(steps):
            v = matrix.T @ found[name]
            u = matrix @ (v / v.norm())
            found[name] = u / u.norm()
    return found
