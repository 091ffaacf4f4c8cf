"""The steps at which the stages note their results, and what is made ready before images are scored."""

import pytest
import small

from ssgan.config import override
from ssgan.evaluation import generator_scores
from ssgan.experiments import stages
from ssgan.recipes import read
from ssgan.tracking.workfolder import WorkFolder


@pytest.mark.parametrize("others", [{"by_labels/error": 0.1}, {"turing/accuracy": 0.5, "turing/answers": 9000}],
                         ids=lambda values: next(iter(values)))
def test_a_stage_done_again_is_noted_behind_the_training_and_not_behind_counts_of_labels_or_answers(others, tmp_path):
    with WorkFolder(tmp_path).lock() as folder:
        folder.measure(40, {"train/labelled_loss": 1.0})
        folder.measure(9000, others)
        assert (stages._step(folder, again=False), stages._step(folder, again=True)) == (40, 41)


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """The folders of the user's cache that hold files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return lambda: {path.parent.name for path in tmp_path.glob("ssgan/*/*")}


@pytest.mark.parametrize("changes, wanted", [
    ([], {"classifiers", "trained_on_real"}), (["pictures.steps=0"], {"classifiers"}),
    (["score.train_images=0"], {"classifiers"}), (["score.network=inception"], {"trained_on_real"})])
def test_what_the_cache_keeps_is_made_ready_and_nothing_else(cached, monkeypatch, changes, wanted):
    monkeypatch.setattr(generator_scores, "look", lambda *given: pytest.fail("images are scored"))
    recipe = override(read("digits").recipe, ["score.train_images=300", "score.train_epochs=1", *changes])
    stages.ready_scoring(recipe, small.digits(), "cpu", lambda stage: lambda done, total: None)
    assert cached() == wanted


def test_scores_begin_with_what_was_made_ready(cached):
    recipe = override(read("digits").recipe, ["score.train_images=300", "score.train_epochs=1"])
    trained = []

    def watched(stage):
        return lambda done, total: trained.append(stage) if stage != "real images" else None

    stages.ready_scoring(recipe, small.digits(), "cpu", watched)
    assert set(trained) == {"network", "trained on real images"}
    trained.clear()
    network, real = stages.scoring(recipe, small.digits(), "cpu", watched)
    assert not trained and real.trained_errors and network.error < 0.1
