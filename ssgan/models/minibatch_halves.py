"""`MinibatchHalves`: how near an image lies to the real ones of its batch, and how near to the generated ones."""

import torch
from torch import Tensor, nn

from ssgan.models.functional import widened
from ssgan.models.minibatch import DISTANCES

SHARE = 1 / 31  # the authors divide a mean by the other images of a batch of 16 real and 16 generated ones once more


class MinibatchHalves(nn.Module):
    """[n, f] -> [n, f + 2 kernels]: x, then of each kernel the mean of exp(-|M_ib - M_jb|_1) over the other real images
    j, then that over the other generated ones, each 1/31 times; M_ib are the `dimensions` numbers of x_i in kernel b
    (Salimans et al. 2016, section 3.2; the authors' script for ImageNet, which takes both halves apart). `distance` is
    "l1", as there, or "l2".

    The last `generated` rows are generated; where none is, their features are 0. With references, for evaluation, the
    means are over those, and an image's answer does not depend on its neighbours. Without a generator the weights are
    not filled.
    """

    compares_halves = True

    def __init__(self, inputs: int, kernels: int, dimensions: int, std: float, generator: torch.Generator | None,
                 distance: str = "l1"):
        super().__init__()
        self.dimensions, self.distances = dimensions, DISTANCES[distance]
        shape = (dimensions * kernels, inputs)
        self.weight = nn.Parameter(torch.empty(shape) if generator is None
                                   else torch.randn(shape, generator=generator) * std)
        self.register_buffer("real", None)  # [dimensions, r, kernels], as the next one, saved where they are there
        self.register_buffer("made", None)

    @property
    def couples_batch(self) -> bool:
        """Whether images are compared with their neighbours."""
        return self.real is None

    def forward(self, x: Tensor, generated: int = 0) -> Tensor:
        points = self.points(x)
        if self.real is None:
            first = len(x) - generated
            rows = torch.arange(len(x), device=x.device)[:, None]
            near = (-self.distances(points, points)).exp()  # an image's likeness to itself is 1
            halves = [_mean(near[:, :first], rows < first), _mean(near[:, first:], rows >= first)]
        else:
            halves = [_mean((-self.distances(points, each)).exp(), None) for each in (self.real, self.made)]
        return torch.cat((x, *(half.to(x.dtype) for half in halves)), 1)

    def points(self, x: Tensor) -> Tensor:
        """M: [n, f] -> [dimensions, n, kernels] in at least float32."""
        return widened(x @ self.weight.T).unflatten(1, (self.dimensions, -1)).movedim(1, 0)

    @torch.no_grad()
    def refer(self, x: Tensor, generated: int = 0) -> None:
        """From now on images are compared with those of these features [r, f], the last of them generated."""
        points = self.points(x)
        self.real, self.made = (each.contiguous() for each in points.split([len(x) - generated, generated], 1))

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *rest) -> None:
        for name in ("real", "made"):
            saved = state_dict.get(f"{prefix}{name}")
            setattr(self, name, None if saved is None else torch.empty_like(saved))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _mean(near: Tensor, itself: Tensor | None) -> Tensor:
    """1/31 of the mean likeness to the images of a half: [n, m, k] -> [n, k], 0 where there are none; `itself` [n, 1]
    are the rows that are among them.
    """
    count = near.shape[1]
    if not count:
        return near.sum(1)
    if itself is None:
        return SHARE * near.mean(1)
    own = itself.to(near.dtype)
    return SHARE * (near.sum(1) - own) / (count - own).clamp_min(1)
