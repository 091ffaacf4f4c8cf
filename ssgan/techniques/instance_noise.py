"""Instance noise: noise on real and generated images alike, which dies away."""

from dataclasses import dataclass

from torch import Tensor

from ssgan.models.scales import alike
from ssgan.settings import number
from ssgan.techniques.technique import DISCRIMINATOR, GENERATOR, Draw, Moment, Size, Technique, View


@dataclass(frozen=True)
class InstanceNoise(Technique):
    """Gaussian noise on unlabelled and generated images alike, wherever the discriminator sees them: x + s(t) e, e
    normal, with s(t) = std max(0, 1 - t / until) at the share t of the run.

    Real and generated images then overlap, so that a discriminator which tells them apart without a mistake, and
    teaches nothing, is not to be had; as the generator nears its aim the noise goes. Labelled images are left as they
    are, and so is what the classifier is asked in the end. Costs a draw a pixel. Sønderby et al. 2017; Arjovsky
    & Bottou 2017.
    """

    sees = frozenset({"unlabelled", "generated"})
    parts = {DISCRIMINATOR: ("unlabelled", "generated"), GENERATOR: ("generated",)}
    adds_term = False
    logits = False
    key = "std"
    requires = ("gan",)

    std: float = number(0.0, 0, 100, "standard deviation at the start, of pixels in [0, 1]; 0 is off")
    until: float = number(1.0, 0.001, 1, "share of the run at whose end it has fallen to 0")

    def numbers(self, moment: Moment) -> dict[str, float]:
        """The standard deviation of the step."""
        return {"std": self.std * max(0.0, 1 - moment.step / (self.until * moment.steps))}

    def draws(self, player: str, size: Size) -> dict[str, Draw]:
        """The noise of every image."""
        return {"unlabelled": Draw((size.unlabelled, *size.shape), "normal"),
                "generated": Draw((size.generated, *size.shape), "normal")}

    def images(self, player: str, view: View) -> dict[str, Tensor]:
        """The same with noise; a generator's update may look at generated ones alone."""
        return {part: view.images[part] + view.numbers["std"].to(drawn.dtype) * alike(drawn, view.images[part])
                for part, drawn in view.draws.items() if part in view.images}
