"""The networks that score images, by the names that a recipe has for them."""

from pathlib import Path

from ssgan.data.dataset import Dataset
from ssgan.evaluation import efficientnet_network, inception_network
from ssgan.evaluation.domain_classifier import domain_classifier
from ssgan.evaluation.scoring_network import DOMAIN, INCEPTION, Network, Told


def check(kind: str) -> None:
    """Raises Mistake where the network of that name cannot be had here; Inception's weights are downloaded for it,
    once.
    """
    if kind == DOMAIN:
        return
    if kind == INCEPTION:
        inception_network.check_package()
        inception_network.weights_file()
        return
    efficientnet_network.check_package()


def use_weights(file: Path) -> None:
    """Takes Inception's weights from a file that a person has brought, now and later. Raises Mistake."""
    inception_network.check_package()
    inception_network.keep_weights(file)


def has_domain_network(dataset: Dataset) -> bool:
    """Whether a classifier of the data set's own classes can be trained and tested."""
    return dataset.tested and bool((dataset.train.labels >= 0).all())


def network_of(kind: str, dataset: Dataset, device: str, told: Told = lambda done, total: None) -> Network | None:
    """The network of that name; None for a domain network of data without full labels, or without a test part.
    `told(step, steps)` comes while a domain network is trained. Raises Mistake.
    """
    if kind == INCEPTION:
        return inception_network.inception(inception_network.weights_file(), device)
    if kind != DOMAIN:
        return efficientnet_network.efficientnet(device)
    if not has_domain_network(dataset):
        return None
    return domain_classifier(dataset.train, dataset.test, device, told)
