"""`Images`: labelled images that live on one device and are known by their content."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class Images:
    """Pixels [n, c, h, w], uint8 or float32 in [0, 1], and int64 labels [n] (-1 is unknown) on one device; make them
    with `Images.of`.
    """

    pixels: torch.Tensor = dataclasses.field(repr=False)  # [n, c, h, w]
    labels: torch.Tensor = dataclasses.field(repr=False)  # [n]
    classes: tuple[str, ...]
    sha256: str  # of shape, classes, pixels and labels: equal content has an equal one, wherever it lies
    # [m] index of the images of known class, on the CPU: noted once, so that a split reads no test label
    known: torch.Tensor = dataclasses.field(repr=False)

    @classmethod
    def of(cls, pixels: torch.Tensor, labels: torch.Tensor, classes: tuple[str, ...]) -> "Images":
        """Images on the tensors' device; their content is hashed here, once."""
        assert pixels.ndim == 4 and pixels.dtype in (torch.uint8,
                                                     torch.float32), "pixels are uint8 or float32 [n, c, h, w]"
        assert pixels.dtype == torch.uint8 or ((pixels >= 0) & (pixels <= 1)).all(), "float32 pixels are in [0, 1]"
        assert labels.dtype == torch.int64 and labels.shape == pixels.shape[:1], "labels are int64 [n]"
        assert ((labels >= -1) & (labels < len(classes))).all(), "labels are -1 or index classes"
        pixels = pixels.contiguous()
        return cls.hashed(pixels, labels, classes, _sha256(pixels, labels, classes))

    @classmethod
    def hashed(cls, pixels: torch.Tensor, labels: torch.Tensor, classes: tuple[str, ...], sha256: str) -> "Images":
        """Images as `of` makes them, whose hash is known, so that they need not be read."""
        return cls(pixels, labels, tuple(classes), sha256, (labels >= 0).nonzero()[:, 0].cpu())

    def __len__(self) -> int:
        """The number of images n."""
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of one image."""
        return tuple(self.pixels.shape[1:])

    def gather(self, index: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The images at an int64 index of any shape, in [0, 1]: [*index.shape, c, h, w] on the images' device."""
        flat = index.to(self.pixels.device).reshape(-1)
        chosen = self.pixels.index_select(0, flat).to(dtype)  # several times as fast as pixels[index]
        if self.pixels.dtype == torch.uint8:
            chosen.div_(255)
        return chosen.view(*index.shape, *self.shape)

    def to(self, device: torch.device | str) -> "Images":
        """The same images on another device."""
        return dataclasses.replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))


def _sha256(pixels: torch.Tensor, labels: torch.Tensor, classes: tuple[str, ...]) -> str:
    kind = [] if pixels.dtype == torch.uint8 else ["float32"]
    digest = hashlib.sha256(json.dumps([list(pixels.shape), list(classes), *kind]).encode())
    digest.update(pixels.cpu().numpy())
    digest.update(labels.cpu().numpy().astype("<i8"))
    return digest.hexdigest()
