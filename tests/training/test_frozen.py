"""What the frozen recipes compute is what they computed: a few steps in fp64, on made images of their size, held to
1e-9.

After a change of the mathematics that is meant: python tests/training/test_frozen.py writes tests/frozen/checksums.json
anew.
"""

import json
import sys
from pathlib import Path

import pytest

FROZEN = Path(__file__).parents[1] / "frozen"
sys.path.insert(0, str(FROZEN.parent))
import small  # noqa: E402

from ssgan.config import parse  # noqa: E402

NAMES = sorted(path.stem for path in FROZEN.glob("*.toml"))
STEPS = 4
CHECKSUMS = FROZEN / "checksums.json"


def computed(name: str) -> dict[str, float]:
    """Sums and sums of squares of all that training changes, and what it measured."""
    recipe = parse((FROZEN / f"{name}.toml").read_text(), name)
    data = small.digits() if recipe.dataset == "digits" else small.dataset(600, (1, 28, 28), 10)
    trainer = small.trainer(recipe, small.FP64, data=data)
    for _ in range(STEPS):
        trainer.step()
    found = {name: values[0] for name, values in trainer.read().items()}
    for player in small.PLAYERS:
        its = trainer.state["players"][player]
        tensors = {"weights": its["weights"], "average": its["average"], "first moment": its["adam"]["exp_avg"],
                   "second moment": its["adam"]["exp_avg_sq"]}
        for what, tensor in tensors.items():
            found |= {f"{player} {what} sum": float(tensor.sum()), f"{player} {what} "
                                                                   f"square": float(tensor.square().sum())}
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_frozen_recipe_computes_what_it_computed(name):
    expected, found = json.loads(CHECKSUMS.read_text())[name], computed(name)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-9, abs=1e-12), key


if __name__ == "__main__":
    CHECKSUMS.write_text(json.dumps({name: computed(name) for name in NAMES}, indent=1) + "\n")
