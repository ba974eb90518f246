"""Codecs: what a label distribution means, encode and decode in one object."""

from dldl_mm.codecs.base import BaseLabelCodec
from dldl_mm.codecs.gaussian import GaussianLabelCodec

__all__ = ['BaseLabelCodec', 'GaussianLabelCodec']
