"""Label spreading: the answers of a graph of nearest neighbours are taught."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ssgan.random_streams import numpy_generator
from ssgan.settings import number
from ssgan.techniques.technique import DISCRIMINATOR, Draw, Moment, Pool, Size, Technique, Term, View

LARGEST_POOL = 10_000  # unlabelled images, with which scikit-learn takes well under a minute and a gigabyte
SPREAD = "spread"  # the part: images with their known label, or the one that was spread to them


@dataclass(frozen=True)
class LabelSpreading(Technique):
    """Labels are spread over the graph of nearest neighbours before the first step, and the classifier learns them.

    Loss: cross entropy with the known labels and, of unlabelled images, the answers of scikit-learn's LabelSpreading,
    fitted once on the images as they are; of more than 10,000 unlabelled ones on so many. It suits features that are no
    images, whose distances mean something and of which no change is known that keeps the class; and it makes the
    mistakes of the graph, until the share of the run after which only the other losses teach. Costs the fit, and as
    many images more in the classifier's pass. Zhou et al. 2004.
    """

    sees = frozenset({"labelled", "unlabelled"})
    parts = {DISCRIMINATOR: (SPREAD,)}
    measures = ("spread_loss",)

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")
    neighbours: int = number(7, 1, 1000, "nearest neighbours of an image that are joined to it")
    until: float = number(1.0, 0.001, 1, "share of the run after which the answers are taught no more")

    def adds(self, size: Size) -> dict[str, int]:
        """As many as there are unlabelled images in a step."""
        return {SPREAD: size.unlabelled}

    def numbers(self, moment: Moment) -> dict[str, float]:
        """Whether it still teaches."""
        return {"teaches": float(moment.step < self.until * moment.steps)}

    def state(self, size: Size) -> dict[str, Tensor]:
        """Which of the training images have a label, known or spread: the first `count` of `index`; and which."""
        return {"index": torch.zeros(size.images, dtype=torch.int64),
                "labels": torch.zeros(size.images, dtype=torch.int64), "count": torch.zeros((), dtype=torch.int64)}

    def phases(self, steps: int) -> Collection[int]:
        """Before the first step."""
        return (0,)

    def phase(self, moment: Moment, state: Mapping[str, Any], pool: Pool) -> dict[str, Tensor]:
        """The fit, on all that is labelled and as much of the rest as is affordable."""
        seen = affordable(pool.labels.numpy(), numpy_generator(0, "label spreading"))
        index = pool.index[seen]
        answers = torch.from_numpy(_spread(pool.images(index).flatten(1).numpy(), pool.labels[seen].numpy(),
                                           self.neighbours))
        reached = answers >= 0
        count, room = int(reached.sum()), len(state["techniques"]["label_spreading"]["index"])
        index, labels = (functional.pad(found[reached], (0, room - count)) for found in (index, answers))
        return {"index": index, "labels": labels, "count": torch.tensor(count)}

    def draws(self, player: str, size: Size) -> dict[str, Draw]:
        """Which images a step looks at."""
        return {"places": Draw((size.unlabelled,), "exact")}

    def chosen(self, player: str, draws: Mapping[str, Tensor],
               state: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Any of those that have a label, equally likely."""
        count = state["count"].clamp_min(1)[:, None]  # [r, 1]
        places = torch.minimum((draws["places"] * count).long(), count - 1)
        return {SPREAD: (state["index"].gather(1, places), state["labels"].gather(1, places))}

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator."""
        loss = view.numbers["teaches"] * functional.cross_entropy(view.out[SPREAD].logits, view.labels[SPREAD])
        return Term(loss, {"spread_loss": loss})


def label_spreading(x: np.ndarray, y: np.ndarray, neighbours: int = 7):
    """scikit-learn's LabelSpreading (Zhou et al. 2004) over the graph of nearest neighbours, fitted on rows [n, f] with
    labels [n], -1 where there is none. Its `predict` gives a row that no label reaches the first class.
    """
    from sklearn.semi_supervised import LabelSpreading as Spreading

    return Spreading(kernel="knn", n_neighbors=min(neighbours, len(x)), alpha=0.5, max_iter=1000).fit(x, y)


def _spread(x: np.ndarray, y: np.ndarray, neighbours: int) -> np.ndarray:
    """Labels [n] with an answer in the place of each -1 that the labels reach: the row's neighbours vote, so that a
    mistake of one of them does not count.
    """
    if (y >= 0).all():
        return y
    graph = label_spreading(x, y, neighbours)
    with np.errstate(invalid="ignore"):
        probability = graph.predict_proba(x)  # not a number where no label reaches
    answers = np.where(np.isfinite(probability).all(1), graph.classes_[probability.argmax(1)], -1)
    return np.where(y >= 0, y, answers)


def affordable(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The places of all labelled images and of at most LARGEST_POOL others, sorted; labels [n] are -1 where there is
    none.
    """
    others = np.flatnonzero(labels < 0)
    if len(others) > LARGEST_POOL:
        others = random.choice(others, LARGEST_POOL, replace=False)
    return np.sort(np.concatenate([np.flatnonzero(labels >= 0), others]))
