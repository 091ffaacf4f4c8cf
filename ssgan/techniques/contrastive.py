"""Contrastive start: a small network learns without labels, few labels name its groups, and these are taught first."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.data.class_shares import smoothed
from ssgan.random_streams import torch_generator
from ssgan.settings import number
from ssgan.techniques.answers_cache import found_once
from ssgan.techniques.contrastive_network import contrastive_network, features_of, grouped_answers
from ssgan.techniques.neighbour_graph import NeighbourGraph
from ssgan.techniques.technique import DISCRIMINATOR, Moment, Pool, Size, Technique, Term, View

ALPHA_OF_LABELS, ALPHA_OF_ANSWERS = 0.99, 0.98  # the share of the neighbours in what is spread
LEAST = 1e-6  # a probability below it says no more about who is near
SIDE = 16  # pixels of an image that is compared with others, at most


@dataclass(frozen=True)
class Contrastive(Technique):
    """Before the first step a small network learns, without labels, which images are changes of one another; the labels
    are spread over the nearest neighbours in its features, and the classifier begins with these answers. Where it then
    learns to group the images by classes too, begun with them, what it says of each is spread in the labels' place.

    What few labels let a fresh classifier believe of a rare way of writing is taught on by its own answers; here all
    images have told first which of them belong together. Labels that are spread go astray where a class has odd ones
    alone; the groups hardly depend on which images are labelled, but may put a rare way of writing to another class,
    and its neighbours then lead it back, or leave it in doubt. Where answers are spread again, the classifier's own
    are, once the first ones have been taught, over the graph of those that it answers alike and that look alike, and
    are taught as long: a rare way of writing that is taken for another class here and there is outvoted, not taught on.
    Loss: the mean over unlabelled images of w CE(answer), until their share of the run; the answer is the likeliest
    class by what was spread, z, and w = 1 - H(z) / log K (Iscen et al. 2019), 1 where answers are spread again: they
    are righter than the classifier, whose own confident ones are taught in full beside them. Costs a training of its
    own, or two, of so many steps of 256 images in two forms each, and graphs: once for the same images, labels and
    seed, as the first answers stay in the user's cache; nothing in a step. The features: Chen et al. 2020, eq. 1
    (SimCLR); the spreading: Zhou et al. 2004, over a symmetric graph, with 0.99 of the neighbours' answers (0.98 of
    groups and of the classifier's), and the classes brought to their shares by the labels (Zhu et al. 2003, section 4);
    the groups: Ji et al. 2019, eq. 3 (invariant information clustering); again: Iscen et al. 2019, algorithm 1, with
    the classifier's answers beside the labels.
    """

    sees = frozenset({"labelled", "unlabelled"})
    parts = {DISCRIMINATOR: ("unlabelled",)}
    measures = ("contrastive_loss",)
    requires = ("augment",)

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")
    steps: int = number(200, 1, 1_000_000, "of the training without labels")
    temperature: float = number(0.5, 0.01, 10, "by which cosines are divided in it: the lower it is, the more the "
                                               "nearest images count")
    neighbours: int = number(15, 1, 1000, "nearest neighbours of an image that are joined to it")
    grouping_steps: int = number(0, 0, 1_000_000, "of a training that then groups images by classes, 200, say; 0 is "
                                                  "none: all answers that were spread are taught")
    until: float = number(0.0625, 0.001, 1, "share of the run after which the answers are taught no more, or are those "
                                            "of the classifier, spread again")
    again: int = number(0, 0, 1000, "times that the classifier's own answers are spread, one after the other, and "
                                    "taught for as long, in full")

    def numbers(self, moment: Moment) -> dict[str, float]:
        """Whether it still teaches."""
        return {"teaches": float(moment.step < (1 + self.again) * self.until * moment.steps)}

    def state(self, size: Size) -> dict[str, Tensor]:
        """Of each training image the answer, and how far it counts."""
        return {"answers": torch.zeros(size.images, dtype=torch.int64), "certainty": torch.zeros(size.images)}

    def phases(self, steps: int) -> Collection[int]:
        """Before the first step, and where the answers of each further time begin to be taught."""
        found = (math.ceil(time * self.until * steps) for time in range(1 + self.again))
        return [step for step in found if step < steps]

    def phase(self, moment: Moment, state: Mapping[str, Any], pool: Pool) -> dict[str, Tensor]:
        """The training without labels, the graph, and the training with its answers: once for the same images, labels
        and seed, so that the baseline without generated images begins where the recipe does. Later the classifier's
        answers.
        """
        origin = (self.steps, self.temperature, self.neighbours, self.grouping_steps, pool.origin)
        answers, certainty = self._again(pool) if moment.step else found_once(origin, lambda: self._found(pool))
        kept = state["techniques"]["contrastive"]
        found = {"answers": torch.zeros_like(kept["answers"], device="cpu"),
                 "certainty": torch.zeros_like(kept["certainty"], device="cpu")}
        found["answers"][pool.index] = torch.from_numpy(answers)
        found["certainty"][pool.index] = torch.from_numpy(certainty).to(found["certainty"].dtype)
        return found

    def _again(self, pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        labels, classes, known, wanted = _told(pool)
        if (labels >= 0).all():
            return answered(known, labels, classes)
        said = pool.answers().double().numpy()
        if not np.isfinite(said).all():  # a lane whose training has failed: nothing is taught any more
            return np.where(labels >= 0, labels, classes[0]), (labels >= 0).astype(float)
        rows = np.concatenate([directions(said), looks(pool)], axis=1)
        graph = NeighbourGraph(rows, labels, self.neighbours, pool.seed)
        given = np.where(labels[:, None] >= 0, known, said[:, classes])
        answers, _ = answered(graph.spread(given, wanted, ALPHA_OF_ANSWERS), labels, classes)
        return answers, np.ones(len(answers))

    def _found(self, pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        labels, classes, known, wanted = _told(pool)
        if (labels >= 0).all():
            return answered(known, labels, classes)
        random = torch_generator(pool.seed, "contrastive")
        network = contrastive_network(pool.index, pool.views, self.steps, self.temperature, random)
        features = features_of(network, pool.index, pool.images).numpy()
        graph = NeighbourGraph(features, labels, self.neighbours, pool.seed)
        shares = graph.spread(known, wanted, ALPHA_OF_LABELS)
        if self.grouping_steps and len(classes) > 1:
            groups = grouped(network, pool, shares, classes, wanted, self.grouping_steps, random)
            shares = graph.spread(np.where(labels[:, None] >= 0, known, groups), wanted, ALPHA_OF_ANSWERS)
        return answered(shares, labels, classes)

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator, on the unlabelled images as they are changed."""
        index, logits = view.index["unlabelled"], view.out["unlabelled"].logits
        wrong = functional.cross_entropy(logits, view.state["answers"][index], reduction="none")
        loss = view.numbers["teaches"] * (view.state["certainty"][index].to(wrong.dtype) * wrong).mean()
        return Term(loss, {"contrastive_loss": loss})


