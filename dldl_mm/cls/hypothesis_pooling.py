"""PF-DLDL: one network over the hypotheses of an image."""

from __future__ import annotations

from typing import Any

import torch
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torchvision.ops import roi_align

from dldl_mm.registry import MODELS


@MODELS.register_module()
class HypothesisPoolingClassifier(ImageClassifier):
    r"""A classifier that sees an image through its proposals and keeps each class's largest logit.

    .. math:: z_c = \max_{m = 1 \ldots M} z_c(\text{hypothesis } m)

    (hypotheses-CNN-pooling, Wei et al., PAMI 2016; PF-DLDL of Gao et al., TIP 2017). The head takes the
    pooled logits for those of the image: its softmax, loss and prediction follow. N images, M hypotheses
    of an image, which may differ between images, C classes.

    The hypotheses are the boxes ``gt_bboxes`` (M, 4) of the data samples, in pixels of the input image:
    see ``LoadProposals``. They are cut out of the batch on its device, bilinearly and, where they are
    larger than ``crop_size``, averaged (``torchvision.ops.roi_align``).

    The parameters are those of ``ImageClassifier``, so that ``load_from`` starts from a checkpoint of
    IF-DLDL.

    Args:
        *args: As in ``ImageClassifier``.
        crop_size: Width and height of each hypothesis, in pixels.
        chunk_size: Hypotheses of a batch that pass through the network at a time: the bound of the
            memory. Where training needs more than one chunk, the activations of a chunk are computed
            again for its gradient. The result does not depend on it, except through batch normalisation
            that is training, which normalises by chunk; freeze it (``norm_eval=True`` of the backbone).
        **kwargs: As in ``ImageClassifier``.

    Raises:
        ValueError: A size is less than 1.
    """

    def __init__(
        self, *args: Any, crop_size: int = 224, chunk_size: int = 64, **kwargs: Any
    ) -> None:
        for name, number in dict(crop_size=crop_size, chunk_size=chunk_size).items():
            if not isinstance(number, int) or number < 1:
                raise ValueError(
                    f'HypothesisPoolingClassifier: {name} must be an integer of at least 1, '
                    f'got {number!r}'
                )
        super().__init__(*args, **kwargs)
        self.crop_size = crop_size
        self.chunk_size = chunk_size

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[DataSample] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """As in ``ImageClassifier``; ``mode='tensor'`` gives the (N, C) pooled logits."""
        if mode == 'tensor':
            return self.pooled_logits(inputs, data_samples)
        return super().forward(inputs, data_samples, mode)

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Losses of the head on the pooled logits."""
        return self.head._get_loss(self.pooled_logits(inputs, data_samples), data_samples)

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, **kwargs: Any
    ) -> list[DataSample]:
        """Predictions of the head from the pooled logits."""
        logits = self.pooled_logits(inputs, data_samples)
        return self.head._get_predictions(logits, data_samples, **kwargs)

    def pooled_logits(self, inputs: Tensor, data_samples: list[DataSample] | None) -> Tensor:
        """Largest logits over the hypotheses of each image.

        Args:
            inputs: (N, 3, H, W) images.
            data_samples: N data samples with ``gt_bboxes``.

        Returns:
            (N, C) logits.

        Raises:
            ValueError: A data sample has no box.
        """
        boxes = []
        for sample in data_samples or [None] * len(inputs):
            if sample is None or not len(sample.get('gt_bboxes', ())):
                raise ValueError(
                    "HypothesisPoolingClassifier: a data sample has no 'gt_bboxes'; add LoadProposals "
                    "to the pipeline and 'gt_bboxes' to PackInputs' algorithm_keys"
                )
            boxes.append(torch.as_tensor(sample.gt_bboxes, dtype=inputs.dtype))
        counts = [len(part) for part in boxes]
        corners = torch.cat(boxes)
        image = torch.repeat_interleave(torch.tensor(counts)).to(corners)
        hypotheses = torch.cat([image[:, None], corners], dim=1).to(inputs.device)
        chunks = hypotheses.split(self.chunk_size)
        if torch.is_grad_enabled() and len(chunks) > 1:
            logits = [checkpoint(self._logits, inputs, c, use_reentrant=False) for c in chunks]
        else:
            logits = [self._logits(inputs, c) for c in chunks]
        return torch.stack([part.amax(0) for part in torch.cat(logits).split(counts)])

    def _logits(self, inputs: Tensor, hypotheses: Tensor) -> Tensor:
        """(M, C) logits of (M, 5) hypotheses: the index of the image, then the box."""
        crops = roi_align(inputs, hypotheses, self.crop_size, aligned=True)
        return self.head(self.extract_feat(crops))
