"""How fast the step is here: beside the plain loop of a textbook port, and beside what the machine could do."""

import gc
import multiprocessing
import os
import re
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from ssgan.config import Recipe
from ssgan.data.dataset import Dataset
from ssgan.data.splits import make_split
from ssgan.training.execution import Resolved, pinned
from ssgan.training.lanes import tree_leaves
from ssgan.training.trainer import Trainer
from ssgan.training.update import update

PARTS = ("images", "noise", "generated images", "teacher", "discriminator pass", "generator pass", "backward", "adam",
         "averaging", "cast")
COMPILED_PARTS = ("images", "noise", "products", "adam, averaging, cast", "elementwise")


def compare(recipe: Recipe, dataset: Dataset, resolved: Resolved, lanes: list[int], seconds: float = 8.0,
            progress: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Times the plain loop, our step with each number of lanes, and the machine's limits, in turn, in one run.

    The plain loop is of dense networks: of other families there is none.
    """
    progress("the machine's limits")
    with pinned(resolved):
        limits = machine_limits(resolved)
    rows = []
    plain = recipe.model.family == "mlp"
    if lanes and plain:
        progress("the plain loop")
        before = _plain_seconds(recipe, dataset, resolved, seconds)
    for count in lanes:
        progress(f"our step, {count} lane{'s' * (count > 1)}{', then the plain loop again' * plain}")
        with pinned(resolved):
            trainer = _trainer(recipe, dataset, resolved, count)
            ours = _seconds_per_call(trainer.step, seconds, resolved.device)
            found = {"work": count_work(trainer), "parts": parts(trainer), "recipe_steps": trainer.steps}
        beside = None
        if plain:  # on both sides of every row: machines have neighbours
            after = _plain_seconds(recipe, dataset, resolved, seconds)
            before, beside = after, statistics.mean((before["median"], after["median"]))
        rows.append(_row(count, ours, beside, limits, **found))
    return {"dataset": dataset.name, "resolved": resolved.table(), "limits": limits, **(rows[0] if rows else {}),
            "rows": rows}


def _row(lanes: int, ours: dict[str, float], plain: float | None, limits: dict[str, float], work: dict[str, Any],
         parts: dict[str, float], recipe_steps: int) -> dict[str, Any]:
    """All of `lanes` lanes together, but where a name says "lane"; "flop" are the operations of a step's products."""
    products = work["flop"] / limits["flop_per_second"]
    bound = products + work["bytes"] / limits["bytes_per_second"]
    step = ours["median"]
    return {
        "lanes": lanes, "seconds_per_step": step, "seconds_per_step_fastest": ours["fastest"], "steps": ours["calls"],
        "steps_per_second": 1 / step, "lane_steps_per_second": lanes / step, "seconds_per_lane_step": step / lanes,
        "plain_seconds_per_step": plain, "speedup": None if plain is None else plain * lanes / step,
        "bound_seconds": bound, "share_of_bound": bound / step, "share_of_peak": products / step, **work,
        "flop_per_lane_step": work["flop"] / lanes, "flop_per_second": work["flop"] / step,
        "recipe_steps": recipe_steps, "recipe_flop_per_lane": recipe_steps * work["flop"] / lanes,
        "recipe_seconds": recipe_steps * step, "parts": parts}


def lane_rate(recipe: Recipe, dataset: Dataset, resolved: Resolved, lanes: int, seconds: float = 1.0) -> float:
    """Lane-steps a second of a group of that size; 0 where the device's memory does not hold it."""
    try:
        with pinned(resolved):
            step = _seconds_per_call(_trainer(recipe, dataset, resolved, lanes).step, seconds, resolved.device)
    except torch.OutOfMemoryError:
        return 0.0
    finally:
        gc.collect()  # a trainer and its graph know each other
        if resolved.device != "cpu":
            torch.cuda.empty_cache()
    return lanes / step["median"]


def step_flop(recipe: Recipe, dataset: Dataset, resolved: Resolved) -> float:
    """Operations of the products in one step of one lane, by torch's own counter."""
    with pinned(resolved):
        return count_work(_trainer(recipe, dataset, resolved, 1))["flop"]


def machine_limits(resolved: Resolved) -> dict[str, float]:
    """The rate of square matrix products in the run's precision, and of copies (bytes read and written), both
    measured.
    """
    device, dtype = resolved.device, resolved.dtype
    side = 2048 if device == "cpu" else 8192
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty(side, side, dtype=dtype, device=device)
    product = _seconds_per_call(lambda: torch.mm(a, b, out=out), 1.5, device)["fastest"]
    # On a CPU the tensors of a step live in its cache, so copies of their size are the fair limit.
    source = torch.empty(1_500_000 if device == "cpu" else 2**30 // 4, device=device)
    target = torch.empty_like(source)
    copy = _seconds_per_call(lambda: target.copy_(source), 1.0, device)["fastest"]
    return {"flop_per_second": 2 * side**3 / product, "bytes_per_second": 2 * source.nbytes / copy}


def machine_name(resolved: Resolved) -> str:
    """The GPU, or the processor and how many of its cores this process may use."""
    if resolved.device != "cpu":
        return torch.cuda.get_device_name(resolved.device)
    cores = len(os.sched_getaffinity(0))
    known = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{cores} core{'s' * (cores > 1)}{f' of {known[1]}' if known else ''}"


def count_work(trainer: Trainer) -> dict[str, float]:
    """Operations of the products (torch's own counter) and bytes of the passes that no step can do without, for all
    lanes.

    Bytes: noise is drawn and added (written, read); Adam reads gradient, weights and two moments and writes three; the
    average is read and written, with the weights read; weights are read and written in the type of the products; the
    norm and its gradient read each direction twice and write one; images are read and written.
    """
    from torch.utils.flop_counter import FlopCounterMode

    trainer.step()
    with FlopCounterMode(display=False) as counter:
        # neither a graph's replay nor compiled code, of which it sees nothing
        update(trainer.gan, trainer.state, trainer._draw(), trainer.numbers)
    drawn = [update for updates in trainer._draw().values() for update in updates]
    players = [trainer.state["players"][name] for name in trainer.gan.players]
    wide = sum(player["weights"].nbytes for player in players)
    small = sum(player["copy"].nbytes for player in players)
    noise = sum(x.nbytes for each in drawn for x in tree_leaves(each["noise"]))
    images = sum(x.numel() + x.nbytes for x in tree_leaves(tuple((each["images"], each["plain"]) for each in drawn)))
    found = {"noise": 2 * noise, "adam": 7 * wide, "averaging": 3 * wide, "cast": wide + small,
             "weight norm": 3 * trainer.state["players"]["discriminator"]["copy"].nbytes, "images": images}
    return {"flop": counter.get_total_flops(), "bytes": sum(found.values()), "bytes_of": found}


def parts(trainer: Trainer, steps: int = 20) -> dict[str, float]:
    """Seconds of a step by part, from torch's profiler; "rest" is what lies between the parts, on a CPU Python's time
    above all.

    On a GPU it is the kernels' own time, outside any graph; "rest" then holds what no part has launched. A compiled
    step has other parts: its kernels are told apart by their names, and "products" are what it leaves to libraries.
    """
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    cpu = trainer.device.type == "cpu"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (not cpu)
    began = time.perf_counter()
    # Backward in this thread, or its kernels would belong to no part.
    with profile(activities=activities) as seen, torch.autograd.set_multithreading_enabled(cpu):
        for _ in range(steps):
            trainer.step() if cpu else trainer._draw_and_update()
        _synchronise(trainer.device)
    elapsed, events = time.perf_counter() - began, seen.key_averages()
    kernels = sum(event.device_time_total for event in events if event.device_type != DeviceType.CPU
                  and event.key not in PARTS) / 1e6
    total = elapsed if cpu else kernels
    times: dict[str, float] = {}
    for event in events:
        if event.device_type == DeviceType.CPU:
            name = _compiled_part(event.key) or event.key
            times[name] = times.get(name, 0.0) + (event.cpu_time_total if cpu
                                                  else event.device_time_total) / steps / 1e6
    found = {name: times[name] for name in dict.fromkeys(PARTS + COMPILED_PARTS) if name in times}
    return found | {"rest": max(0.0, total / steps - sum(found.values()))}


def _compiled_part(event: str) -> str | None:
    """The part of a compiled step that one of its kernels or library calls belongs to; None for other events."""
    if event.startswith("aoti_torch_"):
        return "products"
    if re.match(r"(graph_\d+_)?cpp_fused_", event):
        return "adam, averaging, cast" if "lerp" in event else "elementwise"
    return None


def _plain_seconds(recipe: Recipe, dataset: Dataset, resolved: Resolved, seconds: float) -> dict[str, float]:
    """The plain loop's time in a process of its own, which knows nothing of our settings of threads and memory."""
    ours = {name: os.environ.pop(name) for name in ("GOMP_SPINCOUNT",) if name in os.environ}
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return pool.submit(_time_plain, recipe, dataset, resolved, seconds).result()
    finally:
        os.environ.update(ours)


def _time_plain(recipe: Recipe, dataset: Dataset, resolved: Resolved, seconds: float) -> dict[str, float]:
    torch.set_num_threads(resolved.threads)
    loop = PlainLoop(recipe, dataset, resolved.device)
    found = _seconds_per_call(loop.step, seconds, resolved.device)
    loop.close()
    return found


class PlainLoop:
    """The step as a textbook port has it: DataLoaders, a pass for each kind of image, normalised weights built, Adam
    tensor by tensor.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, device: str):
        self.recipe, self.device, config = recipe, torch.device(device), recipe.train
        inputs = dataset.train.pixels[0].numel()
        split = make_split(dataset, recipe.labels, 0, recipe.split)
        self.discriminator = _PlainDiscriminator([inputs, *recipe.model.widths], len(dataset.classes), recipe).to(
            device)
        self.generator = _plain_generator(recipe, inputs).to(device)
        options = dict(lr=config.learning_rate, betas=(config.beta1, config.beta2), foreach=False, fused=False)
        self.optimisers = [torch.optim.Adam(module.parameters(), **options)
                           for module in (self.discriminator, self.generator)]
        self.batches = [_endless(dataset, index, config.batch)
                        for index in (split.labelled, split.unlabelled, split.unlabelled)]

    def step(self) -> None:
        """One update of the discriminator and one of the generator."""
        (labelled, labels), (unlabelled, _), (again, _) = ([x.to(self.device) for x in next(batch)]
                                                           for batch in self.batches)
        with torch.no_grad():
            generated = self.generator(self._latent())
        logits = [self.discriminator(x)[0] for x in (labelled, unlabelled, generated)]
        real, fake = (x.logsumexp(1) for x in logits[1:])
        loss = functional.cross_entropy(logits[0], labels) + 0.5 * (
            functional.softplus(real) - real).mean() + 0.5 * functional.softplus(fake).mean()
        self._descend(0, loss)
        with torch.no_grad():
            target = self.discriminator(again)[1].mean(0)
        loss = (self.discriminator(self.generator(self._latent()))[1].mean(0) - target).square().mean()
        self._descend(1, loss)

    def close(self) -> None:
        """Ends the loaders' workers."""
        for batch in self.batches:
            batch.close()

    def _latent(self) -> Tensor:
        return torch.rand(self.recipe.train.batch, self.recipe.model.latent, device=self.device)

    def _descend(self, which: int, loss: Tensor) -> None:
        self.optimisers[which].zero_grad()
        loss.backward()
        self.optimisers[which].step()


class _PlainDiscriminator(nn.Module):
    def __init__(self, sizes: list[int], classes: int, recipe: Recipe):
        super().__init__()
        widths = [*sizes, classes]
        self.noise = [recipe.model.input_noise] + [recipe.model.hidden_noise] * (len(sizes) - 1)
        self.v = nn.ParameterList(torch.randn(b, a) * recipe.model.initial_scale for a, b in zip(widths, widths[1:]))
        self.g = nn.ParameterList(torch.ones(b) for b in widths[1:])
        self.b = nn.ParameterList(torch.zeros(b) for b in widths[1:])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = x.flatten(1)
        for i, (v, g, b) in enumerate(zip(self.v, self.g, self.b)):
            noisy = features + self.noise[i] * torch.randn_like(features)
            y = functional.linear(noisy, v * (g / v.norm(dim=1))[:, None], b)
            if i == len(self.v) - 1:
                return y, features
            features = functional.relu(y)


def _plain_generator(recipe: Recipe, outputs: int) -> nn.Module:
    sizes = [recipe.model.latent, *recipe.model.generator_widths]
    layers = [layer for a, b in zip(sizes, sizes[1:]) for layer in (nn.Linear(a, b), nn.BatchNorm1d(b), nn.Softplus())]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs), nn.Sigmoid())


