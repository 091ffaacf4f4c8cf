"""Contrastive start: a small network learns without labels, few labels name its groups, and these are taught first."""

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.data.class_shares import smoothed
from ssgan.random_streams import numpy_generator, torch_generator
from ssgan.settings import number
from ssgan.techniques.contrastive_network import contrastive_network, features_of, grouped_answers
from ssgan.techniques.label_spreading import affordable
from ssgan.techniques.technique import DISCRIMINATOR, Moment, Pool, Size, Technique, Term, View

PIECE = 10_000  # images outside the graph that are answered at once
SMALLEST = 1e-9  # probability in a product
KEPT = 32  # lanes' answers that a process remembers
_FOUND: dict[Hashable, tuple[np.ndarray, np.ndarray]] = {}  # by what they follow from, the oldest first


@dataclass(frozen=True)
class Contrastive(Technique):
    """Before the first step a small network learns, without labels, which images are changes of one another; the labels
    are spread over the nearest neighbours in its features, and the classifier begins with these answers. Where it then
    learns to group the images by classes too, begun with them, the classifier begins with the product of both.

    What few labels let a fresh classifier believe of a rare way of writing is taught on by its own answers; here all
    images have told first which of them belong together. The graph knows a way of writing by its nearest labels and is
    lost where these are odd; the groups hardly depend on which images are labelled, but may put a rare way of writing
    to another class, and are sure of it. Loss: the mean over unlabelled images of w CE(answer), until its share of the
    run; the answer is the likeliest class by z, w = 1 - H(z) / log K (Iscen et al. 2019), z the distribution spread,
    or, with groups, the product of it and a small power of theirs (a logarithmic opinion pool, Genest & Zidek 1986).
    Costs a training of its own, or two, of so many steps of 256 images in two forms each, and a graph; nothing in a
    step. The features: Chen et al. 2020, eq. 1 (SimCLR); the spreading: Zhou et al. 2004, over a symmetric graph, with
    0.99 of the neighbours' answers, and the classes brought to their shares by the labels (Zhu et al. 2003, section 4);
    the groups: Ji et al. 2019, eq. 3 (invariant information clustering).
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
    grouping_weight: float = number(0.1, 0, 10, "exponent of the groups' probabilities in the product with those that "
                                                "were spread")
    until: float = number(0.0625, 0.001, 1, "share of the run after which the answers are taught no more")

    def numbers(self, moment: Moment) -> dict[str, float]:
        """Whether it still teaches."""
        return {"teaches": float(moment.step < self.until * moment.steps)}

    def state(self, size: Size) -> dict[str, Tensor]:
        """Of each training image the answer, and how far it counts."""
        return {"answers": torch.zeros(size.images, dtype=torch.int64), "certainty": torch.zeros(size.images)}

    def phases(self, steps: int) -> Collection[int]:
        """Before the first step."""
        return (0,)

    def phase(self, moment: Moment, state: Mapping[str, Any], pool: Pool) -> dict[str, Tensor]:
        """The training without labels, the graph, and the training with its answers: once a process for the same images
        and labels, so that the baseline without generated images begins where the recipe does.
        """
        key = (self.steps, self.temperature, self.neighbours, self.grouping_steps, self.grouping_weight, pool.origin)
        if key not in _FOUND:
            while len(_FOUND) >= KEPT:
                del _FOUND[next(iter(_FOUND))]
            _FOUND[key] = self._found(pool)
        answers, certainty = _FOUND[key]
        kept = state["techniques"]["contrastive"]
        found = {"answers": torch.zeros_like(kept["answers"], device="cpu"),
                 "certainty": torch.zeros_like(kept["certainty"], device="cpu")}
        found["answers"][pool.index] = torch.from_numpy(answers)
        found["certainty"][pool.index] = torch.from_numpy(certainty).to(found["certainty"].dtype)
        return found

    def _found(self, pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        random = torch_generator(pool.seed, "contrastive")
        network = contrastive_network(pool.index, pool.views, self.steps, self.temperature, random)
        features = features_of(network, pool.index, pool.images)
        labels = pool.labels.numpy()
        shares, classes = spread(features.numpy(), labels, self.neighbours, pool.seed)
        if self.grouping_steps and len(classes) > 1 and (labels < 0).any():
            groups = grouped(network, pool, shares, classes, self.grouping_steps, random)
            shares = pooled(shares, groups, self.grouping_weight)
        return answered(shares, labels, classes)

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator, on the unlabelled images as they are changed."""
        index, logits = view.index["unlabelled"], view.out["unlabelled"].logits
        wrong = functional.cross_entropy(logits, view.state["answers"][index], reduction="none")
        loss = view.numbers["teaches"] * (view.state["certainty"][index].to(wrong.dtype) * wrong).mean()
        return Term(loss, {"contrastive_loss": loss})


