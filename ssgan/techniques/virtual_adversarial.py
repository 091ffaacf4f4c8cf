"""Virtual adversarial training: answers that do not change under the small change of an image that moves them most."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ssgan.models.context import Context
from ssgan.models.functional import widened
from ssgan.settings import number
from ssgan.techniques.technique import DISCRIMINATOR, Draw, Size, Technique, Term, View

XI = 0.1  # length of the change whose effect's gradient gives the adversarial direction
# of that gradient, whose length does not matter: at very confident answers it would be below all that float32 holds
GAIN = 2.0**64

Discriminator = Callable[[Tensor, Context], tuple[Tensor, Tensor]]  # -> logits [n, k], features [n, f]


@dataclass(frozen=True)
class VirtualAdversarial(Technique):
    """The answers do not change under the small change of an image that moves them most.

    Loss: KL(p(x) || p(x + r)), with r of length epsilon in the direction that one step of the power method finds from a
    draw. Costs two passes and a half of a share of the unlabelled images. Miyato et al. 2018, eq. 5 and algorithm 1.
    """

    sees = frozenset({"unlabelled"})
    parts = {DISCRIMINATOR: ("unlabelled",)}
    measures = ("vat_loss",)

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")
    epsilon: float = number(2.0, 1e-6, 1000, "length of the change: its root of summed squares over the pixels, which "
                                             "are 0 to 1")
    share: float = number(0.5, 0.001, 1, "images in the loss, as a share of the unlabelled ones in a step")

    def draws(self, player: str, size: Size) -> dict[str, Draw]:
        """The directions from which the changes are sought: [m, c, h, w]."""
        return {"directions": Draw((max(1, round(self.share * size.unlabelled)), *size.shape), "normal")}

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator, on the first m unlabelled images."""
        directions = view.draws["directions"]
        loss = vat_loss(view.players[DISCRIMINATOR], view.images["unlabelled"][:len(directions)], directions,
                        self.epsilon)
        return Term(loss, {"vat_loss": loss})


def vat_loss(discriminator: Discriminator, images: Tensor, directions: Tensor, epsilon: float) -> Tensor:
    """How far answers without noise move under the change of length `epsilon` that moves them most: 2 x [m, c, h, w] ->
    [].

    That change is found from a draw by one step of the power method (Miyato et al. 2018, eq. 5 and algorithm 1).
    """
    def moved(change: Tensor) -> Tensor:
        return divergence(probabilities, widened(discriminator(images + change, Context())[0]))

    with torch.no_grad():
        probabilities = widened(discriminator(images, Context())[0]).softmax(1)
        directions = torch.func.grad(lambda change: GAIN * moved(change))(XI * unit(directions))
    return moved(epsilon * unit(directions))


def unit(x: Tensor) -> Tensor:
    """Images [n, c, h, w] divided by their lengths; zeros stay.

    By their largest values first: the gradient at a very confident answer is so small that its squares are zero.
    """
    tiny = torch.finfo(x.dtype).tiny
    x = x / x.abs().amax((1, 2, 3), keepdim=True).clamp_min(tiny)
    return x / torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True).clamp_min(tiny)


def divergence(probabilities: Tensor, logits: Tensor) -> Tensor:
    """KL(p || softmax(logits)), mean over the batch: 2 x [n, k] -> [] (Miyato et al. 2018, eq. 5)."""
    return (torch.xlogy(probabilities, probabilities) - probabilities * logits.log_softmax(1)).sum(1).mean()
