"""Prediction from files: one batch after the other, the same answers as in memory, and nothing stopped by a file that
is none.
"""

from pathlib import Path

import handed
import numpy as np
import pytest
from PIL import Image

from ssgan.data.image_files import Unreadable, find
from ssgan.data.image_reader import Reader
from ssgan.export import predict
from ssgan.export.load import open_model
from ssgan.export.model_card import Card

GREY = Card(("a", "b"), 1, 4, 6, "small", 8, None, "run", "0")


def test_png_files_are_answered_as_the_images_in_memory(tmp_path):
    images, model = handed.images_of_test(), open_model(handed.exported("onnx"))
    paths = handed.write_pictures(tmp_path, images)
    answers = list(predict.predict(model, find([str(tmp_path)], []), Reader(model.card.shape, pytest.fail), batch=100,
                                   top=10))
    _, probabilities = model.answer(images)
    assert [answer.path for answer in answers] == paths
    assert [int(answer.top[0][0]) for answer in answers] == handed.evaluated().tolist()
    for answer, row in zip(answers, probabilities):
        assert [name for name, _ in answer.top] == [str(i) for i in np.argsort(-row, kind="stable")]
        np.testing.assert_allclose([value for _, value in answer.top], np.sort(row)[::-1], atol=1e-6)


class Counting:
    """A model that notes how many images came at once; its first class is as probable as an image is bright."""

    def __init__(self, card: Card):
        self.card, self.sizes = card, []

    def answer(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.sizes.append(len(images))
        bright = images.reshape(len(images), -1).mean(1, keepdims=True) / 255
        return bright, np.concatenate((bright, 1 - bright), 1).astype(np.float32)


def test_files_are_read_batch_by_batch_however_many_there_are(tmp_path):
    path, taken = tmp_path / "x.png", 0
    Image.new("L", (6, 4), 77).save(path)

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield path

    model = Counting(GREY)
    answers = predict.predict(model, endless(), Reader(GREY.shape, print), batch=5)
    assert [next(answers).path for _ in range(12)] == [path] * 12
    assert taken == 15 and model.sizes == [5, 5, 5]


def test_a_file_that_cannot_be_read_stops_no_other(tmp_path):
    good = [tmp_path / f"{shade}.png" for shade in (0, 51, 255)]
    for path in good:
        Image.new("L", (6, 4), int(path.stem)).save(path)
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    model = Counting(GREY)
    items = list(predict.predict(model, [good[0], bad, good[1], Unreadable(Path("gone"), "gone"), good[2]],
                                 Reader(GREY.shape, print), batch=2))
    assert {item.path: item.reason for item in items if isinstance(item, Unreadable)} == {
        bad: "it is no image", Path("gone"): "gone"}
    answers = [item for item in items if isinstance(item, predict.Answer)]
    assert [answer.path for answer in answers] == good and model.sizes == [2, 1]
    assert [answer.label(0.0) for answer in answers] == ["b", "b", "a"]
    assert [answer.label(0.9) for answer in answers] == ["b", "unsure", "a"]
