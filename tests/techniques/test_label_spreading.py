"""Label spreading: what is taught, to whom it is taught, and what it brings where neighbours tell the class."""

import numpy as np
import pytest
import small
import torch
from sklearn.semi_supervised import LabelSpreading

from ssgan.config import override
from ssgan.data.images import Images
from ssgan.estimator import SSGANClassifier
from ssgan.techniques import label_spreading
from ssgan.training.trainer import Trainer

RECIPE = override(small.MLP, ["label_spreading.weight=1", "gan.weight=0", "feature_matching.weight=0"])


def kept(trainer: Trainer, lane: int) -> dict[int, int]:
    """The label that is taught of each training image, by the image's index."""
    state = {key: value[lane] for key, value in trainer.state["techniques"]["label_spreading"].items()}
    return dict(zip(*(state[key][:int(state["count"])].tolist() for key in ("index", "labels"))))


def signals(classes: int, each: int, known: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noisy, shifted waves [n, 40], their classes [n], and these with -1 for all but the first `known` of each."""
    random = np.random.default_rng(seed)
    waves = np.random.default_rng(0).normal(size=(classes, 2, 4))
    y = np.tile(np.arange(classes), each)
    angle = 2 * np.pi * (np.arange(40) / 40 - random.uniform(-0.03, 0.03, (len(y), 1)))  # [n, 40]
    x = sum(waves[y, 0, k, None] * np.cos((k + 1) * angle) + waves[y, 1, k, None] * np.sin((k + 1) * angle)
            for k in range(4))
    return x + 0.5 * random.normal(size=x.shape), y, np.where(np.arange(len(y)) < classes * known, y, -1)


def test_every_lane_is_taught_its_own_labels_and_what_scikit_learn_spreads_of_them():
    trainer = small.trainer(RECIPE, seeds=(3, 4))
    trainer.step()
    for lane, split in enumerate(trainer.splits):
        taught, known = kept(trainer, lane), dict.fromkeys(split.labelled.tolist())
        pool = np.union1d(split.labelled, split.unlabelled)
        labels = trainer.images.labels.numpy()
        rows = trainer.images.gather(torch.from_numpy(pool), torch.float64).flatten(1).numpy()
        given = np.where(np.isin(pool, split.labelled), labels[pool], -1)
        answers = LabelSpreading(kernel="knn", n_neighbors=7, alpha=0.5, max_iter=1000).fit(rows, given).predict(rows)
        assert taught.keys() <= set(pool.tolist()) and taught.keys() >= known.keys()
        for place, image in enumerate(pool.tolist()):
            assert taught.get(image, -1) in ((labels[image],) if image in known else (answers[place], -1))
    assert kept(trainer, 0) != kept(trainer, 1)


def test_hidden_labels_are_not_seen():
    images = small.dataset().train
    split = small.split(RECIPE, small.dataset())
    hidden = torch.from_numpy(np.setdiff1d(np.arange(len(images)), split.labelled))
    taught = []
    for turn in (0, 1):
        labels = images.labels.clone()
        labels[hidden] = (labels[hidden] + turn) % 4
        trainer = Trainer(RECIPE, Images.of(images.pixels, labels, images.classes), [split], [0], small.FP64)
        trainer.step()
        taught.append(kept(trainer, 0))
    assert taught[0] == taught[1]


def test_what_no_label_reaches_is_not_taught():
    far = torch.arange(40)[:, None, None, None].expand(40, 1, 4, 4) + torch.where(torch.arange(40) < 20, 0, 200)[
        :, None, None, None]
    labels = torch.tensor([0, 1] * 2 + [-1] * 36)
    rows = Images.of(far.to(torch.uint8), labels, ("a", "b")).gather(torch.arange(40)).flatten(1).numpy()
    spread = label_spreading._spread(rows, labels.numpy(), 3)
    assert (spread[20:] == -1).all() and set(spread[:20]) <= {-1, 0, 1} and spread[:4].tolist() == [0, 1, 0, 1]
    assert label_spreading._spread(rows[:4], labels[:4].numpy(), 3).tolist() == [0, 1, 0, 1]


def test_of_a_large_pool_so_many_are_taught(monkeypatch):
    monkeypatch.setattr(label_spreading, "LARGEST_POOL", 5)
    trainer = small.trainer(RECIPE)
    trainer.step()
    assert len(trainer.splits[0].labelled) <= len(kept(trainer, 0)) <= len(trainer.splits[0].labelled) + 5


def test_it_teaches_until_its_share_of_the_run():
    trainer = small.trainer(override(RECIPE, ["label_spreading.until=0.5"]))
    taught = []
    for step in range(trainer.gan.steps):
        trainer.step()
        taught.append(trainer.read()["spread_loss"][0] > 0)
    assert taught == [step < 0.5 * trainer.gan.steps for step in range(trainer.gan.steps)]


@pytest.mark.slow
def test_on_signals_the_estimators_own_recipe_is_no_worse_than_scikit_learns():
    X, y, hidden = signals(6, 30, 3, seed=1)
    X_test, y_test, _ = signals(6, 30, 0, seed=2)
    ours = SSGANClassifier(random_state=0, overrides=("train.most_steps=300", "train.least_steps=300")).fit(X, hidden)
    graph = LabelSpreading(kernel="knn", n_neighbors=7).fit(X, hidden)
    assert ours.recipe_.label_spreading.weight == 1
    assert ours.score(X_test, y_test) >= graph.score(X_test, y_test) > 0.9
