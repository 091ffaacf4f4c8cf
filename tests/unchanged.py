"""Proof that training computes what it did at an earlier commit: python tests/unchanged.py COMMIT

Takes that commit's package out beside the working tree and trains every shipped recipe with both, on this machine:
eager, one lane, one thread, fp32, 300 steps of digits and 30 of the others, and compares weights, averages and moments
bit for bit. Then, with today's code alone, compiled against eager steps, in fp64, over ten steps, to 1e-9. Recipes
whose data SSGAN_DATA_DIR does not hold are left out, loudly.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parent.parent
STEPS = {"digits": 300}
OTHERS = 30

# Runs in a process of its own, with the one package or the other on its path: prints {recipe: {tensor: SHA-256}}.
PROGRAM = '''
import hashlib, json, os, sys
from pathlib import Path
import torch
steps, others, compiled, precision = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "compiled", sys.argv[4]
try:
    from ssgan.training.trainer import Trainer
    from ssgan.training.execution import Resolved, pinned
    from ssgan.data.named import load
except ImportError:  # before the packages
    from ssgan.trainer import Trainer
    from ssgan.resolve import Resolved, pinned
    from ssgan.data.sources import load
from ssgan.data.splits import make_split
from ssgan.errors import Mistake
from ssgan import recipes
resolved = Resolved("cpu", precision, 1, torch.__version__, compiled=compiled)
found = {}
for name in recipes.names():
    recipe = recipes.read(name).recipe
    try:
        data = load(recipe.dataset, Path(os.environ.get("SSGAN_DATA_DIR", "nowhere")))
    except Mistake as mistake:
        print(f"{name} is left out: {mistake}", file=sys.stderr)
        continue
    try:
        split = make_split(data, recipe.labels, 0, recipe.split)
    except TypeError:  # before SplitConfig was an argument
        split = make_split(data, recipe.labels, 0, recipe.split.pool, recipe.split.validation)
    with pinned(resolved):
        trainer = Trainer(recipe, data.train, [split], [0], resolved)
        for _ in range(steps.get(name, others)):
            trainer.step()
    if precision == "fp64":
        torch.save(trainer.checkpoint(), f"{sys.argv[5]}/{name}-{sys.argv[3]}.pt")
        found[name] = {}
        continue
    order = sorted(range(len(trainer.names)), key=lambda i: trainer.names[i])
    tensors = {"sums": trainer.sums[:, order]}
    for i, player in enumerate(("discriminator", "generator")):
        if hasattr(trainer, "stacks"):  # before the state was a tree
            its = {"weights": trainer.stacks[i].flat, "average": trainer.averages[i], **trainer.adams[i].state}
        else:
            its = trainer.state["players"][player]
            its = {"weights": its["weights"], "average": its["average"], **its["adam"]}
        tensors |= {f"{player} {key}": value for key, value in its.items()}
    found[name] = {key: hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()[:16]
                   for key, value in tensors.items()}
print(json.dumps(found))
'''


def train(package: Path, steps: dict[str, int], others: int, mode: str, precision: str, folder: Path) -> dict[
    str, dict[str, str]]:
    """What the program prints with that package."""
    environment = os.environ | {"PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-c", PROGRAM, json.dumps(steps), str(others), mode, precision, str(folder)]
    done = subprocess.run(arguments, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def taken_out(commit: str, into: Path) -> Path:
    """The files of that commit, in a folder."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    tarfile.open(fileobj=BytesIO(archive)).extractall(into, filter="data")
    return into


def compare(before: dict, after: dict) -> bool:
    """Prints a line for each recipe, and says whether all are equal."""
    same = True
    for name in before:
        differing = [key for key in before[name] if after.get(name, {}).get(key) != before[name][key]]
        same = same and not differing
        print(f"{name:20} {STEPS.get(name, OTHERS):4} steps  "
              f"{'DIFFERS: ' + ', '.join(differing) if differing else 'bit for bit'}")
    return same and bool(before)


def compiled_is_eager(folder: Path) -> bool:
    """Ten steps of every recipe in fp64, compiled and not."""
    import torch
    from torch.utils._pytree import tree_leaves

    worst = {}
    for mode in ("eager", "compiled"):
        names = train(ROOT, {}, 10, mode, "fp64", folder)
    for name in names:
        one, two = (torch.load(folder / f"{name}-{mode}.pt", weights_only=True) for mode in ("eager", "compiled"))
        pairs = [(a, b) for a, b in zip(tree_leaves(one), tree_leaves(two), strict=True) if isinstance(a, torch.Tensor)]
        worst[name] = max(float((a - b).abs().max()) for a, b in pairs if a.numel())
        print(f"{name:20}   10 steps  compiled against eager, fp64: largest difference {worst[name]:.1e}")
    return all(value <= 1e-9 for value in worst.values())


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        old = taken_out(sys.argv[1], Path(folder) / "before")
        before, after = (train(package, STEPS, OTHERS, "eager", "fp32", Path(folder)) for package in (old, ROOT))
        return 0 if compare(before, after) & compiled_is_eager(Path(folder)) else 1


if __name__ == "__main__":
    sys.exit(main())
