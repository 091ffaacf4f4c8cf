"""The picture player: a class-conditional generator and a critic of their own, which draw after the classifier."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.models.conditional_pair import ConditionalGenerator, Critic
from ssgan.models.context import Context
from ssgan.models.functional import widened
from ssgan.settings import number, numbers
from ssgan.techniques.technique import Draw, Moment, Optimiser, Pool, Size, Technique, Term, View

CRITIC, PICTURES = "critic", "pictures"  # the players, and the second one's images
CHOSEN = "confident"  # the part: real images whose class is known or answered confidently


@dataclass(frozen=True)
class Pictures(Technique):
    """A generator that is told the class draws pictures, against a critic that is told it too: a pair apart from the
    classifier, which they never touch.

    They are trained after the classifier, for steps of their own, on the labelled images and on those unlabelled ones
    that the averaged classifier answers with at least the threshold's probability, each under its class. The matching
    of features makes a good classifier and poor pictures, for a mean can be met by images that are none. Losses, of
    logits D(x, y): softplus(-D(x, y)) + softplus(D(G(z, c), c)) of the critic, softplus(-D(G(z, c), c)) of the
    generator: the non-saturating game of Goodfellow et al. 2014, section 3, with classes as Mirza & Osindero 2014 have
    them. Costs its own steps, of two dense networks.
    """

    sees = frozenset({"labelled", "unlabelled", "generated"})
    key = "steps"
    parts = {CRITIC: (CHOSEN,), PICTURES: ()}
    generates = (PICTURES,)
    least_classes = 2

    steps: int = number(0, 0, 100_000_000, "steps after the classifier's; 0 is off")
    batch: int = number(100, 2, 65536, "real images in a step, and as many generated ones")
    threshold: float = number(0.95, 0, 1, "least probability of an answer under which an unlabelled image is shown")
    latent: int = number(64, 1, 16384, "numbers in the latent vector, normal")
    generator_widths: tuple[int, ...] = numbers((500, 500), 1, 16384, "hidden widths of the generator")
    critic_widths: tuple[int, ...] = numbers((1000, 500, 250, 250), 1, 16384, "hidden widths of the critic")
    noise: float = number(0.3, 0, 100, "standard deviation of the Gaussian noise on the critic's images")
    learning_rate: float = number(4e-4, 1e-9, 10, "Adam's learning rate; its decay is that of [train]")
    generator_learning_rate: float = number(0.0, 0, 10, "the generator's own; 0 is the critic's")
    beta1: float = number(0.5, 0, 0.9999, "Adam's beta1")
    beta2: float = number(0.99, 0.001, 0.999999, "Adam's beta2")
    averaging_rate: float = number(0.001, 1e-7, 1, "share of the newest weights in the average, each step")

    def off(self) -> "Pictures":
        """No steps."""
        return Pictures()

    def factor(self) -> float:
        """Its players have no other loss."""
        return 1.0

    def further_steps(self) -> int:
        return self.steps

    def least_images(self) -> int:
        return self.batch

    def players(self, size: Size) -> dict[str, Callable[[torch.Generator], nn.Module]]:
        """A critic and a generator, for images of that shape."""
        return {CRITIC: lambda random: Critic(size.classes, self.critic_widths, size.shape, self.noise, random),
                PICTURES: lambda random: ConditionalGenerator(self.latent, size.classes, self.generator_widths,
                                                              size.shape, random)}

    def optimiser(self, player: str, usual: Optimiser) -> Optimiser:
        """Adam by its own settings."""
        own = self.generator_learning_rate if player == PICTURES else 0.0
        return usual._replace(learning_rate=own or self.learning_rate, beta1=self.beta1, beta2=self.beta2, epsilon=1e-8,
                              adam="standard", averaging="corrected", averaging_rate=self.averaging_rate, clip=0.0)

    def state(self, size: Size) -> dict[str, Tensor]:
        """Which of the training images are shown, the first `count` of `index`, and under which classes."""
        return {"index": torch.zeros(size.images, dtype=torch.int64),
                "labels": torch.zeros(size.images, dtype=torch.int64), "count": torch.zeros((), dtype=torch.int64)}

    def phase(self, moment: Moment, state: Mapping[str, Any], pool: Pool) -> dict[str, Tensor]:
        """The averaged classifier answers once, after its last step; known classes are as they are known."""
        probability, answers = pool.answers().max(1)
        known = pool.labels >= 0
        shown = known | (probability >= self.threshold)
        count, room = int(shown.sum()), len(state["techniques"][PICTURES]["index"])
        index, labels = (functional.pad(found[shown], (0, room - count))
                         for found in (pool.index, torch.where(known, pool.labels, answers)))
        return {"index": index, "labels": labels, "count": torch.tensor(count)}

    def waits(self, state: Mapping[str, Tensor]) -> str:
        """Whether there are fewer images to be shown than a batch."""
        count = int(state["count"])
        if count >= self.batch:
            return ""
        return (f"no pictures are drawn: {count} images have a known class or a confident answer, fewer than "
                f"pictures.batch = {self.batch}; try --set pictures.threshold={self.threshold / 2:.2g} or "
                f"--set pictures.batch={max(2, count // 2)}")

    def draws(self, player: str, size: Size) -> dict[str, Draw]:
        """Latent vectors and classes of the generated images, noise, and for the critic which real images it sees."""
        n, critic = self.batch, player == CRITIC
        found = {"latent": Draw((n, self.latent), "normal"), "classes": Draw((n,), "classes"),
                 "noise": Draw(((1 + critic) * n, *size.shape), "normal")}
        return found | ({"places": Draw((n,), "exact")} if critic else {})

    def chosen(self, player: str, draws: Mapping[str, Tensor],
               state: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Any of the images that are shown, equally likely."""
        if player != CRITIC:
            return {}
        count = state["count"].clamp_min(1)[:, None]  # [r, 1]
        places = torch.minimum((draws["places"] * count).long(), count - 1)
        return {CHOSEN: (state["index"].gather(1, places), state["labels"].gather(1, places))}

    def term(self, player: str, view: View) -> Term:
        """Of the critic on real images and on generated ones, or of the generator."""
        critic, generator, draws = view.players[CRITIC], view.players[PICTURES], view.draws
        drawn = generator(draws["latent"], Context(labels=draws["classes"]))
        if player == PICTURES:
            return Term(functional.softplus(-widened(critic(drawn, draws["classes"], draws["noise"]))).mean())
        images = torch.cat([view.images[CHOSEN], drawn.detach()])
        labels = torch.cat([view.labels[CHOSEN], draws["classes"]])
        real, generated = widened(critic(images, labels, draws["noise"])).chunk(2)
        return Term(functional.softplus(-real).mean() + functional.softplus(generated).mean())
