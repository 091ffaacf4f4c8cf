"""Small recipes of the paper's pairs for colour, with which a test takes milliseconds."""

import small
import torch

from ssgan.config import override

SIGNED = override(small.MLP, ["model.image_range=signed", "model.output_scale=0.1", "model.initial_scale=0.05",
                              "model.input_noise=0", "model.hidden_noise=0", "train.batch=6", "colours=colour"])
CONV9 = override(SIGNED, ["model.family=conv9", "model.widths=[4, 4, 4, 6, 6, 6, 6, 6, 5]",
                          "model.generator_widths=[8, 6, 4]", "model.input_dropout=0.2", "model.dropout=0.5"])
IMAGENET = override(SIGNED, [
    "model.family=imagenet128", "model.widths=[3, 4, 4, 5, 4, 6, 6, 9]", "model.generator_widths=[8, 6, 4]",
    "model.norm=batch", "model.generator_norm=virtual", "model.generator_norm_gain=true", "model.reference_images=4",
    "model.reference_itself=true", "model.output=plain", "model.minibatch_kernels=3", "model.minibatch_dimensions=2",
    "model.input_noise=0.1", "gan.weight=2", "smoothing.weight=1", "smoothing.alpha=0.75", "feature_matching.weight=0",
    "adversarial.weight=1", "adversarial.target=0.375"])
PAPERS = {"conv9": CONV9, "imagenet128": IMAGENET}


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
