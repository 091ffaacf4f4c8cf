"""A small network that learns, without labels, which images are changes of one another; its features, and its answers
once it has learnt to group them."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH = 256  # images in a step, at most, each in two changed forms
LABELLED = 64  # images with their label beside them, once there are answers
LEARNING_RATE, GROUPING_RATE = 2e-3, 1e-3  # the highest of the schedule
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


def mutual_information(one: Tensor, other: Tensor, shares: Tensor) -> Tensor:
    """Of the answers to two changes of each image, [n, k] probabilities each: how well one tells the other: [], in
    nats, at most 0.

    I(z; z') of the symmetric joint distribution of a batch (Ji et al. 2019, eq. 3), and the mean log share [k] of the
    classes answered, so that answers which agree are best spread by the shares; of even ones that takes log k away.
    """
    joint = one.T @ other / len(one)
    joint = (joint + joint.T).clamp_min(1e-8) / 2
    of_class = joint.sum(1)
    information = (joint * (joint / (of_class[:, None] * of_class)).log()).sum()
    return information + (of_class * shares.log()).sum()


def contrastive_network(index: Tensor, views: Views, steps: int, temperature: float,
                        random: torch.Generator) -> nn.Module:
    """Images [n, c, h, w] to features [n, 128], by training on those of an index [n] that has seen no label.

    `views` gives changed images, in whose type products are computed. On the CPU the same numbers give the same network
    for the same number of threads.
    """
    first = views(index[:1], random)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=random)))
        network, head = _encoder(tuple(first.shape[1:])), _head()
    batch = min(BATCH, len(index))

    def loss(both: nn.Module) -> Tensor:
        drawn = index[torch.randint(len(index), (batch,), generator=random)]
        return nt_xent(_computed(both, torch.cat([views(drawn, random), views(drawn, random)])), temperature)

    _learn(nn.Sequential(network, head).to(first.device), loss, steps, LEARNING_RATE)
    return network


def features_of(network: nn.Module, index: Tensor, images: Callable[[Tensor], Tensor]) -> Tensor:
    """Features [n, 128] of length 1, on the CPU, of images as `images` gives them by their index [n]."""
    return torch.cat([functional.normalize(found.relu(), dim=1) for found in _looks(network, index, images)])


def grouped_answers(network: nn.Module, index: Tensor, labels: Tensor, answers: Tensor, certainty: Tensor,
                    shares: Tensor, views: Views, images: Callable[[Tensor], Tensor], steps: int,
                    random: torch.Generator) -> Tensor:
    """Probabilities [n, k], on the CPU, of images by their index [n], after the network has learnt, with a layer more,
    to answer two changes of an image alike, and all images by the classes' shares [k] (`mutual_information`).

    Which group is which class it is told by the labels [n], -1 where there is none, and in the first half of the steps
    by the answers [n] given, as far as they are certain [n].
    """
    device, known = views(index[:1], random).device, torch.nonzero(labels >= 0)[:, 0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=random)))
        both = nn.Sequential(network, nn.ReLU(), nn.Linear(FEATURES, len(shares))).to(device)
    batch, made = min(BATCH, len(index)), iter(range(steps))
    shares = shares.to(device, torch.float32)

    def loss(both: nn.Module) -> Tensor:
        drawn = torch.randint(len(index), (batch,), generator=random)
        told = known[torch.randint(len(known), (LABELLED,), generator=random)]
        x = torch.cat([views(index[part], random) for part in (drawn, drawn, told)])
        one, other, of_known = _computed(both, x).split([batch, batch, LABELLED])
        found = functional.cross_entropy(of_known, labels[told].to(device)) - mutual_information(
            one.softmax(1), other.softmax(1), shares)
        if 2 * next(made) >= steps:
            return found
        target, weight = answers[drawn].to(device), certainty[drawn].to(device, torch.float32)
        wrong = sum(functional.cross_entropy(each, target, reduction="none") for each in (one, other)) / 2
        return found + (weight * wrong).mean()

    _learn(both, loss, steps, GROUPING_RATE)
    return torch.cat([found.softmax(1) for found in _looks(both, index, images)])


def _learn(network: nn.Module, loss: Callable[[nn.Module], Tensor], steps: int, learning_rate: float) -> None:
    network.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=max(2, steps))
    with torch.enable_grad():
        for _ in range(steps):
            found = loss(network)
            optimiser.zero_grad()
            found.backward()
            optimiser.step()
            schedule.step()


def _computed(network: nn.Module, x: Tensor) -> Tensor:
    """In the type of the images, and float32 after it."""
    half = x.dtype == torch.bfloat16
    with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
        return network(_laid(x if half else x.float())).float()


def _looks(network: nn.Module, index: Tensor, images: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """What the network makes of the images as they are, piece by piece, on the CPU."""
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad():
        return [network(_laid(images(part).to(device).float())).cpu() for part in index.split(PIECE)]


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
