"""`process_kept`: whatever a call changes in the process is as before after it."""

import contextlib
import ctypes
import functools
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

# What glibc comes to by itself in a process that has freed large blocks: its own first values cannot be had back, for
# it goes on changing them only while nobody has named any.
USUAL_TRIM_THRESHOLD, LARGEST_MMAP_THRESHOLD = 2**26, 2**25


@contextlib.contextmanager
def process_kept() -> Iterator[None]:
    """Puts back, also after an exception, what is changed in it: how this thread and its workers take denormal numbers,
    torch's threads and flags, random states, warning filters, the environment, signal handlers, loggers' levels.

    As a decorator it keeps the process over every call of a function.
    """
    import torch

    cards = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with contextlib.ExitStack() as stack:  # what stands last is put back first
        for put_back in (_environment(), _signals(), _loggers(), _randomness(), _torch_flags()):
            stack.callback(put_back)
        if not _MEMORY["freed is kept"]:
            stack.callback(release_memory)
        stack.callback(flush_denormals, denormals_flushed())
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(torch.random.fork_rng(cards))
        yield


def denormals_flushed() -> bool:
    """Whether this thread takes denormal numbers for 0."""
    return sys.float_info.min / 2 == 0


def flush_denormals(on: bool) -> None:
    """Makes this thread, and the workers that it starts from now on, take denormal numbers for 0, or not.

    Workers go on as they were started, so those of OpenMP, which torch keeps, are given up for new ones.
    """
    import torch

    if denormals_flushed() == on or not torch.set_flush_denormal(on):
        return
    openmp = ctypes.CDLL(None)
    if hasattr(openmp, "omp_pause_resource_all"):
        soft = 1
        openmp.omp_pause_resource_all(soft)


_MEMORY = {"freed is kept": False}


def keep_memory() -> None:
    """Tells glibc to keep what a step frees: handed back and taken anew it costs thousands of page faults a step."""
    _MEMORY["freed is kept"] = True
    _thresholds(2**30, LARGEST_MMAP_THRESHOLD)


def release_memory() -> None:
    """Hands freed memory back, and lets glibc do so again."""
    if _MEMORY["freed is kept"] and _thresholds(USUAL_TRIM_THRESHOLD, LARGEST_MMAP_THRESHOLD):
        ctypes.CDLL(None).malloc_trim(0)
    _MEMORY["freed is kept"] = False


def _thresholds(trim: int, mmap: int) -> bool:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    trim_threshold, mmap_threshold = -1, -3
    libc.mallopt(trim_threshold, trim)
    libc.mallopt(mmap_threshold, mmap)
    return True


def _environment() -> Callable[[], None]:
    before = dict(os.environ)

    def put_back() -> None:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})

    return put_back


def _signals() -> Callable[[], None]:
    """Only the main thread may set handlers; those that no Python code has set cannot be set by any."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}

    def put_back() -> None:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    return put_back


def _loggers() -> Callable[[], None]:
    loggers = [found for found in logging.root.manager.loggerDict.values() if isinstance(found, logging.Logger)]
    before = [(logger, logger.level) for logger in (logging.root, *loggers)]

    def put_back() -> None:
        for logger, level in before:
            if logger.level != level:
                logger.setLevel(level)

    return put_back


def _randomness() -> Callable[[], None]:
    """Of Python and numpy; torch has a context manager of its own."""
    import numpy as np

    python, legacy = random.getstate(), np.random.get_state()

    def put_back() -> None:
        random.setstate(python)
        np.random.set_state(legacy)

    return put_back


def _torch_flags() -> Callable[[], None]:
    import torch

    settings = [  # with what tells them and what sets them; only what differs is set, for setting may take seconds
        (torch.get_num_threads, torch.set_num_threads), (torch.get_default_dtype, torch.set_default_dtype),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision)]
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    for place, names in ((cudnn, ("allow_tf32", "enabled", "benchmark", "deterministic")),
                         (cudnn.conv, ("fp32_precision",)), (cudnn.rnn, ("fp32_precision",)),
                         (matmul, ("allow_tf32", "fp32_precision"))):
        settings += [(functools.partial(getattr, place, name), functools.partial(setattr, place, name))
                     for name in names]
    before = [(told, put, _told(told)) for told, put in settings]

    def put_back() -> None:
        for told, put, value in before:
            if value is not None and _told(told) != value:
                put(value)

    return put_back


def _told(tell: Callable[[], Any]) -> Any:
    """A setting of torch's; None where two names for one and the same disagree, which torch refuses to tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are going out of use
        try:
            return tell()
        except RuntimeError:
            return None
