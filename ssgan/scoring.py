"""The Inception Score of generated images, with a classifier of the data set's own domain in the Inception network's place."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan import checkpoints, metrics
from ssgan.config import fingerprint
from ssgan.data.images import Images
from ssgan.errors import Mistake
from ssgan.seeds import torch_generator

SETTINGS = {"version": 1, "width": 32, "batch": 128, "learning_rate": 3e-3, "steps": 1400, "seed": 0}
BATCH = 1000


@dataclass(frozen=True)
class Network:
    """What scores: images [n, c, h, w] in [0, 1] -> probabilities [n, k], its name, and its own error on the test images."""

    name: str
    error: float | None
    probabilities: Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Score:
    """The Inception Score of `samples` generated images in `splits` parts, and of real test images at the same count.

    Where there are fewer test images than samples, `matched` is the score of as many generated images as there are real ones.
    """

    inception_score: float
    std: float
    real: float
    real_std: float
    matched: float
    samples: int
    real_samples: int
    splits: int
    generator: str
    network: str
    network_error: float | None
    histogram: np.ndarray  # [k] generated images by most probable class
    entropy: float  # of the histogram, in nats
    entropy_share: float  # of the largest that is possible

    def measurements(self) -> dict[str, float]:
        """Name and value of everything that is a number."""
        found = {"score/inception_score": self.inception_score, "score/inception_score_std": self.std,
                 "score/inception_score_real": self.real, "score/inception_score_matched": self.matched,
                 "score/class_entropy": self.entropy}
        return found if self.network_error is None else found | {"score/network_error": self.network_error}

    def summary(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return {
            "inception_score": self.inception_score, "inception_score_std": self.std, "inception_score_real": self.real,
            "inception_score_real_std": self.real_std, "inception_score_matched": self.matched, "samples": self.samples,
            "real_samples": self.real_samples, "splits": self.splits, "samples_per_split": self.samples // self.splits,
            "generator": self.generator, "score_network": self.network, "score_network_error": self.network_error,
            "class_histogram": self.histogram.tolist(), "class_entropy": self.entropy, "class_entropy_share": self.entropy_share}


def score(samples_of: Callable[[int, int], Tensor], real: Images, network: Network, *, samples: int, splits: int, generator: str) -> Score:
    """Scores images number 0 to `samples` of `samples_of(start, count)`. Raises Mistake where a part would be empty."""
    count = min(samples, len(real))
    if splits > count:
        raise Mistake(f"score.splits = {splits} is more than the {count} images to be split: try --set score.splits={max(1, count // 100)}.")
    generated = _probabilities(network, samples_of, samples)
    order = torch.randperm(len(real), generator=torch_generator(0, "real images"))[:count]
    true = _probabilities(network, lambda start, n: real.gather(order[start: start + n]), count)
    mean, std = metrics.inception_score(generated, splits)
    real_mean, real_std = metrics.inception_score(true, splits)
    matched, _ = metrics.inception_score(generated[:count], splits)
    histogram = np.bincount(generated.argmax(1), minlength=generated.shape[1])
    return Score(mean, std, real_mean, real_std, matched, samples, count, splits, generator, network.name, network.error,
                 histogram, *metrics.class_entropy(histogram))


def itself(logits_of: Callable[[Tensor], Tensor]) -> Network:
    """The trained classifier as the network, where no full labels exist."""
    return Network("the trained classifier itself, for want of full labels", None, lambda x: logits_of(x).softmax(1))


def domain_classifier(train: Images, test: Images, device: str, progress: Callable[[int, int], None] = lambda done, total: None) -> Network:
    """A small convolutional network trained on the full training labels: once, then read from the user's cache by content."""
    module = _Net(train.shape, len(train.classes))
    path = _cache() / f"{fingerprint({'data': train.sha256, 'test': test.sha256, **SETTINGS})}.pt"
    found = _read(path)
    if found is None:
        module = _fit(module, train.to(device), progress)
        found = {"state": module.cpu().state_dict(), "error": _error(module, test)}
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.save(path, found)
    module.load_state_dict(found["state"])
    module = module.eval().to(device)
    name = f"a convolutional network trained on all {len(train):,} training labels"

    @torch.no_grad()
    def probabilities(x: Tensor) -> Tensor:
        return module(x.to(device)).softmax(1)

    return Network(name, found["error"], probabilities)


class _Net(nn.Module):
    """Convolutions with batch norm: a 5x5 one, then three 3x3 ones of which the first and the last halve the image."""

    def __init__(self, shape: tuple[int, int, int], classes: int):
        super().__init__()
        channels, height, width = shape
        w, first = SETTINGS["width"], 2 if height >= 16 else 1
        layers = [(channels, w, 5, first), (w, 2 * w, 3, 2), (2 * w, 4 * w, 3, 1), (4 * w, 4 * w, 3, 2)]
        self.features = nn.Sequential(*(module for a, b, kernel, stride in layers for module in (
            nn.Conv2d(a, b, kernel, stride=stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU())))
        side = [-(-(-(-(-(-size // first)) // 2)) // 2) for size in (height, width)]
        self.output = nn.Linear(4 * w * side[0] * side[1], classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.features(x).flatten(1))


def _fit(module: _Net, train: Images, progress: Callable[[int, int], None]) -> _Net:
    """AdamW on a one-cycle schedule, with random shifts."""
    steps, device = min(SETTINGS["steps"], max(200, 6 * len(train) // SETTINGS["batch"])), train.pixels.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SETTINGS["seed"])
        for layer in module.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    module = module.to(device, memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(module.parameters(), lr=SETTINGS["learning_rate"], weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, SETTINGS["learning_rate"], total_steps=steps, pct_start=0.25)
    generator = torch_generator(SETTINGS["seed"], "domain classifier")
    order = torch.randint(len(train), (steps, SETTINGS["batch"]), generator=generator)
    reach = max(1, round(train.shape[-1] / 14))
    for step, index in enumerate(order, 1):
        x = _shifted(train.gather(index), reach, generator)
        with torch.autocast(device.type, torch.bfloat16):
            loss = functional.cross_entropy(module(x).float(), train.labels[index.to(device)])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        progress(step, steps)
    return module.eval()


def _shifted(x: Tensor, reach: int, generator: torch.Generator) -> Tensor:
    """Each image moved by up to `reach` pixels, black outside."""
    down, right = torch.randint(0, 2 * reach + 1, (2, len(x), 1), generator=generator)
    height, width = x.shape[-2:]
    padded = functional.pad(x, (reach,) * 4)
    rows, columns = (torch.arange(height) + down).to(x.device), (torch.arange(width) + right).to(x.device)  # [n, h], [n, w]
    moved = padded[torch.arange(len(x), device=x.device)[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # [n, h, w, c]
    return moved.permute(0, 3, 1, 2)


@torch.no_grad()
def _error(module: _Net, test: Images) -> float:
    wrong = sum(int((module(test.gather(index)).argmax(1) != test.labels[index]).sum()) for index in torch.arange(len(test)).split(BATCH))
    return wrong / len(test)


def _probabilities(network: Network, images_of: Callable[[int, int], Tensor], count: int) -> np.ndarray:
    rows = [network.probabilities(images_of(start, min(BATCH, count - start))).double().cpu() for start in range(0, count, BATCH)]
    return torch.cat(rows).numpy()


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ssgan" / "classifiers"


def _read(path: Path) -> dict[str, Any] | None:
    """The cached network; None where there is none, or where the file is broken and is made anew."""
    try:
        return checkpoints.load(path)
    except Mistake:
        return None
