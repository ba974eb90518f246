"""What every label codec offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from dldl_mm.registry import TASK_UTILS


class BaseLabelCodec(ABC):
    """Encodes annotations into label distributions and decodes distributions.

    A codec says what a distribution means: its label set, unit, deviation and decoding rule. One and
    the same codec belongs in the pipeline (``EncodeLabelDistribution``) and in the head;
    ``CodecCheckHook`` compares the two by their :attr:`spec` before training.
    """

    @property
    @abstractmethod
    def labels(self) -> Tensor:
        """(K,) or (K, A) label set, in its unit."""

    @property
    def num_labels(self) -> int:
        """K, the size of the label set and the width of a head."""
        return len(self.labels)

    @property
    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """All that defines the codec, by field; two codecs are equal if their specs are."""

    @abstractmethod
    def encode_annotation(self, data_info: dict[str, Any]) -> Tensor:
        """Encode one sample's annotations.

        Args:
            data_info: A sample of a data set or pipeline, ``gt_value`` and its companions.

        Returns:
            (K,) float32 distribution.

        Raises:
            ValueError: An annotation is missing, or lies outside the label set.
        """

    @abstractmethod
    def check_annotation(self, data_info: dict[str, Any]) -> None:
        """Refuse a sample that cannot be encoded, with a message that names the value.

        Cheap enough for every row of a large data set before training.

        Args:
            data_info: A sample of a data set.

        Raises:
            ValueError: An annotation is missing, or lies outside the label set.
        """

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BaseLabelCodec):
            return NotImplemented
        return self.spec == other.spec

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        fields = ', '.join(f'{k}={v!r}' for k, v in self.spec.items() if k != 'type')
        return f'{type(self).__name__}({fields})'


class BaseValueCodec(BaseLabelCodec):
    """A codec whose distributions decode to a value: a scalar, or a vector of A axes."""

    @abstractmethod
    def decode(self, dist: Tensor, rule: str | None = None) -> Tensor:
        """(N, K) distributions to (N,) or (N, A) values, by the codec's rule or another."""

    @abstractmethod
    def std(self, dist: Tensor) -> Tensor:
        """(N,) or (N, A) standard deviations of (N, K) distributions, in the labels' unit."""

    def mirror(self, dist: Tensor) -> Tensor:
        """(N, K) distributions of the mirror images: the same, unless a label has a direction."""
        return dist


def build_codec(codec: dict[str, Any] | BaseLabelCodec) -> BaseLabelCodec:
    """Build a codec from its config; a codec is returned as it is."""
    return codec if isinstance(codec, BaseLabelCodec) else TASK_UTILS.build(codec)


def build_value_codec(codec: dict[str, Any] | BaseLabelCodec) -> BaseValueCodec:
    """Build a codec that decodes to values; see :func:`build_codec`.

    Raises:
        TypeError: The codec does not decode to values.
    """
    built = build_codec(codec)
    if not isinstance(built, BaseValueCodec):
        raise TypeError(f'expected a codec that decodes to values, got {type(built).__name__}')
    return built
