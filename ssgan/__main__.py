"""`ssgan` and `python -m ssgan`: the command line, from a bare checkout too."""

import signal


def main() -> None:
    """The command line; while it is imported, Ctrl-C ends it without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ssgan.cli import main as command

    command()


if __name__ == "__main__":  # and not where a process begins that imports its parent's main module
    main()
