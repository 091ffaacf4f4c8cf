"""`Mistake`: an error that a person can cause and mend."""

from collections.abc import Iterable
from difflib import get_close_matches

LISTED = 12  # names that a message lists in full


class Mistake(Exception):
    """Says in one to three lines what was wrong, what was found, what is allowed and what to type.

    The command line prints it without a traceback and exits with code 2.
    """


def unknown(kind: str, name: str, known: Iterable[str]) -> Mistake:
    """A `Mistake` for a name that is not among the known ones, with the nearest of them."""
    known = sorted(known)
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    if len(known) > LISTED:
        return Mistake(f"no {kind} is called {name!r}. {hint}The nearest: "
                       f"{', '.join(get_close_matches(name, known, 6, 0))}.")
    return Mistake(f"no {kind} is called {name!r}. {hint}Known: {', '.join(known) or 'none'}.")


class Failed(Exception):
    """A run that ended FAILED through no wrong input: what happened, at which step, what to try. Exit code 1."""


class NothingFinished(Failed):
    """A plan of which no run has come to a good end; `found` is what there is of it all the same, to be shown."""

    def __init__(self, told: str, found: object = None):
        super().__init__(told)
        self.found = found
