"""What is decided at a run's start: devices, precision, threads."""

import os
import subprocess
import sys

import pytest
import torch

from ssgan.config import TrainConfig
from ssgan.errors import Mistake
from ssgan.training import execution as resolve


def size(parameters: int, products: int | None = None) -> resolve.Size:
    return resolve.Size(parameters, parameters if products is None else products, 100)


def never(found: resolve.Resolved) -> str:
    raise AssertionError("a run of 100 steps is not compiled")


@pytest.fixture
def cards(monkeypatch):
    """Sets the number of CUDA devices that torch finds."""
    return lambda count: monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(("count", "name", "found"), [
    (0, "auto", "cpu"), (2, "auto", "cuda:0"), (2, "cpu", "cpu"), (1, "cuda", "cuda:0"), (2, "cuda:1", "cuda:1"),
    (2, "cuda:01", "cuda:1")])
def test_devices_that_are_there(cards, count, name, found):
    cards(count)
    assert resolve.find_device(name) == found


@pytest.mark.parametrize(("count", "name", "said"), [
    (0, "cuda", "torch finds no CUDA devices here; try --device cpu"), (1, "cuda:1", "torch finds 1 CUDA device here"),
    (2, "cuda:7", "torch finds 2 CUDA devices here"), (1, "gpu", "write auto, cpu, cuda or cuda:N"),
    (1, "cuda:", "write auto"), (1, "cuda:-1", "write auto"), (1, "cuda:x", "write auto"), (1, "cuda:²", "write auto"),
    (1, "cpu:0", "write auto"), (1, "", "write auto")])
def test_devices_that_are_not_there(cards, count, name, said):
    cards(count)
    with pytest.raises(Mistake, match=said):
        resolve.find_device(name)


def test_everything_is_decided_and_survives_its_table(cards):
    cards(0)
    found = resolve.resolve("auto", TrainConfig(precision="bf16"), size(10), never)
    assert (found.device, found.precision, found.torch) == ("cpu", "bf16", torch.__version__)
    assert resolve.Resolved(**found.table()) == found


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp64", torch.float64)])
def test_the_precision_is_the_type_of_the_products(precision, dtype):
    assert resolve.Resolved("cpu", precision, 1, "").dtype == dtype


def test_precision_auto_is_bf16_for_large_pairs_where_it_is_fast(cards, monkeypatch):
    cards(0)
    seconds = {"fp32": 1.0, "bf16": 0.5}
    monkeypatch.setattr(resolve, "_product_seconds", seconds.__getitem__)
    assert resolve.resolve("cpu", TrainConfig(precision="auto"), size(1_000_000), never).precision == "bf16"
    assert resolve.resolve("cpu", TrainConfig(precision="auto"), size(1000), never).precision == "fp32"
    seconds["bf16"] = 0.9
    assert resolve.resolve("cpu", TrainConfig(precision="auto"), size(1_000_000), never).precision == "fp32"
    cards(1)
    assert resolve.resolve("cuda", TrainConfig(precision="auto"), size(1_000_000), never).precision == "bf16"


@pytest.mark.parametrize(("wanted", "steps", "problem", "compiled"), [
    ("auto", resolve.MANY_STEPS - 1, "", False), ("auto", resolve.MANY_STEPS, "", True),
    ("auto", resolve.MANY_STEPS, "no compiler", False), ("no", 10**6, "", False), ("yes", 1, "", True)])
def test_the_step_is_compiled_where_many_are_made_or_where_it_is_wanted(cards, wanted, steps, problem, compiled):
    cards(0)
    config = TrainConfig(precision="bf16", compile=wanted)
    assert resolve.resolve("cpu", config, size(10)._replace(steps=steps),
                           lambda found: problem if found.precision == "bf16" else "?").compiled is compiled
    cards(1)
    assert wanted == "yes" or not resolve.resolve("cuda", config, size(10)._replace(steps=steps), never).compiled


def test_a_compiled_step_that_is_wanted_and_cannot_be_is_a_mistake(cards):
    cards(1)
    for device, said in (("cpu", "because"), ("cuda:0", "CUDA graph")):
        with pytest.raises(Mistake, match=said):
            resolve.resolve(device, TrainConfig(compile="yes"), size(10),
                            lambda found: "torch's compiler fails here: because.")


def test_products_are_really_timed():
    assert 0 < resolve._product_seconds("fp32") < 10 and 0 < resolve._product_seconds("bf16") < 10


@pytest.mark.parametrize(
    ("said", "threads"), [("3", 3), ("1", 1), ("", None), ("0", None), ("many", None), ("²", None)])
def test_threads_are_those_of_the_environment_or_the_cores_and_one_for_a_small_pair(monkeypatch, said, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert resolve.resolve("cpu", TrainConfig(precision="fp32"), size(10, resolve.SMALL), never).threads == (
        threads or len(os.sched_getaffinity(0)))
    assert resolve.resolve("cpu", TrainConfig(precision="fp32"), size(10**9, resolve.SMALL - 1), never).threads == (
        threads or 1)


def test_what_comes_after_the_classifier_has_the_cores_that_were_shared(monkeypatch):
    monkeypatch.setattr(resolve.os, "sched_getaffinity", lambda pid: set(range(4)))
    monkeypatch.setenv("OMP_NUM_THREADS", "")

    def threads(at_once: int, products: int = resolve.SMALL) -> tuple[int, int]:
        found = resolve.uncompiled("cpu", TrainConfig(precision="fp32"), size(10, products), at_once)
        return found.threads, found.further_threads

    assert (threads(1), threads(2), threads(2, 1)) == ((4, 0), (2, 4), (1, 0))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads(2) == (3, 0)


def test_pinning_holds_the_threads_and_lets_them_go_again():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), resolve.pinned(resolve.Resolved("cpu", "fp32", before + 1, "")):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before


@pytest.mark.skipif(not torch.set_flush_denormal(True), reason="this processor cannot flush denormal numbers")
def test_a_prepared_process_flushes_denormal_numbers_in_every_worker():
    probe = """
import torch
from ssgan.training.execution import prepare_process
prepare_process()
torch.set_num_threads(2)
print(int((torch.full((4_000_000,), 1e-30) * 1e-10).count_nonzero()))
"""
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True,
                          check=True).stdout.strip() == "0"


def test_fp32_is_fp32_in_convolutions_too():
    resolve.prepare_process()
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
