"""Networks whose weights are not those of their birth, and what a pass over them takes."""

import torch


@torch.no_grad()
def shaken(module: torch.nn.Module, random: torch.Generator) -> torch.nn.Module:
    """With biases and scales that are not those of its birth."""
    for value in module.state_dict().values():
        value.add_(0.3 * (torch.rand(value.shape, generator=random) - 0.5))
    return module


def some(n: int, shape, seed: int = 1) -> torch.Tensor:
    """Numbers in [0, 1): [n, *shape]."""
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def noise_for(module, n: int, seed: int = 2) -> list[torch.Tensor]:
    """The draws that a pass over n images takes."""
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=random, dtype=torch.float64) for shape in module.noise_shapes(n)]
