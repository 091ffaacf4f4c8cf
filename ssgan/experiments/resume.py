"""Going on with a run that is there: the settings that it began with, and what may be asked otherwise of it."""

from dataclasses import replace

from ssgan.config import build
from ssgan.errors import Mistake
from ssgan.experiments.identity import differences
from ssgan.experiments.member import Member
from ssgan.settings import flatten
from ssgan.tracking.workfolder import WorkFolder


def begun_with(folder: WorkFolder, run: str) -> Member:
    """The run that a work folder is of, under today's names of its keys; `run` is what a person calls it.

    Raises Mistake for the folder of a report.
    """
    facts = folder.facts
    settings = facts.get("settings")
    if settings is None:
        raise Mistake(f"{run} has no settings of a run: it carries a report, or was made by something else.")
    recipe = build(settings["recipe"], f"the settings of {run}")
    return Member(recipe, settings["seed"], settings["split_seed"], facts.get("recipe_name", ""))


def of_the_same_data(asked: Member, begun: Member, dataset: str | None, labels: int | None) -> Member:
    """What is asked by another recipe, on the run's own data set and with its budget unless a person has named them."""
    kept = {"dataset": begun.recipe.dataset} if dataset is None else {}
    kept |= {"labels": begun.recipe.labels} if labels is None else {}
    return replace(asked, recipe=replace(asked.recipe, **kept))


def check_same(run: str, begun: Member, asked: Member) -> None:
    """Raises Mistake with the differences where a run cannot be gone on with as it is asked."""
    found = differences(_flat(begun), _flat(asked), "asked")
    if found:
        raise Mistake(f"--resume {run} goes on with the settings it began with; these differ: {'; '.join(found)}.\n"
                      f"Leave them out, or leave --resume out to start another run.")


def check_stage(run: str, begun: Member, asked: Member, stage: str) -> None:
    """Raises Mistake where more is asked otherwise than the keys of one stage, which is to be done again."""
    before, after = _flat(begun), _flat(asked)
    changed = [key for key in after if after[key] != before[key] and not key.startswith(f"{stage}.")]
    if changed:
        raise Mistake(f"{run} is trained already: of its recipe only keys of {stage}.* can change now, "
                      f"not {', '.join(changed)}.")


def _flat(member: Member) -> dict:
    return flatten(member.recipe) | {"seed": member.seed, "split_seed": member.split_seed}
