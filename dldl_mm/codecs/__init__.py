"""Codecs: what a label distribution means, encode and decode in one object."""

from dldl_mm.codecs.base import (
    BaseLabelCodec,
    BaseValueCodec,
    build_codec,
    build_value_codec,
)
from dldl_mm.codecs.gaussian import GaussianLabelCodec
from dldl_mm.codecs.grid import GridLabelCodec
from dldl_mm.codecs.multilabel import MultiLabelCodec
from dldl_mm.codecs.neighbourhood import NeighbourhoodLabelCodec

__all__ = [
    'BaseLabelCodec',
    'BaseValueCodec',
    'GaussianLabelCodec',
    'GridLabelCodec',
    'MultiLabelCodec',
    'NeighbourhoodLabelCodec',
    'build_codec',
    'build_value_codec',
]
