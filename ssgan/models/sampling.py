"""Generated images: number i of a seed is the same image whenever and in whatever company it is asked for."""

import torch
from torch import Tensor, nn

from ssgan.models.context import Context
from ssgan.random_streams import torch_generator


@torch.no_grad()
def sample_images(generator: nn.Module, latent: int, batch: int, seed: int, start: int, count: int) -> Tensor:
    """Generated images number `start` to start + count of a seed, from so many latent numbers: float32 [count, c, h, w]
    in [0, 1].

    A generator that is told classes gets drawn ones, all equally likely. Batch norm uses batch statistics, so they come
    in batches of the training size: image i belongs to batch i // batch whatever is asked for.
    """
    device = next(generator.parameters()).device
    batches = []
    for number in range(start // batch, -(-(start + count) // batch)):
        z = torch.rand(batch, latent, generator=torch_generator(seed, "latent", "samples", number))
        labels = None
        if generator.classes:
            labels = torch.randint(generator.classes, (batch,),
                                   generator=torch_generator(seed, "classes", "samples", number)).to(device)
        batches.append(generator(z.to(device), Context(labels=labels)))
    first = start % batch
    return torch.cat(batches)[first: first + count]
