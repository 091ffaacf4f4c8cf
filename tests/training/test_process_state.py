"""What a call changes in the user's process is as before after it: one picture of all of it, compared around every
public call, also where the call ends in an exception.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from ssgan.training import process_state
from ssgan.training.execution import prepare_process
from ssgan.training.process_state import denormals_flushed, process_kept

TESTS = Path(__file__).parent.parent
with process_kept():
    CAN_FLUSH = torch.set_flush_denormal(True)


def picture() -> dict[str, object]:
    """Everything in this process that a training might change."""
    import hashlib
    import logging
    import os
    import random
    import signal
    import sys
    import threading
    import warnings

    import numpy as np
    import torch

    flags = {}
    for name, place in {"cudnn": torch.backends.cudnn, "matmul": torch.backends.cuda.matmul,
                        "conv": torch.backends.cudnn.conv, "rnn": torch.backends.cudnn.rnn}.items():
        for flag in ("allow_tf32", "fp32_precision", "enabled", "benchmark", "deterministic"):
            try:
                flags[f"{name}.{flag}"] = getattr(place, flag)
            except (AttributeError, RuntimeError, AssertionError):
                pass
    return {
        "python's denormals": sys.float_info.min / 2 > 0,
        "numpy's denormals": int(np.count_nonzero(np.full(9, 1e-310) / 2)),
        "torch's denormals": int((torch.full((9,), 1e-30) * 1e-10).count_nonzero()),
        "the workers' denormals": int((torch.full((400_000,), 1e-30) * 1e-10).count_nonzero()),
        "torch's threads": torch.get_num_threads(), "flags": flags,
        "torch": [torch.get_default_dtype(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled(),
                  torch.get_float32_matmul_precision(), torch.is_inference_mode_enabled()],
        "random": [hashlib.sha256(repr(state).encode()).hexdigest() for state in (
            random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())],
        "warnings": (list(warnings.filters), warnings.showwarning), "environment": dict(os.environ),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()}
        if threading.current_thread() is threading.main_thread() else {},
        "levels": {name: logger.level for name, logger in logging.root.manager.loggerDict.items()
                   if isinstance(logger, logging.Logger)},
        "numpy's errors": np.geterr(), "folder": os.getcwd(), "recursion": sys.getrecursionlimit(),
        "excepthook": sys.excepthook,
    }


def changes(before: dict, after: dict) -> dict:
    """What differs; a logger that was not there before has no level to keep."""
    after = after | {"levels": {name: level for name, level in after["levels"].items() if name in before["levels"]}}
    found = {}
    for name, old in before.items():
        if isinstance(old, dict):
            found |= {f"{name}: {key}": (old.get(key), after[name].get(key)) for key in old | after[name]
                      if old.get(key) != after[name].get(key)}
        elif old != after[name]:
            found[name] = old, after[name]
    return found


def spoil() -> None:
    """Changes all that `process_kept` is to put back."""
    import logging
    import random
    import signal
    import warnings

    import numpy as np

    prepare_process()
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.full((400_000,), 1e-30).mul_(1e-10)  # starts workers
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic = not torch.backends.cudnn.deterministic
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_float32_matmul_precision("high")
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    warnings.simplefilter("ignore")
    os.environ["SSGAN_NEW"] = "1"
    os.environ["HOME"] = "/elsewhere"
    os.environ.pop("PATH", None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)


def test_everything_is_put_back_also_after_an_exception():
    program = f"""
import logging, sys, torch
sys.path.insert(0, {str(TESTS / "training")!r})
from test_process_state import *
logging.getLogger("urllib3")
torch.set_num_threads(2)  # so that there are workers
for error in (None, KeyError, KeyboardInterrupt, SystemExit):
    before = picture()
    with pytest.raises(error or LookupError), process_kept():
        spoil()
        changed = len(changes(before, picture()))
        raise error or LookupError
    print(changed, changes(before, picture()))
"""
    said = [line.split(maxsplit=1) for line in in_a_process(program)]  # other tests' threads may draw random numbers
    assert [rest for _, rest in said] == ["{}"] * 4
    assert min(int(changed) for changed, _ in said) >= 10 - 4 * (not CAN_FLUSH)


def test_another_thread_than_the_main_one_is_kept_too():
    found = []

    def work():
        before = picture()
        with process_kept():
            prepare_process()
            os.environ["SSGAN_NEW"] = "1"
        found.append(changes(before, picture()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [{}]


@pytest.mark.skipif(not CAN_FLUSH, reason="NOT TESTED: this processor cannot flush denormal numbers")
def test_a_process_that_was_prepared_stays_so():
    with process_kept():
        process_state.flush_denormals(False)
        with process_kept():
            prepare_process()
            with process_kept():
                process_state.flush_denormals(False)
            assert denormals_flushed() and process_state._MEMORY["freed is kept"]
        assert not denormals_flushed()


def test_flags_of_either_of_torchs_ways_are_put_back():
    program = f"""
import sys, torch
sys.path.insert(0, {str(TESTS / "training")!r})
from test_process_state import *
cudnn = torch.backends.cudnn
for flag in ("allow_tf32 = False", "allow_tf32 = True", "conv.fp32_precision = 'ieee'", "rnn.fp32_precision = 'ieee'"):
    exec(f"cudnn.{{flag}}")
    before = picture()
    with process_kept():
        prepare_process()
    print(flag, changes(before, picture()))
"""
    said = in_a_process(program)
    assert [line for line in said if not line.endswith(" {}")] == [] and len(said) == 4


def in_a_process(program: str) -> list[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(TESTS.parent), str(TESTS)))}
    environment.pop("OMP_NUM_THREADS", None)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


CALLS = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np, ssgan, torch
from test_process_state import changes, picture
torch.manual_seed(3)
torch.set_num_threads(2)
data = ssgan.load_data("digits")
recipe = ssgan.read_recipe("digits", "train.epochs=1", "model.widths=[20, 10]", "pictures.steps=0", "score.samples=60",
                           "score.splits=1", "score.train_images=0")
split = ssgan.make_split(data, recipe)
folder = {folder!r}
import os
os.environ["XDG_CACHE_HOME"] = folder

def stop(step, values):
    raise KeyboardInterrupt

def nothing(step, values):
    pass

def interrupted(call):
    try:
        call()
    except KeyboardInterrupt:
        return
    raise AssertionError

wide = ssgan.read_recipe("digits", "train.epochs=0.2", "model.widths=[600, 400]", "pictures.steps=0")
X = data.train.pixels.numpy()[:200, 0]
calls = {{
    "train": lambda: ssgan.train(recipe, data, split, device="cpu", callback=nothing),
    "train on threads": lambda: ssgan.train(wide, data, split, device="cpu"),
    "interrupted": lambda: interrupted(lambda: ssgan.train(recipe, data, split, device="cpu", callback=stop)),
    "fit": lambda: ssgan.SSGANClassifier(epochs=1).fit(X, data.train.labels[:200].numpy()),
    "evaluate": lambda: ssgan.evaluate(model, data),
    "export": lambda: ssgan.export_model(model, folder + "/x.pt2", data),
    "export for MLflow": lambda: ssgan.export_model(model, folder + "/x", data),
}}
model = calls["train"]()
before = picture()
for name, call in calls.items():
    call()
    print(name, changes(before, picture()))
"""


@pytest.mark.slow
def test_no_public_call_changes_the_process(tmp_path):
    said = in_a_process(CALLS.format(tests=str(TESTS / "training"), folder=str(tmp_path)))
    assert [line for line in said if not line.endswith("{}")] == [] and len(said) == 7
