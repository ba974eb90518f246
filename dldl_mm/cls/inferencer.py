"""Predictions for single images, outside a runner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.image import imread
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.registry import init_default_scope
from mmpretrain.apis.base import BaseInferencer
from mmpretrain.datasets import remove_transform
from mmpretrain.structures import DataSample

from dldl_mm.codecs import GaussianLabelCodec
from dldl_mm.datasets._images import IMAGE_EXTENSIONS
from dldl_mm.hooks import require_parameters
from dldl_mm.metrics.dump import to_record
from dldl_mm.registry import TRANSFORMS
from dldl_mm.visualization import Sample, draw_samples


class LabelDistributionInferencer(BaseInferencer):
    """Predicts distribution and value for images.

    The config's test pipeline prepares them, without its target transform. An image whose pipeline
    crops a face box is taken for the box itself, unless it is given as a dict with a ``face_box``
    (x1, y1, x2, y2) in pixels beside the ``img``.

    Args:
        model: Config, its path, or a model built by mmpretrain's ``get_model``.
        pretrained: Path of the checkpoint.
        device: Device; the first GPU where there is one, if not given.
        **kwargs: As for mmpretrain's ``BaseInferencer``.

    Raises:
        ValueError: The checkpoint lacks parameters of the model.

    Example::

        inferencer = LabelDistributionInferencer('configs/dldl_age.py', 'epoch_12.pth')
        result = inferencer('face.jpg')[0]
        result['pred_value'], result['pred_interval']    # 31.4, [24.0, 39.0]
    """

    visualize_kwargs = frozenset({'show_dir'})

    def __init__(
        self, model: Any, pretrained: Any = True, device: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(model, pretrained, device, **kwargs)
        if isinstance(pretrained, (str, Path)) and Path(pretrained).is_file():
            checkpoint = torch.load(pretrained, map_location='cpu', weights_only=True)
            require_parameters(self.model, checkpoint)

    def __call__(
        self, inputs: Any, return_datasamples: bool = False, batch_size: int = 1, **kwargs: Any
    ) -> list[Any]:
        """Predict.

        Args:
            inputs: Path, BGR array (H, W, 3), dict as described for the class, folder, or a list of
                these.
            return_datasamples: Return mmpretrain's data samples instead of dicts.
            batch_size: Images per forward pass.
            **kwargs: ``show_dir``: folder for one picture per image, with the distribution drawn.

        Returns:
            One dict per image, of plain numbers and lists: ``img_path``, ``pred_score`` (K,),
            ``pred_label``, and where the codec decodes a value ``pred_value`` and ``pred_std`` in the
            labels' unit; ages also ``pred_interval``, the central 90 %.

        Raises:
            ValueError: An image cannot be read, or a folder holds none.
        """
        return super().__call__(inputs, return_datasamples, batch_size, **kwargs)

    @property
    def classes(self) -> Sequence[str] | None:
        """Names of the classes, where the checkpoint knows them."""
        return getattr(self.model, '_dataset_meta', {}).get('classes')

    def _inputs_to_list(self, inputs: Any) -> list[Any]:
        """List the images; a folder stands for those in it."""
        listed = []
        for given in inputs if isinstance(inputs, (list, tuple)) else [inputs]:
            if isinstance(given, (str, Path)) and Path(given).is_dir():
                found = [
                    str(file)
                    for file in sorted(Path(given).iterdir())
                    if file.suffix.lower() in IMAGE_EXTENSIONS
                ]
                if not found:
                    raise ValueError(f'there is no image in {given}')
                listed.extend(found)
            else:
                listed.append(given)
        return listed

    def _init_pipeline(self, cfg: Config) -> Callable:
        init_default_scope(cfg.get('default_scope', 'mmpretrain'))
        steps = cfg.test_dataloader.dataset.pipeline
        for name in ('LoadImageFromFile', 'EncodeLabelDistribution'):
            steps = remove_transform(steps, name)
        return Compose([TRANSFORMS.build(step) for step in steps])

    def preprocess(self, inputs: list[Any], batch_size: int = 1) -> Iterator[Any]:
        """Load, transform and collate the images."""

        def load(given: Any) -> dict[str, Any]:
            image, path = _read(given)
            height, width = image.shape[:2]
            box = given.get('face_box') if isinstance(given, dict) else None
            return dict(
                img=image,
                img_path=path,
                img_shape=(height, width),
                ori_shape=(height, width),
                face_box=(0, 0, width, height) if box is None else box,
            )

        loaded = map(Compose([load, self.pipeline]), inputs)
        yield from map(default_collate, self._get_chunk_data(loaded, batch_size))

    def visualize(
        self, inputs: list[Any], preds: list[DataSample], show_dir: str | Path | None = None
    ) -> None:
        """Write one picture per image to ``show_dir``."""
        if show_dir is None:
            return
        folder = Path(show_dir)
        folder.mkdir(parents=True, exist_ok=True)
        for index, (given, predicted) in enumerate(zip(inputs, preds, strict=True)):
            image, path = _read(given)
            value = predicted.get('pred_value')
            sample = Sample(
                image=image[..., ::-1],
                prediction=predicted.get('pred_score'),
                decoded=None if value is None else value.cpu().numpy(),
                title=Path(path).name[:28],
            )
            codec = getattr(self.model.head, 'codec', None)
            picture = draw_samples([sample], codec, classes=self.classes)
            name = f'{index:04d}_{Path(path).stem}.png' if path else f'{index:04d}.png'
            cv2.imwrite(str(folder / name), picture[..., ::-1])

    def postprocess(
        self, preds: list[DataSample], visualization: None, return_datasamples: bool = False
    ) -> list[Any]:
        """Turn data samples into dicts of plain numbers and lists."""
        if return_datasamples:
            return preds
        codec = getattr(self.model.head, 'codec', None)
        records = []
        for sample in preds:
            record = to_record(sample.to_dict())
            if isinstance(codec, GaussianLabelCodec) and 'pred_score' in sample:
                record['pred_interval'] = codec.interval(sample.pred_score).tolist()
            records.append(record)
        return records


def _read(given: Any) -> tuple[np.ndarray, str]:
    """Load an image as BGR; arrays pass."""
    image = given['img'] if isinstance(given, dict) else given
    path = '' if isinstance(image, np.ndarray) else str(image)
    try:
        loaded = imread(image)
    except FileNotFoundError:
        raise ValueError(f'there is no image {path}') from None
    if loaded is None:
        raise ValueError(f'{path} is not an image, or truncated')
    return loaded, path
