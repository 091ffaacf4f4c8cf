"""`ssgan recipes`: list, print and copy out the shipped recipes; their evidence as a table and as a picture."""

from pathlib import Path

import click

from ssgan.errors import Mistake


@click.command("recipes")
@click.argument("name", required=False)
@click.option("--copy", "target", type=click.Path(path_type=Path), help="Writes the recipe to this file, to be changed "
                                                                        "and used with --recipe.")
@click.option("--evidence", is_flag=True,
              help="What NAME, else all shipped recipes, have reached, every row measured: a Markdown table.")
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE.png",
              help="Draws NAME's evidence, the test error over labels with the baselines, into this file.")
@click.option("--keys", "show_keys", is_flag=True, help="Every key that a recipe may have, with its meaning.")
def recipes_command(name, target, evidence, picture, show_keys) -> None:
    """The shipped recipes: all of them, or the text of NAME."""
    from ssgan.config import describe
    from ssgan.recipes import names, read

    if picture is not None:
        _draw(name, picture)
    elif evidence:
        from ssgan.experiments.report.evidence import evidence_table

        click.echo(evidence_table(None if name is None else [name]))
    elif show_keys:
        for key, text in describe().items():
            click.echo(f"{key:28} {text}")
    elif name is None:
        for each in names():
            click.echo(f"{each:20} {read(each).title}")
    elif target is None:
        click.echo(read(name).text, nl=False)
    else:
        _copy(name, target)


def _draw(name: str | None, picture: Path) -> None:
    """Writes the picture of a recipe's evidence. Raises Mistake."""
    from ssgan.recipes import read

    if name is None:
        raise Mistake(f"--picture {picture}: of which recipe? For example: ssgan recipes digits --picture {picture}")
    if picture.suffix.lower() != ".png" or not picture.parent.is_dir() or picture.is_dir():
        raise Mistake(f"--picture {picture}: name a .png file in a folder that exists.")
    from ssgan.experiments.report import write
    from ssgan.experiments.report.evidence_picture import evidence_picture

    write(picture, evidence_picture(read(name)))
    click.echo(f"the evidence of {name} is drawn in {picture}")


def _copy(name: str, target: Path) -> None:
    """Writes a recipe to a new file. Raises Mistake."""
    from ssgan.recipes import read

    text = read(name).text
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Mistake(f"--copy {target}: {error.strerror}; name a new file in a folder that exists.") from None
    click.echo(f"{name} is in {target}; use it with --recipe {target}")
