"""What is decided once at a run's start and stored with it: device, precision, threads, and whether the step is
compiled.
"""

import contextlib
import dataclasses
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ssgan.config import Recipe, TrainConfig
from ssgan.data.images import Images
from ssgan.errors import Mistake
from ssgan.training.process_state import flush_denormals, keep_memory

# A pair below this, by its parameters and its products, gains nothing from bf16, and by its products nothing from a
# second thread: on two cores the digits recipe's step (200,000 of both) took 6.0 ms with two threads and 6.3 ms with
# one, half the processor's time, and beside other work three times less; that of the mnist recipe (200,000 parameters,
# 3,000,000 products) 52 ms with two and 81 ms with one, and 41 ms in bf16 where it took 73 in fp32 (2026-11-26).
SMALL = 500_000


# Compiling takes 10 to 14 s, and 3 s where the same step was compiled before; on two cores it saved 4 ms of the paper's
# step, 2 ms of those of mnist-best and digits.
MANY_STEPS = 10_000


class Size(NamedTuple):
    """How large a run is: trained parameters of the pair, multiply-adds that one image takes through both, and steps,
    roughly.
    """

    parameters: int
    products: int
    steps: int


@dataclass(frozen=True)
class Resolved:
    """With the recipe, the data and the seeds these determine a run."""

    device: str
    precision: str  # fp32, bf16, or fp64 in tests
    threads: int
    torch: str
    compiled: bool = False  # whether torch's compiler has made one program of the update, on a CPU
    further_threads: int = 0  # of what is trained after the classifier, where it has more cores; 0 is as many

    @property
    def dtype(self):
        """The type of the products."""
        import torch

        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp64": torch.float64}[self.precision]

    def table(self) -> dict:
        """The fields as a plain dict."""
        return dataclasses.asdict(self)


def resolve(device: str, config: TrainConfig, size: Size, problem: Callable[[Resolved], str]) -> Resolved:
    """The settings for this machine: small pairs gain nothing from bf16 and further threads, short runs nothing from
    compiling. Raises Mistake.

    `problem` says why the step cannot be compiled here with such settings; it is asked only where that would be done,
    and says nothing where it can.
    """
    found = uncompiled(device, config, size)
    return dataclasses.replace(found, compiled=_compiles(config.compile, size.steps, found, problem))


def uncompiled(device: str, config: TrainConfig, size: Size, at_once: int = 1) -> Resolved:
    """The same, but for whether the step is compiled, which may take a minute to find: as if it were not. The cores are
    shared by `at_once` trainings. Raises Mistake.
    """
    import torch

    prepare_process()
    device, precision = find_device(device), config.precision
    if precision == "auto":
        precision = "fp32" if max(size.parameters, size.products) < SMALL or not _bf16_is_fast(device) else "bf16"
    threads, alone = (_threads(size.products < SMALL, number) for number in (at_once, 1))
    return Resolved(device, precision, threads, torch.__version__, further_threads=alone if alone > threads else 0)


