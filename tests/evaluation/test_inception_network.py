"""The Inception network with random weights against torch-fidelity's own numbers; where its weights come from."""

import socket
import time

import numpy as np
import pytest
import torch

from ssgan.config import ScoreConfig
from ssgan.data.images import Images
from ssgan.errors import Mistake
from ssgan.evaluation import generator_scores, inception_network, networks
from ssgan.evaluation.image_list import ImageList
from ssgan.evaluation.inception_network import FILE, as_colour_bytes, inception, keep_weights, weights_file

COUNT, SPLITS = 6, 2


def images(seed: int, channels: int = 3, size: int = 32) -> Images:
    pixels = torch.randint(0, 256, (COUNT, channels, size, size), generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool2d(pixels.float(), 5, 1, 2) * (torch.arange(COUNT) / COUNT).view(-1, 1, 1, 1)
    smooth = smooth.round().byte()  # of several brightnesses
    return Images.of(smooth, torch.full((COUNT,), -1), ())


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights that keep the size of what passes, so that answers differ from image to image."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *arguments, **options: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = module.FeatureExtractorInceptionV3("random", ["2048"])
    generator = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, generator=generator)
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=3.0, generator=generator)
            torch.nn.init.normal_(layer.bias, generator=generator)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(network.state_dict(), path)
    return path


class Listed(torch.utils.data.Dataset):
    """As torch-fidelity takes images."""

    def __init__(self, pixels):
        self.pixels = pixels

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, number):
        return self.pixels[number]


@pytest.mark.slow
def test_the_scores_are_torch_fidelitys(weights):
    import torch_fidelity

    ours, real = images(0), images(1)
    network = inception(weights, "cpu")
    settings = ScoreConfig(COUNT, SPLITS, train_images=0, order="listed", kid_subsets=3)
    found = generator_scores.score([ImageList("x", ours, shuffled=False)], real,
                                   generator_scores.real_scores_of(real, network, settings), network, settings, "cpu")
    theirs = torch_fidelity.calculate_metrics(
        input1=Listed(ours.pixels), input2=Listed(real.pixels), cuda=False, isc=True, fid=True, kid=True, prc=True,
        feature_extractor="inception-v3-compat", isc_splits=SPLITS, samples_shuffle=False, kid_subsets=3,
        kid_subset_size=COUNT, batch_size=COUNT, cache=False, save_cpu_ram=True, feature_extractor_weights_path=str(weights), verbose=False)
    summary = found.summary()
    for name, key in (("inception_score", "inception_score_mean"), ("inception_score_std", "inception_score_std"),
                      ("fid", "frechet_inception_distance"), ("kid", "kernel_inception_distance_mean"),
                      ("precision", "precision"), ("recall", "recall")):
        assert summary[name] == pytest.approx(theirs[key], rel=1e-4, abs=1e-4), name
    assert summary["inception_score"] > 1.005 and summary["fid"] > 0.01, "the weights tell images apart"
    about = summary["score_settings"]
    assert summary["network"] == "inception" and about["order"] == "listed"
    assert (about["samples"], about["splits"]) == (COUNT, SPLITS)
    assert "299" in about["resizing"] and len(about["weights_sha256"]) == 64


@pytest.mark.slow
def test_the_network_brings_images_to_its_size_itself_and_grey_ones_are_made_colour(weights):
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x as resize

    network, small = inception(weights, "cpu"), images(0, channels=1).pixels[-1:].float() / 255
    own = network.answers(small)
    assert torch.equal(own.features, network.answers(small.expand(-1, 3, -1, -1)).features)
    large = resize(small * 255, size=(299, 299), align_corners=False).round() / 255
    other = torch.nn.functional.interpolate(small, (299, 299), mode="nearest")
    same, wrong = ((network.answers(x).features - own.features).norm() for x in (large, other))
    assert same < 0.02 * own.features.norm() < wrong, "another resizing gives other features"


def test_images_become_bytes_as_a_picture_of_them_is():
    x = torch.tensor([-0.1, 0.0, 0.5, 1.0, 1.1]).view(5, 1, 1, 1)
    assert as_colour_bytes(x).shape == (5, 3, 1, 1)
    assert as_colour_bytes(x)[:, 0].flatten().tolist() == [0, 0, 128, 255, 255]


def test_the_score_of_torch_fidelity_is_the_formulas_in_list_order():
    metric_isc = pytest.importorskip("torch_fidelity.metric_isc")
    logits = 3 * torch.randn(40, 9, generator=torch.Generator().manual_seed(0))
    theirs = metric_isc.isc_features_to_metric(logits, 4, shuffle=False)
    ours = generator_scores.metrics.inception_score(logits.double().softmax(1).numpy(), 4)
    assert ours == pytest.approx((theirs["inception_score_mean"], theirs["inception_score_std"]), rel=1e-9)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        monkeypatch.setattr(inception_network, "URLS", (f"http://127.0.0.1:{listener.getsockname()[1]}/{FILE}",))
    return tmp_path / "cache" / "ssgan" / "weights"


def test_weights_that_cannot_be_had_are_told_soon_with_where_to_get_them(cache):
    began = time.monotonic()
    with pytest.raises(Mistake, match=r"(?s)cannot be downloaded \(.*refused.*--inception-weights"):
        weights_file()
    assert time.monotonic() - began < 10 and not list(cache.iterdir())


def test_weights_of_a_person_are_kept_where_they_fit(cache, tmp_path, monkeypatch):
    given = tmp_path / "brought.pth"
    given.write_bytes(b"weights")
    with pytest.raises(Mistake, match="other weights than the Inception network's of 2015: its SHA-256 begins with"):
        keep_weights(given)
    assert not cache.exists()
    with pytest.raises(Mistake, match="cannot read"):
        keep_weights(tmp_path / "nowhere")
    monkeypatch.setattr(inception_network, "SHA256", inception_network.sha256_of(given))
    assert keep_weights(given) == keep_weights(given) == weights_file() == cache / FILE
    monkeypatch.setattr(inception_network, "SHA256", "0" * 64)
    with pytest.raises(Mistake, match=r"(?s)other weights .*Delete it"):
        weights_file()


def test_a_file_that_holds_no_such_weights_is_a_mistake_and_its_code_is_not_run(tmp_path):
    pytest.importorskip("torch_fidelity")
    for number, content in enumerate(({"some": torch.ones(1)}, np.random.default_rng)):
        path = tmp_path / f"{number}.pth"
        torch.save(content, path)
        with pytest.raises(Mistake, match="holds no weights of the Inception network"):
            inception(path, "cpu")


def test_a_missing_package_is_named_before_anything_is_downloaded(monkeypatch):
    monkeypatch.setattr(inception_network, "find_spec", lambda name: None)
    monkeypatch.setattr(inception_network, "weights_file", lambda: pytest.fail("nothing is downloaded for nothing"))
    with pytest.raises(Mistake, match=r"pip install 'ssgan\[score\]'"):
        networks.check("inception")
