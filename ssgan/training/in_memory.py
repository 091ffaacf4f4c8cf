"""Training in memory: nothing is written or tracked."""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

from ssgan.config import Recipe
from ssgan.data.images import Images
from ssgan.data.splits import Split
from ssgan.errors import Failed
from ssgan.training.execution import pinned, resolved_for
from ssgan.training.loop import Failure, Record, run_to_end
from ssgan.training.process_state import process_kept
from ssgan.training.trained_model import TrainedModel
from ssgan.training.trainer import Trainer


@process_kept()
def train(recipe: Recipe, images: Images, split: Split, seed: int = 0, *, device: str = "auto",
          callback: Callable[[int, dict[str, float]], object] = lambda step, values: None) -> TrainedModel:
    """Trains a pair, and leaves the process as it was. `callback(step, {name: mean since the last call})` comes every
    100 steps.

    Raises Mistake, and Failed where a loss is not finite.
    """
    resolved = resolved_for(recipe, images, device)
    with tempfile.TemporaryDirectory() as folder, pinned(resolved):
        trainer = Trainer(recipe, images, [split], [seed], resolved)
        for event in run_to_end(trainer, Path(folder) / "checkpoint.pt", checkpoint_seconds=math.inf):
            if isinstance(event, Failure):
                raise Failed(f"training failed: {event.name} was not finite at step {event.step}; "
                             f"try a smaller step, train.learning_rate = {recipe.train.learning_rate / 3:.2g}.")
            if isinstance(event, Record):
                callback(event.step, {name: values[0] for name, values in event.values.items()})
    return TrainedModel.of_trainer(trainer)
