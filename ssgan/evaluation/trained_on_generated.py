"""How good generated images are to learn from: the test error of a fixed network that has seen no other images."""

import contextlib
import functools
import json
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.config import ScoreConfig
from ssgan.data.images import Images
from ssgan.errors import Mistake
from ssgan.evaluation.domain_classifier import one_thread
from ssgan.files import cache_folder, write_text
from ssgan.models.sampling import Sampler
from ssgan.random_streams import torch_generator
from ssgan.settings import fingerprint

SETTINGS = {"version": 1, "widths": (16, 32), "dense": 128, "first_map": 10, "batch": 256, "learning_rate": 8e-3,
            "weight_decay": 0.01}
AT_ONCE = 1000  # images that are generated, or answered to, in one go

Told = Callable[[int, int], None]  # how many steps are done, and of how many


@dataclass(frozen=True)
class Trainings:
    """How often the network is trained, on how many images, for how many epochs of so many."""

    images: int
    epochs: int
    times: int

    @classmethod
    def of(cls, settings: ScoreConfig) -> "Trainings":
        """As the recipe has them."""
        return cls(settings.train_images, settings.train_epochs, settings.trainings)

    @property
    def steps(self) -> int:
        """Of one training."""
        return max(1, round(self.images * self.epochs / SETTINGS["batch"]))


def errors_of_generated(sampler: Sampler, test: Images, trainings: Trainings, device: str,
                        progress: Told = lambda done, total: None) -> list[float] | None:
    """The classification accuracy score's error (Ravuri & Vinyals 2019) of each training: on generated images, whose
    labels are the classes asked for, nothing filtered; None for a generator that is told no class.
    """
    if not sampler.conditional:
        return None
    pixels = torch.cat([_as_saved(sampler.images(start, min(AT_ONCE, trainings.images - start)))
                        for start in range(0, trainings.images, AT_ONCE)])
    labels = sampler.labels(0, trainings.images).to(pixels.device)
    return _errors(pixels, labels, test, trainings, device, progress)


def errors_of_real(train: Images, test: Images, trainings: Trainings, device: str,
                   progress: Told = lambda done, total: None) -> list[float] | None:
    """The same of as many real training images, or all of them if there are fewer, in as many steps; None where some
    have no label.

    Trained once, then read from the user's cache by content; where that cannot be written, nothing else changes.
    """
    if len(train.known) < len(train):
        return None
    key = fingerprint({"data": train.sha256, "test": test.sha256, "trainings": vars(trainings), **SETTINGS})
    found = _read(key, trainings.times)
    if found is None:
        chosen = torch.randperm(len(train), generator=torch_generator(0, "real images to train on"))[: trainings.images]
        chosen = chosen.to(train.pixels.device)
        found = _errors(train.pixels[chosen], train.labels[chosen], test, trainings, device, progress)
        with contextlib.suppress(Mistake, OSError):
            _cached(key).parent.mkdir(parents=True, exist_ok=True)
            write_text(_cached(key), json.dumps(found))
    return found


def _errors(pixels: Tensor, labels: Tensor, test: Images, trainings: Trainings, device: str, progress: Told,
            ) -> list[float]:
    """The test error of each training, on the test images of known class. Each has one thread; on several cores of a
    CPU, where torch has them, all are trained at once.
    """
    pixels, labels = pixels.to(device), labels.to(device)
    numbers, total = range(trainings.times), trainings.times * trainings.steps
    modules = [_untrained(tuple(pixels.shape[1:]), len(test.classes), number) for number in numbers]
    done, halted = [0] * trainings.times, threading.Event()

    def told(number: int, step: int) -> None:
        done[number] = step
        if halted.is_set():
            raise _Halted

    def error(number: int) -> float:
        return _error(_trained(modules[number], pixels, labels, trainings.steps, number,
                               functools.partial(told, number)), test, device)

    at_once = trainings.times if device == "cpu" and torch.get_num_threads() > 1 else 1
    with one_thread(), ThreadPoolExecutor(at_once) as pool:
        trained = [pool.submit(error, number) for number in numbers]
        try:
            while wait(trained, 0.1).not_done:
                progress(sum(done), total)
            progress(sum(done), total)
        finally:  # where a person stops it, the trainings end with their next step
            halted.set()
    return [training.result() for training in trained]


