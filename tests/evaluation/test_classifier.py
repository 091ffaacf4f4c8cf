"""Evaluation: the numbers against hand counts, what is saved, and the order of the mistakes."""

import json
import os

import numpy as np
import pytest
import small
import torch

from ssgan.data.images import Images
from ssgan.errors import Mistake
from ssgan.evaluation import metrics
from ssgan.evaluation.classifier import evaluate, pooled, worst_mistakes

TEST = small.images(57, (1, 5, 4), 4, seed=3)
INDEX = torch.arange(0, 57, 3)


def logits_of(x: torch.Tensor) -> torch.Tensor:
    """A classifier that has learnt nothing, and is sure of it."""
    weights = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
    return 8 * x.flatten(1) @ weights.to(x)


def found(**changes):
    return evaluate(changes.pop("logits_of", logits_of), changes.pop("images", TEST), changes.pop("index", INDEX),
                    **changes)


def test_the_numbers_are_those_of_a_slow_count():
    result = found()
    answers, likelihood = [], 0.0
    for i in INDEX.tolist():
        row = torch.softmax(logits_of(TEST.pixels[i: i + 1].double() / 255)[0], 0)
        answers.append(int(row.argmax()))
        likelihood -= float(row[TEST.labels[i]].log()) / len(INDEX)
    truths = TEST.labels[INDEX].tolist()
    wrong = sum(answer != truth for answer, truth in zip(answers, truths))
    assert 0 < wrong < len(INDEX)
    assert (result.wrong, result.total, result.error) == (wrong, 19, wrong / 19)
    assert (result.low, result.high) == metrics.error_interval(wrong, 19)
    assert result.nll == pytest.approx(likelihood, rel=1e-4)
    assert result.ece == metrics.expected_calibration_error(result.probabilities, truths)
    for true in range(4):
        of_class = [answer for answer, truth in zip(answers, truths) if truth == true]
        assert result.confusion[true].tolist() == [of_class.count(answer) for answer in range(4)]
        assert result.per_class[true] == sum(answer != true for answer in of_class) / len(of_class)
    assert result.probabilities.dtype == np.float32 and result.probabilities.shape == (19, 4)
    np.testing.assert_array_equal(result.index, INDEX)
    np.testing.assert_array_equal(result.labels, truths)


@pytest.mark.parametrize("batch", [1, 7, 19])
def test_batches_change_nothing(batch):
    np.testing.assert_allclose(found(batch=batch).probabilities, found().probabilities, atol=1e-6)


def test_every_number_has_a_name_and_fits_into_json():
    result = found()
    names = {"test/error", "test/error_low", "test/error_high", "test/wrong", "test/ece", "test/nll",
             "test/balanced_error"}
    measured = result.measurements()
    answered = set(result.predictions.tolist())  # a class that was never answered has no precision
    assert set(measured) == (names | {f"test/{what}/class {i}" for i in range(4) for what in ("error", "recall", "f1", "n")}
                             | {f"test/precision/class {i}" for i in answered})
    assert set(result.measurements("cross_validation")) == {
        name.replace("test/", "cross_validation/") for name in measured}
    assert all(type(value) is float for value in measured.values())
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert (summary["wrong"], summary["error"]) == (result.wrong, result.error)
    assert summary["per_class"]["class 2"] == measured["test/error/class 2"]
    assert summary["by_class"]["class 2"] == {
        "recall": measured["test/recall/class 2"], "precision": measured.get("test/precision/class 2"),
        "f1": measured["test/f1/class 2"], "n": int((result.labels == 2).sum())}
    assert np.trace(summary["confusion"]) == result.total - result.wrong


def test_a_class_without_test_images_has_no_error():
    index = (TEST.labels != 2).nonzero()[:, 0]
    result = found(index=index)
    assert "test/error/class 2" not in result.measurements()
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert summary["per_class"]["class 2"] is None
    assert summary["by_class"]["class 2"] == {"recall": None, "precision": None, "f1": None, "n": 0}
    assert summary["balanced_error"] == pytest.approx(np.mean([result.per_class[i] for i in (0, 1, 3)]))


def test_parts_pooled_are_the_whole():
    whole, parts = found(), [found(index=INDEX[part::3]) for part in range(3)]
    result = pooled(parts)
    for name, value in vars(whole).items():
        np.testing.assert_equal(getattr(result, name), value)


def test_what_is_saved_gives_the_same_numbers(tmp_path):
    result = found()
    result.save(tmp_path / "test.npz")
    with np.load(tmp_path / "test.npz", allow_pickle=False) as saved:
        assert set(saved) == {"probabilities", "labels", "index", "classes"}
        assert saved["classes"].tolist() == list(TEST.classes)
        assert int((saved["probabilities"].argmax(1) != saved["labels"]).sum()) == result.wrong
        assert metrics.negative_log_likelihood(saved["probabilities"], saved["labels"]) == result.nll
        np.testing.assert_array_equal(saved["index"], INDEX)


def test_a_failing_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "test.npz"
    found().save(path)
    before = path.read_bytes()

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(Mistake, match="No space left"):
        found(index=INDEX[:3]).save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_worst_mistakes_are_the_surest_ones():
    result = found()
    worst = worst_mistakes(result, 1000)
    assert len(worst) == result.wrong and set(worst) == set(np.flatnonzero(result.predictions != result.labels))
    confidence = [result.probabilities[position].max() for position in worst]
    assert confidence == sorted(confidence, reverse=True)
    assert worst_mistakes(result, 3).tolist() == worst[:3].tolist()
    right = found(logits_of=lambda x: torch.eye(4)[TEST.labels[INDEX]])
    assert right.wrong == 0 and len(worst_mistakes(right, 5)) == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_answers_that_are_not_finite_are_a_mistake(bad):
    with pytest.raises(Mistake, match="not finite"):
        found(logits_of=lambda x: logits_of(x).index_fill(1, torch.tensor(3), bad))


def test_a_certain_mistake_leaves_the_likelihood_finite():
    sure = Images.of(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64), ("a", "b"))
    result = evaluate(lambda x: torch.tensor([[0.0, 1e6]]), sure, torch.tensor([0]))
    assert (result.error, result.ece) == (1, 1) and 80 < result.nll < 90
