"""`ssgan deliver`: brings waiting work folders into MLflow."""

import sys
from pathlib import Path

import click

from ssgan.cli import output
from ssgan.cli.options import open_store, store_options, work_root
from ssgan.errors import Mistake


@click.command("deliver")
@click.option("--from", "source", type=click.Path(path_type=Path),
              help="A work folder, or a folder that holds some, from another machine say. Default: mlruns/work here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line of stdout.")
@store_options
def deliver_command(source, as_json, tracking_uri, experiment) -> None:
    """Brings runs that wait in work folders into MLflow."""
    store = open_store(tracking_uri, experiment)
    if store is None:
        raise Mistake("--tracking-uri none: there is no store to deliver to; leave it out, or name one.")
    store.check_writable()
    from ssgan import tracking
    from ssgan.tracking.workfolder import WorkFolder

    root = source or work_root()
    if source is not None and not WorkFolder.all(source):
        raise Mistake(f"--from {source}: there is no work folder of a run there.")
    try:
        dead = tracking.mark_dead(store, root)
    except tracking.Undelivered as undelivered:
        raise Mistake(f"{store.name} cannot be used now: {undelivered}.\nThe runs wait in {root}; try again "
                      f"later.") from None
    results = tracking.deliver_waiting(root, store, any_store=True)
    brought = [(folder, run_id) for folder, run_id, _ in results if run_id]
    waiting = [(folder, reason) for folder, _, reason in results if reason]
    for name in dead:
        click.echo(f"its process had died, marked KILLED: {name}", err=True)
    for folder, reason in waiting:
        click.echo(f"still waiting: {folder.facts.get('name')}: {reason}", err=True)
    if as_json:
        output.as_json_line(
            {"delivered": [run_id for _, run_id in brought], "waiting": [folder.fingerprint for folder, _ in waiting]})
    else:
        for folder, run_id in brought:
            click.echo(f"{run_id}  {folder.facts.get('name')}")
        click.echo(f"{len(brought)} delivered, {len(waiting)} waiting")
    if waiting:
        sys.exit(1)
