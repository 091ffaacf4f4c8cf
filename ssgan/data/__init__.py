"""The data: sources of images, downloads, and splits into labelled, unlabelled, validation and test images."""
