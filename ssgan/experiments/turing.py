"""A visual Turing test of a run: its images, the page, and the results brought to the run."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssgan.data.dataset import Dataset
from ssgan.data.own_data import short
from ssgan.errors import Mistake
from ssgan.evaluation.generator_scores import compared
from ssgan.evaluation.networks import network_of
from ssgan.evaluation.scoring_network import DOMAIN, Network, itself
from ssgan.evaluation.turing_images import shown_images
from ssgan.evaluation.turing_test import FEWEST, MOST, MOST_LOOKED_AT, TuringTest
from ssgan.experiments.report import write
from ssgan.experiments.report.turing_page import TuringPage
from ssgan.experiments.run import Setting, deliver_finished
from ssgan.experiments.stages import watched
from ssgan.experiments.turing_answer_file import AnswerFile, read_answer_file, tidy_name
from ssgan.experiments.turing_answers import Answers, known_tests, merged, note_results, secret_of
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training.execution import find_device
from ssgan.training.trained_model import TrainedModel


@dataclass(frozen=True, eq=False)
class Session:
    """A test of a run with its images, ready to be shown."""

    folder: WorkFolder
    dataset: str
    answers: Answers
    images: np.ndarray  # uint8 [n, c, h, w], in the order in which they are shown

    @property
    def title(self) -> str:
        """What is shown, in a line."""
        test, about = self.answers.test, self.answers.about
        best = f"the best {test.top:g} % of {test.looked_at:,} " if test.top is not None else ""
        return (f"{self.folder.facts.get('name')}: {test.half} {about['real']} and {best or f'{test.half} '}"
                f"images of its generator")

    def page(self, name: str | None) -> TuringPage:
        """The page, with a name to begin with."""
        return TuringPage(self.images, self.answers.test.id, self.dataset, name or "", self.answers.test.feedback)

    def plain(self) -> dict[str, Any]:
        """As plain values for JSON."""
        test = self.answers.test
        return {"test": test.id, "images": test.images, "top": test.top, "feedback": test.feedback, "seed": test.seed,
                **self.answers.about}


def new_test(folder: WorkFolder, images: int, top: float | None, feedback: bool, seed: int) -> TuringTest:
    """The test that is asked for of a run. Raises Mistake for one that cannot be, of a run without a generator say."""
    if not FEWEST <= images <= MOST or images % 2:
        raise Mistake(f"-n {images}: half of the images are real, so it is an even number from {FEWEST} to {MOST}; try "
                      f"-n {min(MOST, max(FEWEST, images + images % 2))}.")
    TrainedModel.of_run(folder).sampler()  # or the Mistake that there is none
    test = TuringTest(secret_of(folder), seed, images, top, feedback)
    if test.looked_at > MOST_LOOKED_AT:
        raise Mistake(f"--top {top:g}%: {test.half} such images are the best of {test.looked_at:,}, and at most "
                      f"{MOST_LOOKED_AT:,} are looked at; try fewer images with -n, or a larger share.")
    return test


def prepare(folder: WorkFolder, test: TuringTest, dataset: Dataset, setting: Setting) -> Session:
    """Chooses and makes the images of a test, in a work folder that the caller has locked. Raises Mistake, also where
    they are no longer those that were shown before.
    """
    there, here = folder.facts["settings"]["data"], dataset.sha256
    if there != here:
        raise Mistake(f"this run was made from {dataset.name} with SHA-256 {there[:16]}, and the data here have "
                      f"{here[:16]}: name the folder of its own data with --data-dir.")
    model, device = TrainedModel.of_run(folder), find_device(setting.device)
    sampler = model.sampler(device, seed=test.latent_seed())
    network = _network(model, dataset, device, setting) if test.top is not None else None
    pixels = shown_images(test, compared(dataset)[1], sampler, network).numpy()
    real = "test images" if dataset.test is not None and len(dataset.test) else "training images, for want of others,"
    about = {"generator": sampler.name, "real": real, "network": network and network.name,
             "pixels": hashlib.sha256(pixels.tobytes()).hexdigest()}
    answers = Answers(folder, test)
    if answers.about.get("pixels", about["pixels"]) != about["pixels"]:
        raise Mistake(f"--seed {test.seed}: this test was made before, and its images come out otherwise now, on "
                      f"another machine or with another version of torch.\nTake another --seed; the answers so far "
                      f"stay.")
    return Session(folder, short(dataset.name), Answers(folder, test, about), pixels)


def export_page(session: Session, path: Path, name: str | None, setting: Setting) -> None:
    """Writes the page as one file, and notes the test at the run, so that answers can come back. Raises Mistake."""
    session.answers.save()
    write(path, session.page(name).file().encode())
    deliver_finished([session.folder], setting)


def import_answers(folder: WorkFolder, paths: Sequence[Path], name: str | None,
                   setting: Setting) -> list[dict[str, Any]]:
    """Takes the answers of such files, all or, where one is not right, none; the run's results. Raises Mistake."""
    files = [read_answer_file(path) for path in paths]
    with folder.lock():
        tests = {answers.test.id: answers for answers in known_tests(folder)}
        for path, file in zip(paths, files):
            if file.test not in tests:
                raise Mistake(f"--import {path}: these are answers to test {file.test[:16]}, and run "
                              f"{folder.facts.get('name')} has {', '.join(tests) or 'none'}.\nName the run whose page "
                              f"was sent: ssgan turing RUN --import {path}")
            there = tests[file.test].test.images
            if len(file.answers) != there:
                raise Mistake(f"--import {path}: it has answers to {len(file.answers)} images, and its test has "
                              f"{there}: it was changed.\nAsk for the file again.")
        _check_once(tests, paths, files, name)
        for file in files:
            tests[file.test].take(name or tidy_name(file.name), file.answers)
        return finish(folder, setting)


def finish(folder: WorkFolder, setting: Setting) -> list[dict[str, Any]]:
    """Counts what was answered and brings it to the run in the store; the results. The caller has locked the folder."""
    found = note_results(folder)
    deliver_finished([folder], setting)
    return found


def _check_once(tests: dict[str, Answers], paths: Sequence[Path], files: Sequence[AnswerFile],
                name: str | None) -> None:
    """Raises Mistake where a file cannot be taken after those before it."""
    given: dict[tuple[str, str], str] = {}
    for path, file in zip(paths, files):
        person = name or tidy_name(file.name)
        key = file.test, person
        try:
            given[key], _ = merged(person, given.get(key, tests[file.test].of(person)), file.answers)
        except Mistake as mistake:
            raise Mistake(f"--import {path}: {mistake}") from None


def _network(model: TrainedModel, dataset: Dataset, device: str, setting: Setting) -> Network:
    """The domain network, or the run's own classifier where not all training images have a label or none is there to
    test with.
    """
    told = watched(setting.progress, setting.stop)("network")
    network = network_of(DOMAIN, dataset, device, told) or itself(model.discriminator().to(device))
    setting.progress.end()
    return network