class _endless:
    """Batches for ever from a DataLoader with a worker process, as ports have them."""

    def __init__(self, dataset: Dataset, index, batch: int):
        chosen = torch.from_numpy(index)
        data = TensorDataset(dataset.train.gather(chosen), dataset.train.labels[chosen])
        self.loader = DataLoader(data, batch_size=min(batch, len(data)), shuffle=True, drop_last=True, num_workers=1,
                                 persistent_workers=True)
        self.iterator = iter(self.loader)

    def __next__(self) -> tuple[Tensor, Tensor]:
        try:
            return next(self.iterator)
        except StopIteration:
            self.iterator = iter(self.loader)
            return next(self.iterator)

    def close(self) -> None:
        """Ends the worker."""
        del self.iterator, self.loader


def _trainer(recipe: Recipe, dataset: Dataset, resolved: Resolved, lanes: int) -> Trainer:
    tables = [make_split(dataset, recipe.labels, seed, recipe.split) for seed in range(lanes)]
    return Trainer(recipe, dataset.train, tables, list(range(lanes)), resolved, trial=True)


def _seconds_per_call(function: Callable[[], Any], seconds: float, device: str) -> dict[str, float]:
    """Median and fastest time of a call, over as many as fit, after a warm-up.

    A GPU is waited for after every 20 calls only: it works while Python prepares the next.
    """
    together = 1 if device == "cpu" else 20
    for _ in range(5):
        function()
    _synchronise(torch.device(device))
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        began = time.perf_counter()
        for _ in range(together):
            function()
        _synchronise(torch.device(device))
        times.append((time.perf_counter() - began) / together)
    return {"median": statistics.median(times), "fastest": min(times), "calls": len(times) * together}


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
