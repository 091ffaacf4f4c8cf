"""`ssgan ui`: MLflow's own UI on the store, on 127.0.0.1."""

import os

import click

from ssgan.cli.options import open_store, store_options
from ssgan.errors import Mistake


@click.command("ui")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@store_options
def ui_command(port, tracking_uri, experiment) -> None:
    """Starts the MLflow UI on this store; Ctrl-C ends it."""
    import socket

    from ssgan import tracking

    store = open_store(tracking_uri, experiment)
    argv, environment = tracking.ui_command(store and store.uri, port)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise Mistake(f"--port {port} is in use: try --port {port + 1 if port < 65535 else port - 1}.") from None
    store.client()
    click.echo(f"http://127.0.0.1:{port}/#/experiments/{store.experiment_id}/runs?workflowType=machine_learning   (Ctrl-C ends it)")
    os.execve(argv[0], argv, environment)
