"""The Inception network of 2015 by torch-fidelity, whose answers the Inception Score, the FID and the KID are named
for.
"""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from ssgan.data.downloads import Unavailable
from ssgan.data.resumed_download import fetch_resumed, sha256_of
from ssgan.errors import Mistake
from ssgan.evaluation.scoring_network import INCEPTION, Answers, Network, Told
from ssgan.files import cache_folder, replacing

FILE = "weights-inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
URLS = (f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}",
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth")
NAME = "the Inception network of 2015, 1008 outputs without bias"
PIECE = 25  # images in one pass


def inception(weights: Path, device: str) -> Network:
    """The network with the weights in that file, whatever they are: features of 2048 numbers after the last pooling,
    and the softmax over all 1008 outputs without the last layer's bias, as the authors' script has it.

    Images are bytes as pictures of them are, in three channels; the network brings them to 299 x 299 itself, as
    TensorFlow 1 did. Raises Mistake where torch-fidelity is missing, or the file does not fit.
    """
    check_package()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    try:
        torch.load(weights, map_location="cpu", weights_only=True)  # for torch-fidelity would run code that is in it
        with torch.random.fork_rng(devices=[]):
            module = FeatureExtractorInceptionV3(INCEPTION, ["2048", "logits_unbiased"],
                                                 feature_extractor_weights_path=str(weights)).to(device)
    except Exception as error:  # of a damaged file whatever comes
        raise Mistake(f"{weights} holds no weights of the Inception network: {_first_line(error)}.") from None
    digest = sha256_of(weights)

    @torch.no_grad()
    def answers(x: Tensor) -> Answers:
        found = [module(part) for part in as_colour_bytes(x.to(device)).split(PIECE)]
        features, logits = (torch.cat(part) for part in zip(*found))
        return Answers(logits.double().softmax(1), features)

    return Network(NAME, None, answers, INCEPTION, digest,
                   "bilinear to 299 x 299 as in TensorFlow 1, by the network itself", "repeated in three channels")


def as_colour_bytes(x: Tensor) -> Tensor:
    """Images [n, c, h, w] in [0, 1] as bytes [n, 3, h, w], grey ones in all three channels. Raises Mistake for other
    channels.
    """
    if x.shape[1] not in (1, 3):
        raise Mistake(f"an ImageNet network sees images of 1 or 3 channels, and these have {x.shape[1]}.")
    return (x * 255).round().clamp(0, 255).byte().expand(-1, 3, -1, -1).contiguous()


def check_package() -> None:
    """Raises Mistake where torch-fidelity is not installed."""
    if find_spec("torch_fidelity") is None:
        raise Mistake("the Inception network needs torch-fidelity: pip install 'ssgan[score]'.\n"
                      "Without it: --network domain, where all training images have labels.")


def weights_file(told: Told = lambda done, total: None) -> Path:
    """Where the weights lie: in the user's cache, downloaded once, checked by their SHA-256. Raises Mistake where they
    cannot be had.
    """
    path = cache_folder("weights", FILE)
    if path.exists():
        return checked(path, f"Delete it, and it is downloaded again: rm {path}")
    try:
        fetch_resumed(URLS, SHA256, path, told)
    except Unavailable as error:
        raise Mistake(f"the Inception network's weights cannot be downloaded ({error}).\n"
                      f"Take them elsewhere from {URLS[0]}\n"
                      f"and type: ssgan score ... --inception-weights {FILE}") from None
    return path


def keep_weights(given: Path) -> Path:
    """Copies weights that a person has brought to where they are looked for, once checked. Raises Mistake."""
    checked(given, f"The right one is {URLS[0]}")
    path = cache_folder("weights", FILE)
    if not path.exists() or not os.path.samefile(given, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file, open(given, "rb") as source:
            shutil.copyfileobj(source, file)
    return path


def checked(path: Path, mend: str) -> Path:
    """The path. Raises Mistake for a file of another SHA-256, with what mends it."""
    found = sha256_of(path)
    if found != SHA256:
        raise Mistake(f"{path} holds other weights than the Inception network's of 2015: its SHA-256 begins with "
                      f"{found[:16]}, expected {SHA256[:16]}.\n{mend}")
    return path


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