def grouped(network: nn.Module, pool: Pool, shares: np.ndarray, classes: np.ndarray, steps: int,
            random: torch.Generator) -> np.ndarray:
    """Probabilities [n, k] of classes [k] by a network that learns on from those given [n, k] of the pool's images."""
    labels = pool.labels.numpy()
    sizes = (labels[:, None] == classes).sum(0)
    answers, certainty = answered(shares, labels, classes)
    place = [torch.from_numpy(np.where(found >= 0, np.searchsorted(classes, found), -1)) for found in (labels, answers)]
    found = grouped_answers(network, pool.index, *place, torch.from_numpy(certainty), torch.from_numpy(smoothed(sizes)),
                            pool.views, pool.images, steps, random)
    return found.double().numpy()


def pooled(shares: np.ndarray, others: np.ndarray, weight: float) -> np.ndarray:
    """Of two distributions for each row [n, k] the product, the second to a power, brought to a sum of 1: [n, k]. No
    class is ruled out by one alone.
    """
    product = np.maximum(shares, SMALLEST) * np.maximum(others, SMALLEST) ** weight
    return product / product.sum(1, keepdims=True)


def answered(shares: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest of classes [k] by distributions [n, k], and how certain it is, 1 - H / log k, 0 to 1: [n] each; of
    a label its own, and 1.
    """
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    certainty = 1 + (shares * logs).sum(1) / np.log(max(2, len(classes)))
    return (np.where(labels >= 0, labels, classes[shares.argmax(1)]),
            np.where(labels >= 0, 1.0, np.clip(certainty, 0, 1)))


def spread(features: np.ndarray, labels: np.ndarray, neighbours: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [n, k], of rows [n, f] with labels [n], -1 where there is none, and the classes [k] that have a
    label. Even ones of what no label reaches. The graph has 10,000 rows without a label at most, by the seed; others
    are answered by their neighbours in it. Where more is spread of a class than its share, estimated from the labels,
    it counts for less in each answer, and the other way round (class mass normalisation, Zhu et al. 2003, section 4).
    """
    from sklearn.semi_supervised import LabelSpreading

    if (labels >= 0).all():
        classes = np.unique(labels)
        return (labels[:, None] == classes).astype(float), classes
    among = affordable(labels, numpy_generator(seed, "contrastive graph"))
    neighbours = min(neighbours, len(among) - 1)
    graph = LabelSpreading(kernel=lambda x, y: joined(x, y, neighbours), alpha=0.99, max_iter=10_000)
    graph.fit(features[among], labels[among])
    shares = np.zeros((len(labels), len(graph.classes_)))
    shares[among] = graph.label_distributions_
    outside = np.setdiff1d(np.arange(len(labels)), among)
    for part in np.array_split(outside, -(-len(outside) // PIECE)) if len(outside) else ():
        shares[part] = joined(graph.X_, features[part], neighbours).T @ graph.label_distributions_
    reached = shares.sum(1) > 0
    shares[reached] /= shares[reached].sum(1, keepdims=True)
    sizes = (labels[:, None] == graph.classes_).sum(0)
    shares[reached] *= smoothed(sizes) / shares[reached].mean(0)
    shares[reached] /= shares[reached].sum(1, keepdims=True)
    shares[~reached] = 1 / shares.shape[1]
    return shares, graph.classes_


def joined(x: np.ndarray, y: np.ndarray, neighbours: int):
    """The graph as a sparse matrix [n, m]: of rows x among themselves, where y is x, 1 where one of two is a nearest
    neighbour of the other, and 2 where each is; else 1 where a row of x is a nearest one of a row of y.
    """
    from sklearn.neighbors import NearestNeighbors

    among = NearestNeighbors(n_neighbors=neighbours).fit(x)
    if y is not x:
        return among.kneighbors_graph(y).T.tocsr()
    graph = among.kneighbors_graph()
    return (graph + graph.T).tocsr()