def grouped(network: nn.Module, pool: Pool, shares: np.ndarray, classes: np.ndarray, wanted: np.ndarray, steps: int,
            random: torch.Generator) -> np.ndarray:
    """Probabilities [n, k] of classes [k], whose shares wanted are [k], by a network that learns on from those given
    [n, k] of the pool's images.
    """
    labels = pool.labels.numpy()
    answers, certainty = answered(shares, labels, classes)
    place = [torch.from_numpy(np.where(found >= 0, np.searchsorted(classes, found), -1)) for found in (labels, answers)]
    return grouped_answers(network, pool.index, *place, torch.from_numpy(certainty), torch.from_numpy(wanted),
                           pool.views, pool.images, steps, random).double().numpy()


def directions(said: np.ndarray) -> np.ndarray:
    """Probabilities [n, k] as float32 rows [n, k] of length 1, of their logits less the mean: those that lean the same
    way, however far, are near one another. Below a millionth they are one; one that is even is 0.
    """
    logits = np.log(np.maximum(said, LEAST))
    return _of_length_1(logits - logits.mean(1, keepdims=True))


def looks(pool: Pool) -> np.ndarray:
    """The pool's images as float32 rows [n, p] of length 1, of pixels; a side longer than SIDE is brought to at most
    that by means of whole blocks, as small as will do. A black one is 0.
    """
    parts = (pool.images(part).float() for part in pool.index.split(1000))
    small = [functional.adaptive_avg_pool2d(part, [_shortened(side) for side in part.shape[2:]]) for part in parts]
    return _of_length_1(torch.cat(small).flatten(1).numpy())


def _shortened(side: int) -> int:
    return math.ceil(side / math.ceil(side / SIDE))


def _of_length_1(rows: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0).astype(np.float32)


def answered(shares: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest of classes [k] by distributions [n, k], and how certain it is, 1 - H / log k, 0 to 1: [n] each; of
    a label its own, and 1.
    """
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    certainty = 1 + (shares * logs).sum(1) / np.log(max(2, len(classes)))
    return (np.where(labels >= 0, labels, classes[shares.argmax(1)]),
            np.where(labels >= 0, 1.0, np.clip(certainty, 0, 1)))


def _told(pool: Pool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The labels [n], the classes [k] that have one, which is whose [n, k], and the classes' shares by them [k]."""
    labels = pool.labels.numpy()
    classes, sizes = np.unique(labels[labels >= 0], return_counts=True)
    return labels, classes, (labels[:, None] == classes).astype(float), smoothed(sizes)
