"""Contrastive features: a small network that learns, without labels, which images are changes of one another."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH = 256  # images in a step, at most, each in two changed forms
LEARNING_RATE = 2e-3
WIDTHS, FEATURES, PROJECTED = (32, 64, 64, 64), 128, 64
SMALLEST_SIDE = 7  # of the last map, at least: the image is halved as often as that allows
PIECE = 1000  # images in a pass that only looks

Views = Callable[[Tensor, torch.Generator], Tensor]  # index [m], numbers -> images [m, c, h, w], each changed anew


def nt_xent(projected: Tensor, temperature: float) -> Tensor:
    """The normalised, temperature-scaled cross entropy of pairs: [2 m, p] -> [], row i and row m + i changes of one
    image. Each is to be told from all 2 m - 2 others by its cosine with its partner (Chen et al. 2020, eq. 1).
    """
    count = len(projected) // 2
    rows = functional.normalize(projected, dim=1)
    alike = (rows @ rows.T / temperature).fill_diagonal_(-math.inf)
    partner = torch.arange(2 * count, device=rows.device).roll(count)
    return functional.cross_entropy(alike, partner)


def contrastive_features(index: Tensor, views: Views, images: Callable[[Tensor], Tensor], steps: int,
                         temperature: float, random: torch.Generator) -> Tensor:
    """Features [n, 128] of length 1, on the CPU, of images by their index [n], by a network that has seen no label.

    `views` gives changed images, in whose type products are computed, and `images` them as they are. On the CPU the
    same numbers give the same features for the same number of threads.
    """
    first = views(index[:1], random)
    device, half = first.device, first.dtype == torch.bfloat16
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=random)))
        encoder, head = _encoder(tuple(first.shape[1:])), _head()
    both = nn.Sequential(encoder, head).to(device, memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(both.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=max(2, steps))
    batch = min(BATCH, len(index))
    with torch.enable_grad():
        for _ in range(steps):
            drawn = index[torch.randint(len(index), (batch,), generator=random)]
            x = torch.cat([views(drawn, random), views(drawn, random)])
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                projected = both(_laid(x if half else x.float()))
            loss = nt_xent(projected.float(), temperature)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    encoder.eval()
    with torch.no_grad():
        return torch.cat([functional.normalize(encoder(_laid(images(part).to(device).float())).relu(), dim=1).cpu()
                          for part in index.split(PIECE)])


def _laid(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _encoder(shape: tuple[int, int, int]) -> nn.Sequential:
    """Four 3x3 convolutions with batch norm, the first ones with a stride of 2 while their map is large enough, and a
    linear layer.
    """
    (before, *side), layers = shape, []
    for width in WIDTHS:
        stride = 2 if min(side) >= 2 * SMALLEST_SIDE else 1
        side = [-(-size // stride) for size in side]
        layers += [nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * math.prod(side), FEATURES))


def _head() -> nn.Sequential:
    """From features to what is compared; thrown away afterwards (Chen et al. 2020, section 4.2)."""
    return nn.Sequential(nn.BatchNorm1d(FEATURES), nn.ReLU(), nn.Linear(FEATURES, PROJECTED))
