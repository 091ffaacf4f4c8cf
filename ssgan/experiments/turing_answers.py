"""The answers to a run's visual Turing tests, in its work folder, and what they come to."""

import json
import threading
from pathlib import Path
from typing import Any

from ssgan.errors import Mistake
from ssgan.evaluation.turing_test import NONE, SIGNS, Tally, TuringTest, measurements, tally_of
from ssgan.files import reading, shown, write_text
from ssgan.tracking.workfolder import WorkFolder

RESULTS = "results.json"


class Twice(Mistake):
    """An image that the same person has answered before."""


class Answers:
    """What people have answered in one test, kept as turing/<id>.json in the run's work folder, which the caller has
    locked; `about` says more of the test, its network say. May be asked from several threads.
    """

    def __init__(self, folder: WorkFolder, test: TuringTest, about: dict[str, Any] | None = None):
        self.test = test
        self._folder, self._guard = folder, threading.Lock()
        self._about, self._people = about or {}, {}
        if self._path.exists():
            found = _stored(self._path)
            self._about, self._people = found["about"] | self._about, found["people"]

    @property
    def about(self) -> dict[str, Any]:
        """What was noted of the test when it was first made."""
        return dict(self._about)

    @property
    def people(self) -> dict[str, str]:
        """Each person's answers, by name: a text of REAL, GENERATED and NONE."""
        with self._guard:
            return dict(self._people)

    def of(self, name: str) -> str:
        """One person's answers, none at first."""
        return self.people.get(name, NONE * self.test.images)

    def answer(self, name: str, number: int, kind: str) -> str:
        """Notes an answer, and returns what the image is. Raises Twice for an image that the person has answered."""
        with self._guard:
            given = self._people.get(name, NONE * self.test.images)
            if given[number] != NONE:
                raise Twice(f"{name} has answered image {number + 1} already; the first answer stands.")
            self._keep(name, given[:number] + kind + given[number + 1:])
        return self.test.truth()[number]

    def take(self, name: str, answers: str) -> int:
        """Adds answers that came back in a file; returns how many are new. Raises Twice as `merged` does."""
        with self._guard:
            whole, new = merged(name, self._people.get(name, NONE * self.test.images), answers)
            self._keep(name, whole)
        return new

    def save(self) -> None:
        """Writes the test down, whether or not anybody has answered. Raises Mistake."""
        with self._guard:
            self._write(self._people)

    def _keep(self, name: str, answers: str) -> None:
        people = self._people | {name: answers}
        self._write(people)  # what cannot be written has not been answered
        self._people = people

    @property
    def _path(self) -> Path:
        return self._folder.path / "turing" / f"{self.test.id}.json"

    def _write(self, people: dict[str, str]) -> None:
        test = {name: value for name, value in vars(self.test).items() if name != "run"}
        self._folder.stage_folder("turing")
        write_text(self._path, json.dumps({"test": test, "about": self._about, "people": people}, indent=1))


def merged(name: str, given: str, more: str) -> tuple[str, int]:
    """A person's answers with more of them, and how many are new. Raises Twice where all are there already, or others
    are in their place.
    """
    pairs = list(zip(given, more))
    again = sum(NONE not in pair for pair in pairs)
    if any(old != new for old, new in pairs if NONE not in (old, new)):
        raise Twice(f"{shown(name)} has answered {again} of these images before, and not always so: an image is "
                    f"answered once.\nIf it is another person of that name: --name 'ANOTHER NAME'.")
    new = sum(old == NONE != new for old, new in pairs)
    if not new:
        raise Twice(f"the answers of {shown(name)} have been taken already." if again else
                    f"{shown(name)} has answered nothing in it.")
    return "".join(old if new == NONE else new for old, new in pairs), new


def known_tests(folder: WorkFolder) -> list[Answers]:
    """Every test of the run that has been shown or exported, by id. Raises Mistake for a damaged file."""
    found = []
    for path in sorted((folder.path / "turing").glob("*.json")):
        if path.name != RESULTS:
            answers = Answers(folder, TuringTest(secret_of(folder), **_stored(path)["test"]))
            if answers.test.id != path.stem:
                raise _damaged(path)
            found.append(answers)
    return found


def secret_of(folder: WorkFolder) -> str:
    """What hides the order of a run's tests from all who do not have the run: the microsecond in which it began, with
    its data and seeds.
    """
    facts = folder.facts
    settings = facts["settings"]
    return json.dumps([facts.get("created"), settings["data"], settings["seed"], settings["split_seed"]])


def note_results(folder: WorkFolder) -> list[dict[str, Any]]:
    """Counts all answers to a run's tests, people and seeds together for each condition, and writes them down:
    turing/results.json, and measurements whose step is the number of answers. Returns them as plain values.
    """
    conditions: dict[tuple[float | None, bool, str], dict[str, Tally]] = {}
    for answers in known_tests(folder):
        test = answers.test
        people = conditions.setdefault((test.top, test.feedback, test.condition), {})
        for name, given in answers.people.items():
            people[name] = people.get(name, Tally()) + test.tally(given)
    found = []
    for (top, feedback, condition), people in conditions.items():
        tally = tally_of(people.values())
        if tally.all.total:
            folder.measure(tally.all.total, measurements(condition, tally))
            found.append({"top": top, "feedback": feedback, **tally.plain(),
                          "people": {name: one.plain() for name, one in people.items()}})
    folder.flush()
    if found:
        write_text(folder.stage_folder("turing") / RESULTS, json.dumps(found, indent=1))
    return found


def _stored(path: Path) -> dict[str, Any]:
    try:
        with reading(path):
            found = json.loads(path.read_text(encoding="utf-8"))
        test, people = found["test"], found["people"]
        whole = (set(test) == {"seed", "images", "top", "feedback"} and isinstance(found["about"], dict)
                 and all(len(given) == test["images"] and set(given) <= SIGNS for given in people.values()))
    except (ValueError, LookupError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise _damaged(path)
    return found


def _damaged(path: Path) -> Mistake:
    return Mistake(f"{path} is damaged: it is not what `ssgan turing` has written.\nBring back a copy, or remove it: "
                   f"the answers in it are lost then.")
