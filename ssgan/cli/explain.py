"""`ssgan explain`: what a technique, a key of a recipe or a measurement is."""

import textwrap

import click

from ssgan.cli import output
from ssgan.errors import Mistake

WIDTH, NAME, SOURCE = 118, 30, 29  # columns


@click.command("explain")
@click.argument("key", required=False)
@click.option("--effects", is_flag=True, help="What every technique has brought in our own ablations, or KEY alone: a "
                                               "Markdown table.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line of stdout.")
def explain_command(key, effects, as_json) -> None:
    """A technique, a recipe key or a metric: what it is, why, its equation, what it costs, its source; all techniques
    and metrics without KEY.

    \b
    KEY may be a name, the beginning that only one has, or a short form: GP, TTUR, SN, FM, FID.
    """
    from ssgan.experiments.explain import find, pages

    if effects:
        _show_effects(key, as_json)
    elif key is None:
        found = pages()
        if as_json:
            output.as_json_line({"pages": [page.plain() for page in found.values()]})
        else:
            _show_all(found)
    elif as_json:
        output.as_json_line(find(key).plain())
    else:
        _show(find(key))


def _show_effects(key, as_json) -> None:
    from ssgan.experiments.explain import find, pages
    from ssgan.experiments.report.effects import effects_table

    if as_json:
        raise Mistake("--effects is a Markdown table; as JSON every page has its effects: leave --effects out.")
    chosen = list(pages().values()) if key is None else [find(key)]
    if not any(page.effects for page in chosen):
        raise Mistake(f"--effects: no ablation of {key or 'any technique'} is recorded; on your data: ssgan ablate "
                      f"RECIPE")
    click.echo(effects_table(chosen))


def _show_all(pages) -> None:
    for kind, title in (("technique", "techniques"), ("metric", "measurements")):
        click.echo(f"\n{title}\n")
        for page in (page for page in pages.values() if page.kind == kind):
            room = WIDTH - NAME - SOURCE
            click.echo(f"{page.name:{NAME}}{textwrap.shorten(page.what, room - 1, placeholder=' …'):{room}}"
                       f"{textwrap.shorten(page.source, SOURCE, placeholder=' …').replace('; …', ' …')}")
    click.echo("\nssgan explain NAME     the page of one, or of a key of a recipe; `ssgan recipes --keys` lists these")


def _show(page) -> None:
    from ssgan.config import describe

    short = f", also {', '.join(page.short_forms)}" if page.short_forms else ""
    click.echo(f"\n{page.name} ({page.kind}{short})\n")
    for paragraph in page.text.split("\n\n"):
        click.echo(textwrap.fill(" ".join(paragraph.split()), WIDTH, break_on_hyphens=False) + "\n")
    for name, text in page.facts.items():
        click.echo(textwrap.fill(text, WIDTH, initial_indent=f"  {name:16} ", subsequent_indent=" " * 19))
    if page.kind in ("technique", "section"):
        described = describe()
        for key in page.keys:
            click.echo(textwrap.fill(described[key], WIDTH, initial_indent=f"  {key:32} ",
                                     subsequent_indent=" " * 35))
    if page.kind == "technique":
        for effect in page.effects:
            click.echo(textwrap.fill(effect.told(), WIDTH, initial_indent="  measured here    ",
                                     subsequent_indent=" " * 19))
        if not page.effects:
            off = "labels" if page.name == "supervised" else page.name
            click.echo(f"  measured here    not yet; on your data: ssgan ablate RECIPE --off {off}")
    click.echo()
