"""`ssgan run`, and the four stages one at a time."""

from contextlib import contextmanager
from pathlib import Path

import click

from ssgan.cli import output
from ssgan.cli.options import Chosen, choose, make_setting, place_options, recipe_options
from ssgan.errors import Mistake


def _command(name: str, until: str, text: str):
    @click.command(name, help=text)
    @recipe_options
    @click.option("--again", is_flag=True, help="Runs anew although the same run has finished; the old one stays.")
    @click.option("--resume", metavar="RUN", help="Goes on with that run: a run id, a unique prefix, or latest.")
    @place_options
    def command(**options):
        _run(until, **options)

    return command


def _stage_command(name: str, text: str):
    @click.command(name, help=text)
    @click.argument("run", required=False)
    @recipe_options
    @place_options
    def command(run, **options):
        if run is None:
            _run(name, again=False, resume=None, **options)
        else:
            _stage(name, run, **options)

    return command


run_command = _command("run", "score", "Few labels to a tracked, evaluated, scored classifier: split, train, evaluate, score.")
split_command = _command("split", "split", "Chooses the labelled images and saves the index tables.")
train_command = _command("train", "train", "Splits and trains, and stops there.")
evaluate_command = _stage_command("evaluate", "Test error and baselines, of a finished RUN or of the settings given.")
score_command = _stage_command("score", "The Inception Score of a finished RUN, or of the settings given.")


def _run(until, *, again, resume, as_json, device, data_dir, tracking_uri, experiment, quiet, **recipe_choice) -> None:
    chosen = _resumed(resume, tracking_uri, experiment, recipe_choice) if resume else choose(**recipe_choice)
    setting = make_setting(device, data_dir, tracking_uri, experiment, quiet)
    setting.beside = True
    from ssgan.experiments.run import run_group, summary
    from ssgan.experiments.stages import Member

    dataset = _load(chosen.recipe.dataset, setting)
    member = Member(chosen.recipe, chosen.seed, chosen.split_seed, chosen.recipe_name)
    with stoppable(setting):
        folder, = run_group([member], dataset, setting, until=until, again=again)
    output.run(folder, summary(folder), as_json)


def _stage(stage, run, *, as_json, device, data_dir, tracking_uri, experiment, quiet, **recipe_choice) -> None:
    setting = make_setting(device, data_dir, tracking_uri, experiment, quiet)
    from ssgan.settings import flatten
    from ssgan.experiments.run import stage_again, summary
    from ssgan.experiments.stages import Member
    from ssgan.training.trained_model import TrainedModel

    folder, chosen = _found(run, setting.store, recipe_choice)
    settings = folder.facts["settings"]
    before, after = _flat(settings), flatten(chosen.recipe) | {"seed": chosen.seed, "split_seed": chosen.split_seed}
    changed = [key for key in after if after[key] != before[key] and not key.startswith(f"{stage}.")]
    if changed:
        raise Mistake(f"{run} is trained already: of its recipe only keys of {stage}.* can change now, not {', '.join(changed)}.")
    TrainedModel.of_run(folder)  # or the Mistake that there is none
    dataset = _load(chosen.recipe.dataset, setting)
    with stoppable(setting):
        stage_again(folder, Member(chosen.recipe, chosen.seed, chosen.split_seed, chosen.recipe_name), dataset, setting, stage)
    output.run(folder, summary(folder), as_json)


def _load(name: str, setting):
    from ssgan.data.named import load

    return load(name, Path(setting.data_source))


def _resumed(run, tracking_uri, experiment, recipe_choice) -> Chosen:
    """The choice that a work folder was made with. Raises Mistake with the differences where the options say otherwise."""
    from ssgan.cli.options import open_store
    from ssgan.settings import flatten

    folder, chosen = _found(run, open_store(tracking_uri, experiment), recipe_choice)
    before = _flat(folder.facts["settings"])
    after = flatten(chosen.recipe) | {"seed": chosen.seed, "split_seed": chosen.split_seed}
    differences = [f"{key}: {before[key]} there, {after[key]} asked" for key in after if before[key] != after[key]]
    if differences:
        raise Mistake(f"--resume {run} goes on with the settings it began with; these differ: {'; '.join(differences)}.\n"
                      f"Leave them out, or leave --resume out to start another run.")
    return chosen


def _found(run, store, recipe_choice):
    """The work folder that RUN means, and its own settings with the options' changes."""
    from ssgan.cli.options import work_root
    from ssgan.config import build
    from ssgan.settings import flatten
    from ssgan.tracking import find_run

    folder = find_run(run, work_root(), store)
    settings = folder.facts.get("settings")
    if settings is None:
        raise Mistake(f"{run} has no settings of a run: it carries a report, or was made by something else.")
    choice = {**recipe_choice, "seed": settings["seed"] if recipe_choice["seed"] is None else recipe_choice["seed"]}
    if choice["split_seed"] is None:
        choice["split_seed"] = settings["split_seed"]
    if choice["recipe"]:
        chosen = choose(**choice)
        asked = flatten(chosen.recipe)
        kept = {key: settings["recipe"][key] for key in ("dataset", "labels") if recipe_choice[key] is None}
        return folder, Chosen(build({**_nested(asked), **kept}, "--recipe"), chosen.recipe_name, chosen.seed, chosen.split_seed)
    chosen = choose(**choice, base=build(settings["recipe"], f"the settings of {run}"))
    return folder, Chosen(chosen.recipe, folder.facts.get("recipe_name", ""), chosen.seed, chosen.split_seed)


def _flat(settings: dict) -> dict:
    from ssgan.config import build
    from ssgan.settings import flatten

    return flatten(build(settings["recipe"], "run.json")) | {key: settings[key] for key in ("seed", "split_seed")}


def _nested(flat: dict) -> dict:
    table: dict = {}
    for key, value in flat.items():
        section, dot, name = key.rpartition(".")
        (table.setdefault(section, {}) if dot else table)[name] = value
    return table


@contextmanager
def stoppable(setting):
    """Ctrl-C saves a checkpoint and says how to go on."""
    import sys

    from ssgan.training.loop import Interrupted

    with setting.stop.listening():
        try:
            yield
        except Interrupted as stopped:
            print(f"ssgan: stopped at step {stopped.step}; a checkpoint is saved. The same command goes on from there.", file=sys.stderr)
            sys.exit(130)
