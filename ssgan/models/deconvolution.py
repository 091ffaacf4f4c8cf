"""A convolution turned round, by the weights of any convolution's layer."""

from torch import Tensor, nn
from torch.nn import functional

from ssgan.models.spectral_norm import SpectralNorm
from ssgan.models.weight_norm import WeightNorm


def deconvolution(layer: nn.Conv2d | WeightNorm | SpectralNorm, x: Tensor, stride: int = 2) -> Tensor:
    """Each pixel of x [n, in, h, w] spread over stride x stride ones and their neighbours: [n, out, s h, s w].

    The layer is one with an odd kernel, whose weight [out, in, k, k] is normalised as it says; here its place is turned
    about, as in the gradient of a convolution of that stride, which "same" padding has brought to h and w (Radford et
    al. 2016, section 3: fractional strides).
    """
    weight, bias = (layer.weight, layer.bias) if isinstance(layer, nn.Conv2d) else layer.prepared or layer.folded()
    return functional.conv_transpose2d(x, weight.transpose(0, 1), bias, stride, weight.shape[-1] // 2, stride - 1)
