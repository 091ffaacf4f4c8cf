"""The steps at which the stages note their results."""

import pytest

from ssgan.experiments import stages
from ssgan.tracking.workfolder import WorkFolder


@pytest.mark.parametrize("others", [{"by_labels/error": 0.1}, {"turing/accuracy": 0.5, "turing/answers": 9000}],
                         ids=lambda values: next(iter(values)))
def test_a_stage_done_again_is_noted_behind_the_training_and_not_behind_counts_of_labels_or_answers(others, tmp_path):
    with WorkFolder(tmp_path).lock() as folder:
        folder.measure(40, {"train/labelled_loss": 1.0})
        folder.measure(9000, others)
        assert (stages._step(folder, again=False), stages._step(folder, again=True)) == (40, 41)