@contextlib.contextmanager
def pinned(resolved: Resolved):
    """Fixes the number of threads, which changes a CPU's last bits, while it lasts."""
    import torch

    prepare_process()
    before = torch.get_num_threads()
    torch.set_num_threads(resolved.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def prepare_process() -> None:
    """Makes a process fit for training; to be called before its first work with tensors.

    Denormal numbers are flushed to zero in this thread, and so in the workers that it starts later, and freed memory is
    kept. Where the process is a user's own, `process_kept` puts it back.
    """
    import torch

    flush_denormals(True)
    with warnings.catch_warnings():
        # of some torch versions, whose new name for it makes `torch.backends.cudnn.flags` fail
        warnings.simplefilter("ignore")
        torch.backends.cudnn.allow_tf32 = False  # fp32 is fp32: convolutions on a GPU would otherwise keep 10 bits
    keep_memory()


def find_device(name: str) -> str:
    """`auto`, `cpu`, `cuda` or `cuda:N` as torch's name of a device that is there. Raises Mistake."""
    import torch

    count = torch.cuda.device_count() if name != "cpu" else 0
    if name == "auto":
        return "cuda:0" if count else "cpu"
    if name == "cpu":
        return name
    kind, _, number = name.partition(":")
    if kind != "cuda" or (":" in name and not number.isdecimal()):
        raise Mistake(f"--device {name}: write auto, cpu, cuda or cuda:N.")
    if int(number or 0) >= count:
        raise Mistake(f"--device {name}: torch finds {count or 'no'} CUDA device{'s' * (count != 1)} here; try "
                      f"--device cpu.")
    return f"cuda:{int(number or 0)}"


def _threads(small: bool, at_once: int) -> int:
    """What OMP_NUM_THREADS says; else one for a small pair, and for others its share of the cores that this process may
    use.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return 1 if small else max(1, len(os.sched_getaffinity(0)) // at_once)


def _compiles(wanted: str, steps: int, found: Resolved, problem: Callable[[Resolved], str]) -> bool:
    """Whether the step is compiled. Raises Mistake where that is wanted and cannot be."""
    if wanted == "yes" and found.device != "cpu":
        raise Mistake(f"train.compile = yes is for a CPU; on {found.device} the step is a CUDA graph: leave it out.")
    if wanted == "no" or found.device != "cpu" or (wanted == "auto" and steps < MANY_STEPS):
        return False
    said = problem(found)
    if said and wanted == "yes":
        raise Mistake(said)
    return not said


def _bf16_is_fast(device: str) -> bool:
    """Whether a product in bf16 takes less than two thirds of the time of one in fp32 here, measured."""
    if device != "cpu":
        return True
    times = {dtype: min(_product_seconds(dtype) for _ in range(5)) for dtype in _types()}
    return times["bf16"] < times["fp32"] * 2 / 3


def _types() -> tuple[str, str]:
    return "fp32", "bf16"


def _product_seconds(precision: str) -> float:
    import time

    import torch

    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    a = torch.ones(512, 512, dtype=dtype)
    start = time.perf_counter()
    a @ a
    return time.perf_counter() - start


def size_of(recipe: Recipe, images: Images) -> Size:
    """The size of a run, found without allocating its networks. Raises Mistake where the recipe's techniques cannot be
    combined.
    """
    import torch

    from ssgan.techniques import further
    from ssgan.training.gan import build

    with torch.device("meta"):
        modules = {name: make(None) for name, make in build(recipe, images.shape, len(images.classes)).items()}
    products = sum(modules[name].products for name in ("discriminator", "generator"))
    pair = (modules["discriminator"], modules["generator"])
    return Size(sum(value.numel() for module in pair for value in module.parameters()), products,
                recipe.train.steps_of(len(images) / recipe.train.batch) + sum(further(recipe).values()))


def resolved_for(recipe: Recipe, images: Images, device: str, told: Callable[[], None] = lambda: None) -> Resolved:
    """What is decided at the start of a run of the recipe on these images. Raises Mistake.

    `told` is called before a step is compiled to see whether that can be done, which may take a minute.
    """
    return resolve(device, recipe.train, size_of(recipe, images),
                   lambda found: compile_problem(recipe, images, found, told))


def uncompiled_for(recipe: Recipe, images: Images, device: str, at_once: int = 1) -> Resolved:
    """The same of one of so many runs at once, as if the step were not compiled. Raises Mistake."""
    return uncompiled(device, recipe.train, size_of(recipe, images), at_once)


def compiled_for(found: Resolved, recipe: Recipe, images: Images, told: Callable[[], None]) -> Resolved:
    """What `uncompiled_for` has found, and whether the step is compiled; `told` as before. Raises Mistake."""
    steps = size_of(recipe, images).steps
    return dataclasses.replace(found, compiled=_compiles(
        recipe.train.compile, steps, found, lambda found: compile_problem(recipe, images, found, told)))


_PROBLEMS: dict[tuple[Recipe, str, Resolved], str] = {}  # what was found for a recipe and the content of its images


def compile_problem(recipe: Recipe, images: Images, resolved: Resolved, told: Callable[[], None] = lambda: None) -> str:
    """Why the recipe's step cannot be compiled here, found by doing it, once a process; empty where it can. `told` is
    called before that.

    The run's own step is then found in torch's cache.
    """
    recipe = dataclasses.replace(recipe, labels=len(images.classes))  # the step is that of every budget
    key = recipe, images.sha256, resolved
    if key not in _PROBLEMS:
        told()
        _PROBLEMS[key] = _problem_of_a_step(*key[::2], images)
    return _PROBLEMS[key]


def _problem_of_a_step(recipe: Recipe, resolved: Resolved, images: Images) -> str:
    import numpy as np

    from ssgan.data.splits import Split
    from ssgan.training.trainer import Trainer

    index, none = np.arange(len(images)), np.arange(0)
    split = Split(images.known[:1].numpy(), index, none, none, 1, 0, recipe.split.pool, recipe.dataset, images.sha256)
    with pinned(resolved):
        trainer = Trainer(recipe, images, [split], [0], dataclasses.replace(resolved, compiled=True), trial=True)
        try:
            trainer.step()
        except Mistake as mistake:
            return str(mistake)
    return ""
