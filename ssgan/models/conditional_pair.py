"""A class-conditional pair of dense networks: a generator that is told the class, and a critic that is told it too."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.models.batch_norm import SettledBatchNorm
from ssgan.models.context import Context
from ssgan.models.functional import one_hot, sigmoid


class ConditionalDense(nn.Module):
    """y = W [x; c] + b for a class c as K numbers of 0 and 1: [n, in], [n, k] -> [n, out]; torch's usual first weights,
    uniform within 1 / sqrt(in + k).
    """

    def __init__(self, inputs: int, classes: int, outputs: int, generator: torch.Generator | None, bias: bool = True):
        super().__init__()
        reach = 1 / math.sqrt(inputs + classes)

        def uniform(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-reach, reach, generator=generator))

        self.weight, self.classes = uniform(outputs, inputs), uniform(outputs, classes)
        self.bias = uniform(outputs) if bias else None

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        return functional.linear(x, self.weight, self.bias) + classes @ self.classes.T


class ConditionalGenerator(nn.Module):
    """Dense layers with batch norm and ReLU; the class is joined to the latent vector (Mirza & Osindero 2014)."""

    def __init__(self, latent: int, classes: int, widths: tuple[int, ...], shape: tuple[int, int, int],
                 generator: torch.Generator | None):
        super().__init__()
        self.latent, self.classes, self.shape = latent, classes, shape
        inputs = (latent + classes, *widths)
        self.first = ConditionalDense(latent, classes, widths[0], generator, bias=False)
        self.hidden = nn.ModuleList(ConditionalDense(a, 0, b, generator, bias=False)
                                    for a, b in zip(widths, widths[1:]))
        self.norms = nn.ModuleList(SettledBatchNorm(width) for width in widths)
        self.output = ConditionalDense(widths[-1], 0, math.prod(shape), generator)
        self.products = sum(a * b for a, b in zip(inputs, (*widths, math.prod(shape))))

    def forward(self, latent: Tensor, context: Context = Context()) -> Tensor:
        """Normal numbers [n, z], and classes in the context -> images [n, c, h, w] in [0, 1]."""
        classes = one_hot(context.labels, self.classes, latent.dtype)
        none = classes[:, :0]
        x = functional.relu(self.norms[0](self.first(latent, classes)))
        for layer, norm in zip(self.hidden, self.norms[1:]):
            x = functional.relu(norm(layer(x, none)))
        return sigmoid(self.output(x, none)).unflatten(1, self.shape)

    @torch.no_grad()
    def settle(self, latent: Tensor, context: Context) -> None:
        """Takes the statistics of its batch norm from these latent vectors [n, z] and their classes once for all: from
        then on, in evaluation, no image depends on its company.
        """
        for norm in self.norms:
            norm.settling = True
        self.train()(latent, context)
        for norm in self.norms:
            norm.settling = False
        self.eval()


class Critic(nn.Module):
    """Dense layers and leaky ReLU, Gaussian noise on the images, the class joined at every layer: is it a real image of
    that class?
    """

    def __init__(self, classes: int, widths: tuple[int, ...], shape: tuple[int, int, int], noise: float,
                 generator: torch.Generator | None):
        super().__init__()
        self.classes, self.noise, inputs = classes, noise, (math.prod(shape), *widths)
        self.hidden = nn.ModuleList(ConditionalDense(a, classes, b, generator) for a, b in zip(inputs, widths))
        self.output = ConditionalDense(widths[-1], classes, 1, generator)

    def forward(self, x: Tensor, labels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Images [n, c, h, w] in [0, 1], their classes [n] and normal numbers of the images' shape -> logits [n], above
        0 for real.
        """
        x, classes = x.flatten(1), one_hot(labels, self.classes, x.dtype)
        if noise is not None and self.noise:
            x = torch.add(x, noise.flatten(1), alpha=self.noise)
        for layer in self.hidden:
            x = functional.leaky_relu(layer(x, classes), 0.2)
        return self.output(x, classes).squeeze(1)
