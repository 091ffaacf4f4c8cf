"""The network that scores images: a classifier of the data set's own domain, in the Inception network's place."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.data.images import Images
from ssgan.errors import Mistake
from ssgan.evaluation.scoring_network import DOMAIN, Answers, Network, weights_sha256
from ssgan.files import cache_folder
from ssgan.random_streams import torch_generator
from ssgan.settings import fingerprint
from ssgan.training import checkpoint

SETTINGS = {"version": 3, "width": 24, "batch": 128, "learning_rate": 3e-3, "epochs": 3, "least_steps": 300,
            "most_steps": 1000, "seed": 0}
# images in one pass of the network: with channels last four times as fast on a CPU, whose cache holds them, as 1000
# without
PIECE = 200


def domain_classifier(train: Images, test: Images, device: str,
                      progress: Callable[[int, int], None] = lambda done, total: None) -> Network:
    """A small convolutional network trained on the full training labels: once, then read from the user's cache by
    content.

    `progress(step, steps)` comes while it is trained. A broken file in the cache is made anew, and processes that train
    it at once each write a whole file. Where the cache cannot be written the network's name says so, and nothing else
    changes.
    """
    among = {} if len(test.known) == len(test) else {"error of": "the known classes"}  # older files counted the others
    key = fingerprint({"data": train.sha256, "test": test.sha256, **SETTINGS, **among})
    module, name = _new(train), f"a convolutional network trained on all {len(train):,} training labels"
    error = _read(module, key)
    if error is None:
        # as it will be read, to the last bit
        module = _fit(module, train.to(device), progress).to("cpu", memory_format=torch.contiguous_format)
        error = _error(module, test)
        name += _keep(module, error, key)
    weights = weights_sha256(module)
    module = module.eval().to(device, memory_format=torch.channels_last)

    @torch.no_grad()
    def answers(x: Tensor) -> Answers:
        features = torch.cat([module.look(part) for part in x.to(device).split(PIECE)])
        return Answers(module.output(features).softmax(1), features)

    return Network(name, error, answers, DOMAIN, weights)


class _Net(nn.Module):
    """Three 3x3 convolutions with batch norm, the image halved after the first and the second, pooled to 4x4 at most;
    then a linear layer.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int):
        super().__init__()
        w, layers = SETTINGS["width"], []
        sizes = [(shape[0], w), (w, 2 * w), (2 * w, 2 * w)]
        for place, (before, after) in enumerate(sizes):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            layers += [nn.MaxPool2d(2, ceil_mode=True)] if place < 2 else []
        side = [min(4, -(-size // 4)) for size in shape[1:]]
        self.features = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(side))
        self.output = nn.Linear(2 * w * side[0] * side[1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images [n, c, h, w] in [0, 1] -> logits [n, k]."""
        return self.output(self.look(x))

    def look(self, x: Tensor) -> Tensor:
        """Images [n, c, h, w] in [0, 1] -> features [n, f], the input of the linear layer."""
        return self.features(x).flatten(1)


def _new(train: Images) -> _Net:
    """A network before training, with the first weights of the seed, whatever torch's own generator has drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SETTINGS["seed"])
        return _Net(train.shape, len(train.classes))


def _fit(module: _Net, train: Images, progress: Callable[[int, int], None]) -> _Net:
    """AdamW on a one-cycle schedule, with random shifts; on the CPU always the same weights."""
    batch, device = SETTINGS["batch"], train.pixels.device
    steps = min(SETTINGS["most_steps"], max(SETTINGS["least_steps"], SETTINGS["epochs"] * len(train) // batch))
    module = module.to(device, memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(module.parameters(), lr=SETTINGS["learning_rate"], weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, SETTINGS["learning_rate"], total_steps=steps,
                                                   pct_start=0.25)
    generator = torch_generator(SETTINGS["seed"], "domain classifier")
    order = torch.cat([torch.randperm(len(train), generator=generator) for _ in range(-(-steps * batch // len(train)))])
    reach = max(1, round(train.shape[-1] / 14))
    with one_thread():
        for step, index in enumerate(order[: steps * batch].view(steps, batch), 1):
            x = _shifted(train.pixels, index, reach, generator)
            loss = functional.cross_entropy(module(x), train.labels[index.to(device)])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            progress(step, steps)
    return module.eval()


@contextmanager
def one_thread() -> Iterator[None]:
    """The same sums in the same order whatever the number of cores; and beside other work two threads here took twice
    the time of one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _shifted(pixels: Tensor, index: Tensor, reach: int, generator: torch.Generator) -> Tensor:
    """Images at an index [n], each moved by up to `reach` pixels within its padding: float32 [n, c, h, w] in [0, 1]."""
    down, right = torch.randint(0, 2 * reach + 1, (2, len(index), 1), generator=generator)
    height, width = pixels.shape[2:]
    images, rows, columns = (part.to(pixels.device) for part in (
        torch.arange(len(index)), torch.arange(height) + down, torch.arange(width) + right))
    # only these are padded, for all images may be more than the memory holds
    padded = functional.pad(pixels.index_select(0, index.to(pixels.device)), (reach,) * 4)
    moved = padded[images[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # [n, h, w, c]
    return moved.permute(0, 3, 1, 2).float().div_(255)


@torch.no_grad()
def _error(module: _Net, test: Images) -> float:
    """Of the images whose class is known."""
    wrong = sum(int((module(test.gather(index)).argmax(1) != test.labels[index]).sum())
                for index in test.known.split(PIECE))
    return wrong / len(test.known)


def _cached(key: str) -> Path:
    return cache_folder("classifiers", f"{key}.pt")


def _read(module: _Net, key: str) -> float | None:
    """Puts the cached weights into the module and returns their test error; None where there is no file or not a whole
    one.
    """
    try:
        found = checkpoint.load(_cached(key))
        module.load_state_dict(found["state"])
        return float(found["error"])
    except (Mistake, LookupError, TypeError, ValueError, AttributeError, RuntimeError):  # RuntimeError: other shapes
        return None


def _keep(module: _Net, error: float, key: str) -> str:
    """Writes the network into the cache; returns what to add to its name where that is impossible."""
    try:
        path = _cached(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.save(path, {"state": module.state_dict(), "error": error})
    except (OSError, Mistake) as problem:
        reason = problem.__cause__ or problem
        return f" (not kept in the cache: {getattr(reason, 'strerror', None) or reason})"
    return ""
