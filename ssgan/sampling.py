"""Generated images: number i of a seed is the same image whenever and in whatever company it is asked for."""

import torch
from torch import Tensor

from ssgan.config import Recipe
from ssgan.seeds import torch_generator


@torch.no_grad()
def sample_images(generator: torch.nn.Module, recipe: Recipe, seed: int, start: int, count: int) -> Tensor:
    """Generated images number `start` to start + count of a seed: float32 [count, c, h, w] in [0, 1].

    Batch norm uses batch statistics, so they come in batches of the training size: image i belongs to batch i // size whatever is asked for.
    """
    size, device = recipe.train.generated_images, next(generator.parameters()).device
    batches = []
    for number in range(start // size, -(-(start + count) // size)):
        latent = torch.rand(size, recipe.model.latent, generator=torch_generator(seed, "latent", "samples", number))
        batches.append(generator(latent.to(device)))
    first = start % size
    return torch.cat(batches)[first: first + count]
