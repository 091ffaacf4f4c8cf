"""A class-conditional pair of dense networks: a generator that is told the class, and a critic that is told it too."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.models.batch_norm import SettledBatchNorm
from ssgan.models.context import Context
from ssgan.models.functional import add_noise, sigmoid, with_classes


def linear(inputs: int, outputs: int, generator: torch.Generator | None, bias: bool = False) -> nn.Linear:
    """A dense layer whose first numbers are torch's usual ones, uniform within 1 / sqrt(inputs), by the generator."""
    layer, reach = nn.Linear(inputs, outputs, bias), 1 / math.sqrt(inputs)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -reach, reach, generator=generator)
    return layer


class ConditionalGenerator(nn.Module):
    """Dense layers with batch norm and ReLU; the class is joined to the latent vector (Mirza & Osindero 2014)."""

    def __init__(self, latent: int, classes: int, widths: tuple[int, ...], shape: tuple[int, int, int],
                 generator: torch.Generator | None):
        super().__init__()
        self.latent, self.classes, self.shape = latent, classes, shape
        inputs = (latent + classes, *widths)
        self.hidden = nn.ModuleList(linear(a, b, generator) for a, b in zip(inputs, widths))
        self.norms = nn.ModuleList(SettledBatchNorm(width) for width in widths)
        self.output = linear(widths[-1], math.prod(shape), generator, bias=True)

    def forward(self, latent: Tensor, context: Context = Context()) -> Tensor:
        """Normal numbers [n, z], and classes in the context -> images [n, c, h, w] in [0, 1]."""
        x = with_classes(latent, context.labels, self.classes)
        for layer, norm in zip(self.hidden, self.norms):
            x = functional.relu(norm(layer(x)))
        return sigmoid(self.output(x)).unflatten(1, self.shape)

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
        self.hidden = nn.ModuleList(linear(a + classes, b, generator, bias=True) for a, b in zip(inputs, widths))
        self.output = linear(widths[-1] + classes, 1, generator, bias=True)

    def forward(self, x: Tensor, labels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Images [n, c, h, w] in [0, 1], their classes [n] and normal numbers of the images' shape -> logits [n], above
        0 for real.
        """
        x = add_noise(x, self.noise, noise).flatten(1)
        for layer in self.hidden:
            x = functional.leaky_relu(layer(with_classes(x, labels, self.classes)), 0.2)
        return self.output(with_classes(x, labels, self.classes)).squeeze(1)
