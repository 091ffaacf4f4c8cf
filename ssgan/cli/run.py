"""`ssgan run`, and the four stages one at a time."""

from contextlib import contextmanager, suppress

import click

from ssgan.cli import run_summary
from ssgan.cli.options import Chosen, choose, make_setting, place_options, read_data, recipe_options

ESTIMATE = click.option("--no-estimate", is_flag=True, help="Where there is no test part: does not train up to five "
                                                            "times more to estimate the error.")


def _plain(command):
    return command


def _command(name: str, until: str, text: str):
    @click.command(name, help=text)
    @recipe_options
    @(ESTIMATE if until == "score" else _plain)
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
    @ESTIMATE
    @place_options
    def command(run, **options):
        stage_or_run(name, run, **options)

    return command


def stage_or_run(stage: str, run: str | None, **options) -> None:
    """Does a stage again on a finished run, or comes to it by the settings given."""
    if run is None:
        _run(stage, again=False, resume=None, **options)
    else:
        _stage(stage, run, **options)


run_command = _command("run", "score", "Few labels to a tracked, evaluated, scored classifier: split, train, evaluate, "
                                       "score.")
split_command = _command("split", "split", "Chooses the labelled images and saves the index tables.")
train_command = _command("train", "train", "Splits and trains, and stops there.")
evaluate_command = _stage_command("evaluate", "Test error and baselines, of a finished RUN or of the settings given.")


def _run(until, *, again, resume, as_json, device, data_dir, tracking_uri, experiment, quiet, recheck, skip_broken,
         no_estimate=False, **recipe_choice) -> None:
    member = _resumed(resume, tracking_uri, experiment, recipe_choice) if resume else _member(choose(**recipe_choice))
    setting = make_setting(device, data_dir, tracking_uri, experiment, quiet)
    setting.beside, setting.estimate = True, not no_estimate
    from dataclasses import replace

    from ssgan.experiments.fitted_recipe import fitted
    from ssgan.experiments.run import run_group, summary

    dataset = read_data(member.recipe, setting, recheck=recheck, skip_broken=skip_broken)
    member = replace(member, recipe=fitted(member.recipe, dataset, setting.progress.say))
    with stoppable(setting):
        folder, = run_group([member], dataset, setting, until=until, again=again)
    run_summary.show(folder, summary(folder), as_json, _budgets(member, dataset))


def _stage(stage, run, *, as_json, device, data_dir, tracking_uri, experiment, quiet, recheck, skip_broken,
           no_estimate=False, **recipe_choice) -> None:
    setting = make_setting(device, data_dir, tracking_uri, experiment, quiet)
    setting.estimate = not no_estimate
    from ssgan.experiments import resume
    from ssgan.experiments.run import stage_again, summary
    from ssgan.training.trained_model import TrainedModel

    folder, begun, asked = _found(run, setting.store, recipe_choice)
    resume.check_stage(run, begun, asked, stage)
    TrainedModel.of_run(folder)  # or the Mistake that there is none
    dataset = read_data(asked.recipe, setting, recheck=recheck, skip_broken=skip_broken)
    with stoppable(setting):
        stage_again(folder, asked, dataset, setting, stage)
    run_summary.show(folder, summary(folder), as_json, _budgets(asked, dataset))


def _budgets(member, dataset) -> list[int]:
    """The run's budget, twice and four times of it, as far as the data can give them; of one's own data, whose labels
    may all be used, half of it too.
    """
    from ssgan.data.own_data import is_own
    from ssgan.data.splits import check_budget
    from ssgan.errors import Mistake

    found, half = [], [member.recipe.labels // 2] if is_own(dataset.name) and member.recipe.labels > 3 else []
    for budget in half + [member.recipe.labels * times for times in (1, 2, 4)]:
        with suppress(Mistake):
            check_budget(dataset, budget, member.recipe.split)
            found.append(budget)
    return found


def _member(chosen: Chosen):
    from ssgan.experiments.member import Member

    return Member(chosen.recipe, chosen.seed, chosen.split_seed, chosen.recipe_name)


def _resumed(run, tracking_uri, experiment, recipe_choice):
    """What a work folder was made with. Raises Mistake with the differences where the options say otherwise."""
    from ssgan.cli.options import open_store
    from ssgan.experiments import resume

    _, begun, asked = _found(run, open_store(tracking_uri, experiment), recipe_choice)
    resume.check_same(run, begun, asked)
    return asked


def _found(run, store, recipe_choice):
    """The work folder that RUN means, what it was made with, and that with the options' changes."""
    from dataclasses import replace

    from ssgan.cli.options import work_root
    from ssgan.experiments import resume
    from ssgan.tracking import find_run

    folder = find_run(run, work_root(), store)
    begun = resume.begun_with(folder, run)
    own = {"seed": begun.seed, "split_seed": begun.split_seed}
    choice = recipe_choice | {name: seed for name, seed in own.items() if recipe_choice[name] is None}
    if choice["recipe"]:
        asked = _member(choose(**choice))
        return folder, begun, resume.of_the_same_data(asked, begun, choice["dataset"], choice["labels"])
    asked = _member(choose(**choice, base=begun.recipe))
    return folder, begun, replace(asked, recipe_name=begun.recipe_name)


@contextmanager
def stoppable(setting):
    """Ctrl-C saves a checkpoint and says how to go on."""
    import sys

    from ssgan.training.loop import Interrupted

    with setting.stop.listening():
        try:
            yield
        except Interrupted as stopped:
            print(f"ssgan: stopped at step {stopped.step}; a checkpoint is saved. The same command goes on from "
                  f"there.", file=sys.stderr)
            sys.exit(130)
