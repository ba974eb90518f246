"""Codecs: what a label distribution means, encode and decode in one object."""

from dldl_mm.codecs.base import (
    BaseLabelCodec,
    BaseValueCodec,
    build_codec,
    build_value_codec,
)
from dldl_mm.codecs.gaussian import GaussianLabelCodec

__all__ = [
    'BaseLabelCodec',
    'BaseValueCodec',
    'GaussianLabelCodec',
    'build_codec',
    'build_value_codec',
]
