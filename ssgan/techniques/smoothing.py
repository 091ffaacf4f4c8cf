"""Label smoothing: real images are told real by a little less than 1."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ssgan.errors import Mistake
from ssgan.models.functional import widened
from ssgan.settings import number
from ssgan.techniques.technique import DISCRIMINATOR, Draw, Size, Technique, View


@dataclass(frozen=True)
class LabelSmoothing(Technique):
    """The discriminator is told that unlabelled images are real by alpha and generated ones by beta, in place of 1 and
    0, so that it is not driven to ever surer judgements.

    Its loss on an image is t times that of a real one and 1 - t times that of a generated one, with t = alpha or beta;
    the best D is then (alpha p + beta q) / (p + q) of the densities p of real and q of generated images. One-sided,
    beta = 0, is the default: with beta above 0 D has, where p is about 0 and q is not, a peak that holds wrong images
    where they are. With `width` every image's t is drawn anew, from its target to so much nearer to 1/2. Costs nothing,
    or a draw an image. Salimans et al. 2016, section 3.4: alpha 0.9.
    """

    sees = frozenset({"unlabelled", "generated"})
    parts = {DISCRIMINATOR: ("unlabelled", "generated")}
    adds_term = False
    requires = ("gan",)

    weight: float = number(0.0, 0, 1, "share of the way from 1 and 0 to the targets below; 0 is off")
    alpha: float = number(0.9, 0.5, 1, "target of unlabelled images, 1 is none")
    beta: float = number(0.0, 0, 0.5, "target of generated images; 0 is one-sided")
    width: float = number(0.0, 0, 0.5, "range from which each image's target is drawn, from its own towards 1/2; 0 is "
                                       "none")

    def check(self, recipe: Any) -> None:
        """A Wasserstein loss has no targets."""
        refuse_wasserstein(recipe, "smoothing.weight")

    def draws(self, player: str, size: Size) -> dict[str, Draw]:
        """Where in its range each image's target lies."""
        if not self.width:
            return {}
        return {"unlabelled": Draw((size.unlabelled,), "uniform"), "generated": Draw((size.generated,), "uniform")}

    def targets(self, view: View) -> dict[str, Tensor]:
        """Of both kinds; what others made of them before is overruled."""
        found = {}
        for part, target, start, towards in (("unlabelled", self.alpha, 1.0, -1), ("generated", self.beta, 0.0, 1)):
            count = len(view.images[part])
            drawn = widened(view.draws[part] if self.width else view.images[part].new_zeros(count))
            found[part] = start + self.weight * (target - start + towards * self.width * drawn)
        return found


def refuse_wasserstein(recipe: Any, key: str) -> None:
    """Raises Mistake where the loss has no targets of 1 and 0 that the key could change."""
    if recipe.gan.loss == "wasserstein":
        raise Mistake(f"{key} and gan.loss = wasserstein cannot be combined: that loss has no targets of 1 and 0, and "
                      f"would only be made smaller.\nSwitch one of them off, for example --set {key}=0.")
