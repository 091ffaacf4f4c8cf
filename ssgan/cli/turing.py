"""`ssgan turing`: the visual Turing test of a run's generated images, by people."""

import threading
import webbrowser
from pathlib import Path

import click
from click.core import ParameterSource

from ssgan.cli.options import SEED, make_setting, place_options, read_data
from ssgan.cli.output import as_json_line
from ssgan.cli.ui import check_free, on_a_desktop
from ssgan.errors import Mistake

# what else may be typed beside --import and --export
BESIDE = {"--import": {"run", "files", "name", "tracking_uri", "experiment", "as_json", "quiet"},
          "--export": {"run", "export", "images", "top", "seed", "name", "device", "data_dir", "skip_broken", "recheck",
                       "tracking_uri", "experiment", "as_json", "quiet"}}


@click.command("turing")
@click.argument("run")
@click.option("-n", "--images", type=int, default=100, show_default=True, help="Images shown, half of them real.")
@click.option("--top", metavar="PERCENT", help="Shows the best of the generated images by score alone, e.g. 1%.  "
                                               "[default: any]")
@click.option("--feedback", is_flag=True, help="Tells after each answer what the image was, which changes the result.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Chooses the images and hides their order.")
@click.option("--name", help="The person's name, to begin with; with --import in place of the one in the file.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1.  [default: a free one]")
@click.option("--export", type=click.Path(path_type=Path), metavar="FILE",
              help="Writes the page as one .html file to send to others, and ends.")
@click.option("--import", "files", type=click.Path(path_type=Path), metavar="FILE", multiple=True,
              help="Takes answers that came back from such a page, and ends; can be given several times.")
@place_options
@click.pass_context
def turing_command(context, run, images, top, feedback, seed, name, port, export, files, device, data_dir, skip_broken,
                   recheck, tracking_uri, experiment, as_json, quiet) -> None:
    """Real or generated? A page on 127.0.0.1 that shows images of RUN (a run id, a unique prefix, or latest) and of its
    test data one at a time, and a person answers; Ctrl-C ends it and keeps the answers.

    Several people may answer, each by a name. The share of right answers, with its 95 % interval, goes to the run.
    """
    _check_beside(context, export, files)
    share, name = parse_top(top), _name(name)
    if port:
        check_free(port)
    setting = make_setting(device, data_dir, tracking_uri, experiment, quiet)
    from ssgan.experiments.resume import begun_with
    from ssgan.experiments.turing import export_page, import_answers, new_test, prepare
    from ssgan.tracking import find_run

    folder = find_run(run, setting.work, setting.store)
    if files:
        _tell(import_answers(folder, files, name, setting), as_json, {"run": run})
        return
    with folder.lock():
        test = new_test(folder, images, share, feedback, seed)
        dataset = read_data(begun_with(folder, run).recipe, setting, recheck=recheck, skip_broken=skip_broken)
        session = prepare(folder, test, dataset, setting)
        if export:
            export_page(session, export, name, setting)
            _tell_export(session, export, as_json)
            return
        _serve(session, name, port, setting, as_json)


def parse_top(text: str | None) -> float | None:
    """The share in % of `1%` or `0.5`; None for all images. Raises Mistake."""
    if text is None:
        return None
    from ssgan.evaluation.ranking import parse_percent

    percent = parse_percent("--top", text)
    return None if percent == 100 else percent


def _check_beside(context: click.Context, export: Path | None, files: tuple[Path, ...]) -> None:
    """Raises Mistake for options that mean nothing beside --import or --export, and for a file that cannot be
    written.
    """
    for option, given in (("--import", files), ("--export", export)):
        typed = [parameter.opts[-1] for parameter in context.command.params if given
                 and context.get_parameter_source(parameter.name) == ParameterSource.COMMANDLINE
                 and parameter.name not in BESIDE[option]]
        if "--feedback" in typed and option == "--export":
            raise Mistake("--export --feedback: a page that tells what an image was has to hold the truth, and this "
                          "one does not; leave --feedback out.")
        if typed:
            raise Mistake(f"{option} goes without {', '.join(typed)}: leave {'it' if len(typed) == 1 else 'them'} out.")
    if export and (export.suffix.lower() not in (".html", ".htm") or not export.parent.is_dir() or export.is_dir()):
        raise Mistake(f"--export {export}: name a .html file in a folder that exists.")


def _name(name: str | None) -> str | None:
    from ssgan.experiments.turing_answer_file import tidy_name

    if name is not None and not tidy_name(name):
        raise Mistake("--name: it is empty; type a name of a person, or leave it out.")
    return name and tidy_name(name)


def _serve(session, name, port, setting, as_json) -> None:
    """Until Ctrl-C or SIGTERM; then what was answered is counted."""
    from ssgan.experiments.turing import finish
    from ssgan.experiments.turing_server import TuringServer

    server = TuringServer(session.page(name), session.answers, port)
    thread = threading.Thread(target=server.serve_forever, name="ssgan-turing", daemon=True)
    with setting.stop.listening():
        try:
            thread.start()
            click.echo(f"{session.title}\n{server.address}   (Ctrl-C ends it)", err=as_json)
            if on_a_desktop():
                webbrowser.open(server.address)
            thread.join()
        except KeyboardInterrupt:
            click.echo("", err=True)
        finally:
            server.shutdown()
            server.server_close()
    _tell(finish(session.folder, setting), as_json, {**session.plain(), "address": server.address})


def _tell_export(session, path: Path, as_json: bool) -> None:
    if as_json:
        as_json_line({**session.plain(), "path": str(path)})
        return
    click.echo(f"{path}: {session.title}. It does not hold which images are real; whoever has the data set can look "
               f"for them in it.\nWhat people send back: ssgan turing RUN --import FILE")


def _tell(conditions: list[dict], as_json: bool, about: dict) -> None:
    if as_json:
        as_json_line({**about, "results": conditions})
        return
    if not conditions:
        click.echo("nothing was answered.")
    for row in conditions:
        click.echo(f"{_condition(row)}\n{_line('all', row)}{_line('real', row['real'])}"
                   f"{_line('generated', row['generated'])}", nl=False)
        for person, found in row["people"].items():
            click.echo(_line(person, found), nl=False)


def _condition(row: dict) -> str:
    shown = "any generated images" if row["top"] is None else f"the best {row['top']:g} % of generated images"
    return f"\n{shown}, {'with' if row['feedback'] else 'without'} feedback"


def _line(name: str, row: dict) -> str:
    if row["accuracy"] is None:
        return f"  {name:12} none answered\n"
    return (f"  {name:12} {100 * row['accuracy']:5.1f} %  {row['right']} of {row['answers']} right; 95 % interval "
            f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %\n")
