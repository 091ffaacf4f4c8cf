"""`MinibatchLayer`: minibatch discrimination, which tells how near an image lies to the others of its batch."""

import math

import torch
from torch import Tensor, nn

from ssgan.models.functional import widened

NEIGHBOURS = 99  # as the authors' batches have; in one of another size the sum over the others counts as over so many


class MinibatchLayer(nn.Module):
    """[n, f] -> [n, f + kernels]: x, and o_b(x_i) = 99 / (n - 1) times the sum over j != i of exp(-|M_ib - M_jb|),
    plus a bias; M_ib are the `dimensions` numbers of x_i in kernel b, a product with normalised rows and trained scales
    (Salimans et al. 2016, section 3.2). `distance` is "l1", as there, or "l2".

    With a `reference` the sum is over its r images, 99 / r times, and an image's answer does not depend on its
    neighbours: for evaluation. Without a generator the weights are not filled.
    """

    def __init__(self, inputs: int, kernels: int, dimensions: int, std: float, generator: torch.Generator | None,
                 distance: str = "l1"):
        super().__init__()
        self.dimensions, self.distances = dimensions, DISTANCES[distance]
        shape = (dimensions * kernels, inputs)
        self.direction = nn.Parameter(torch.empty(shape) if generator is None
                                      else torch.randn(shape, generator=generator) * std)
        self.scale = nn.Parameter(torch.ones(dimensions * kernels))
        self.bias = nn.Parameter(torch.zeros(kernels))
        self.register_buffer("reference", None)  # [dimensions, r, kernels], saved where it is there

    @property
    def couples_batch(self) -> bool:
        """Whether images are compared with their neighbours."""
        return self.reference is None

    def forward(self, x: Tensor) -> Tensor:
        points = self.points(x)
        if self.reference is None:  # an image's likeness to itself is 1
            near = (self._likeness(points, points).sum(1) - 1) * (NEIGHBOURS / max(1, len(x) - 1))
        else:
            near = self._likeness(points, self.reference).sum(1) * (NEIGHBOURS / self.reference.shape[1])
        return torch.cat((x, (near + self.bias).to(x.dtype)), 1)

    def points(self, x: Tensor) -> Tensor:
        """M: [n, f] -> [dimensions, n, kernels] in at least float32."""
        product = (x @ self.direction.T) * (self.scale / torch.linalg.vector_norm(self.direction, dim=1))
        return widened(product).unflatten(1, (self.dimensions, -1)).movedim(1, 0)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> Tensor:
        """Sets the scales so that the nearest image lies at a distance of 2 in the mean, and the bias so that the
        outputs have mean 0, in batches of about 100; returns the outputs.
        """
        batches = x.tensor_split(math.ceil(len(x) / (NEIGHBOURS + 1)))
        nearest = torch.cat([self._nearest(batch) for batch in batches]).mean(0)
        factor = torch.where(nearest > 1e-6, 2 / nearest, torch.ones_like(nearest))  # a dead kernel keeps its scale
        self.scale.mul_(factor.repeat(self.dimensions))
        near = torch.cat([self(batch) for batch in batches])[:, x.shape[1]:]
        self.bias.sub_(near.mean(0))
        return torch.cat([self(batch) for batch in batches])

    def _nearest(self, x: Tensor) -> Tensor:
        """How far the nearest other image lies in each kernel: [n, f] -> [n, kernels]."""
        points = self.points(x)
        itself = torch.eye(len(x), dtype=torch.bool, device=x.device)[:, :, None]
        return self.distances(points, points).masked_fill(itself, math.inf).amin(1)

    def _likeness(self, a: Tensor, b: Tensor) -> Tensor:
        """exp(-distance): 1 where points are the same."""
        return (-self.distances(a, b)).exp()

    @torch.no_grad()
    def refer(self, x: Tensor) -> None:
        """From now on images are compared with those of these features [r, f]."""
        self.reference = self.points(x).contiguous()

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *rest) -> None:
        saved = state_dict.get(f"{prefix}reference")
        self.reference = None if saved is None else torch.empty_like(saved)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def l1(a: Tensor, b: Tensor) -> Tensor:
    """The sums of absolute differences of points: [d, n, k], [d, m, k] -> [n, m, k]; plain operations, to be
    differentiated twice, in lanes, by a compiler.
    """
    return sum((p[:, None] - q[None]).abs() for p, q in zip(a.unbind(0), b.unbind(0)))


def l2(a: Tensor, b: Tensor) -> Tensor:
    """The roots of summed squared differences likewise. Points nearer than 1e-6 count as the same, for the root has no
    gradient at 0.
    """
    squared = sum((p[:, None] - q[None]).square() for p, q in zip(a.unbind(0), b.unbind(0)))
    apart = squared > 1e-12
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)


DISTANCES = {"l1": l1, "l2": l2}
