"""ssgan: a classifier from very few labels, by semi-supervised GANs."""

__version__ = "0.1.0"
