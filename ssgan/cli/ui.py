"""`ssgan ui`: MLflow's own UI on the store, on 127.0.0.1."""

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click

from ssgan.cli.options import open_store, store_options
from ssgan.errors import Mistake

if TYPE_CHECKING:
    from ssgan.tracking import Store, View

# Waits until somebody answers at the port, then opens the address.
OPEN = """
import socket, sys, time, webbrowser
for _ in range(120):
    time.sleep(0.5)
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[2])), 1).close()
    except OSError:
        continue
    webbrowser.open(sys.argv[1])
    break
"""


@click.command("ui")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@click.option("--compare", is_flag=True, help="The latest sweep, by label budget, or ablation, by row. Opens a "
                                              "browser on a desktop.")
@store_options
def ui_command(port, compare, tracking_uri, experiment) -> None:
    """Starts the MLflow UI on this store; Ctrl-C ends it."""
    from ssgan import tracking

    store = open_store(tracking_uri, experiment)
    if compare and store is not None and store.database is None:  # an MLflow server: its own UI shows the view
        _show_view(store, store.uri, _view(store))
        return
    argv, environment = tracking.ui_command(store and store.uri, port)
    check_free(port)
    view = _view(store) if compare else None
    base = f"http://127.0.0.1:{port}"
    if view is None:
        click.echo(f"{base}/#/experiments/{_experiment(store)}/runs?workflowType=machine_learning   (Ctrl-C ends it)")
    else:
        address = _show_view(store, base, view)
        if on_a_desktop():
            subprocess.Popen([sys.executable, "-c", OPEN, address, str(port)])
    sys.stdout.flush()
    os.execve(argv[0], argv, environment)


def _view(store: "Store") -> "View":
    """The view of the latest sweep or ablation, saved anew where that may be. Raises Mistake where there is none."""
    from ssgan import tracking

    _experiment(store)
    try:
        ablation, sweep = tracking.latest_ablation(store), tracking.latest_sweep(store)
    except tracking.Undelivered as reason:
        raise Mistake(f"{store.name} cannot be used now: {reason}.") from None
    if ablation is None and sweep is None:
        raise Mistake(f"experiment {store.experiment!r} in {store.name} has no sweep to show.\n"
                      f"Make one: ssgan sweep --dataset digits --labels 20,50,100,200 --seeds 3; or see all runs: "
                      f"ssgan ui{store.options()}")
    try:
        return tracking.save_ablation_view(store, *ablation) if ablation else tracking.save_view(store, *sweep)
    except tracking.Undelivered as reason:
        click.echo(f"ssgan: the view is not saved: {reason}", err=True)
    key, name, tag = (*ablation, tracking.ABLATION_TAG) if ablation else (*sweep[:2], tracking.SWEEP_TAG)
    return tracking.unsaved_view(store, key, name, tag)


def _experiment(store: "Store") -> str:
    """The experiment's id. Raises Mistake."""
    from ssgan import tracking

    try:
        return store.reader()[1]
    except tracking.Undelivered as reason:
        raise Mistake(f"{store.name} cannot be used now: {reason}.") from None


def _show_view(store: "Store", base: str, view: "View") -> str:
    """Prints the addresses of a view, and returns the first."""
    click.echo(view.name)
    for title, path in view.pages.items():
        click.echo(f"  {title:15}  {base}{path}")
    if store.database is not None:
        click.echo("(Ctrl-C ends it)")
    return f"{base}{view.budgets or view.plain}"


def on_a_desktop() -> bool:
    """Whether a person sees windows here, and reads what the command prints."""
    display = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(display) and sys.stdout.isatty()


def check_free(port: int) -> None:
    """Raises Mistake where somebody listens at the port."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise Mistake(f"--port {port} is in use: try --port {port + 1 if port < 65535 else port - 1}.") from None
