"""`ssgan recipes`: list, print and copy out the shipped recipes."""

from pathlib import Path

import click

from ssgan.errors import Mistake


@click.command("recipes")
@click.argument("name", required=False)
@click.option("--copy", "target", type=click.Path(path_type=Path), help="Writes the recipe to this file, to be changed and used with --recipe.")
@click.option("--evidence", is_flag=True, help="What the shipped recipes have reached, every row measured: a Markdown table.")
@click.option("--keys", "show_keys", is_flag=True, help="Every key that a recipe may have, with its meaning.")
def recipes_command(name, target, evidence, show_keys) -> None:
    """The shipped recipes: all of them, or the text of NAME."""
    from ssgan.config import describe
    from ssgan.recipes import evidence_table, names, read

    if evidence:
        click.echo(evidence_table(), nl=False)
    elif show_keys:
        for key, text in describe().items():
            click.echo(f"{key:28} {text}")
    elif name is None:
        for each in names():
            click.echo(f"{each:20} {read(each).title}")
    elif target is None:
        click.echo(read(name).text, nl=False)
    else:
        text = read(name).text
        try:
            with target.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise Mistake(f"--copy {target}: {error.strerror}; name a new file in a folder that exists.") from None
        click.echo(f"{name} is in {target}; use it with --recipe {target}")
