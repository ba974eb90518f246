"""Transforms of labels, and of images where the label follows them."""

from dldl_mm.transforms.encode import EncodeLabelDistribution

__all__ = ['EncodeLabelDistribution']