class _Halted(Exception):
    """Ends a training that nobody waits for."""


def _untrained(shape: tuple[int, int, int], classes: int, seed: int) -> nn.Module:
    """A network before training: always the same one, whatever torch's own generator has drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _network(shape, classes)


def _trained(module: nn.Module, pixels: Tensor, labels: Tensor, steps: int, seed: int, told: Callable[[int], None],
             ) -> nn.Module:
    """The network trained on images [n, c, h, w] with labels [n]: AdamW on a one-cycle schedule; on the CPU always the
    same.
    """
    batch, device = SETTINGS["batch"], pixels.device
    module = module.to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(module.parameters(), lr=SETTINGS["learning_rate"],
                                  weight_decay=SETTINGS["weight_decay"], fused=True)
    generator = torch_generator(seed, "trained on generated")
    order = torch.empty(0, dtype=torch.int64)
    for step in range(1, steps + 1):
        while len(order) < batch:
            order = torch.cat([order, torch.randperm(len(pixels), generator=generator)])
        index, order = order[:batch].to(device), order[batch:]
        optimiser.param_groups[0]["lr"] = SETTINGS["learning_rate"] * _one_cycle((step - 0.5) / steps)
        loss = functional.cross_entropy(module(_in_unit_range(pixels.index_select(0, index))), labels[index])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        told(step)
    return module.eval()


def _one_cycle(part: float) -> float:
    """The learning rate's share when `part` of the steps is made: a line up in the first quarter, then half a cosine
    down. torch's own schedule fails in trainings of a few steps.
    """
    return part / 0.25 if part < 0.25 else (1 + math.cos(math.pi * (part - 0.25) / 0.75)) / 2


def _network(shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """Two strided convolutions, the first to a map of 10 x 10 at most, the second to half of that; then a dense layer.

    Small, for it is trained often: 50,000 images of MNIST 10 times over take one core 12 s.
    """
    first, second = SETTINGS["widths"]
    strides = [min(size, max(2, math.ceil(size / SETTINGS["first_map"]))) for size in shape[1:]]
    flat = second * math.prod(math.ceil(size // stride / 2) for size, stride in zip(shape[1:], strides))
    return nn.Sequential(
        nn.Conv2d(shape[0], first, [stride + 2 for stride in strides], strides, padding=1), nn.ReLU(),
        nn.Conv2d(first, second, 3, 2, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(flat, SETTINGS["dense"]), nn.ReLU(), nn.Linear(SETTINGS["dense"], classes))


@torch.no_grad()
def _error(module: nn.Module, test: Images, device: str) -> float:
    wrong = sum(int((module(test.gather(index).to(device)).argmax(1).cpu() != test.labels[index].cpu()).sum())
                for index in test.known.split(AT_ONCE))
    return wrong / len(test.known)


def _as_saved(images: Tensor) -> Tensor:
    """Images in [0, 1] as bytes, as a picture of them is saved: a quarter of the memory."""
    return (images * 255).round().byte()


def _in_unit_range(pixels: Tensor) -> Tensor:
    """Pixels of `Images` as float32 in [0, 1]."""
    return pixels.float().div_(255) if pixels.dtype == torch.uint8 else pixels


def _cached(key: str):
    return cache_folder("trained_on_real", f"{key}.json")


def _read(key: str, times: int) -> list[float] | None:
    """The cached errors; None where there is no file, or not a whole one."""
    with contextlib.suppress(Mistake, OSError, ValueError, TypeError):
        found = json.loads(_cached(key).read_text())
        if len(found) == times and all(type(error) is float and 0 <= error <= 1 for error in found):
            return found
    return None
