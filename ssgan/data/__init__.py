"""The data: images by name and from files, and splits into labelled, unlabelled, validation and test images."""
