"""Training runs to be killed: for every line on stdin a process that trains from FOLDER/images.pt and the checkpoint
there.

Each prints its process id and every step that it has done, saves after every step, and writes the final tensors to
FOLDER/final.pt. All are forked from one process, so that torch is imported once.
"""

import os
import sys
import time
from pathlib import Path

import small
import torch

from ssgan.config import override
from ssgan.data.dataset import Dataset
from ssgan.data.images import Images
from ssgan.training.execution import pinned
from ssgan.training.loop import run_to_end

RECIPE = override(small.MLP, [
    "labels=50", "train.batch=30", "train.epochs=2", "model.widths=[30, 20]", "model.generator_widths=[20, 20]",
    "augment.rotation=10", "consistency.weight=1", "consistency.threshold=0.5"])


def final(folder: Path, checkpoint_seconds: float, should_stop) -> dict[str, list[torch.Tensor]]:
    """The tensors at the end of the run."""
    saved = torch.load(folder / "images.pt", weights_only=True)
    images = Images.of(saved["pixels"], saved["labels"], tuple("0123456789"))
    with pinned(small.FP32):
        trainer = small.trainer(RECIPE, small.FP32, data=Dataset("digits", images, images))
        for _ in run_to_end(trainer, folder / "checkpoint.pt", checkpoint_seconds=checkpoint_seconds,
                            should_stop=lambda: should_stop(trainer)):
            pass
    return {"tensors": small.weights_and_averages(trainer)}


def told(trainer) -> bool:
    """Prints the step, and gives time to kill."""
    print(trainer.done, flush=True)
    time.sleep(0.001)
    return False


if __name__ == "__main__":
    place = Path(sys.argv[1])
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            print(os.getpid(), flush=True)
            torch.save(final(place, 0.0, told), place / "final.pt")
            os._exit(0)
        print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
