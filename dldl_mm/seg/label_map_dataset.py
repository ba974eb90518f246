"""Images and label maps in two folders."""

from __future__ import annotations

from typing import Any

from mmseg.datasets import BaseSegDataset

from dldl_mm.registry import DATASETS


@DATASETS.register_module()
class LabelMapDataset(BaseSegDataset):
    """mmsegmentation's ``BaseSegDataset``, which names an empty folder instead of failing later.

    The classes and their colours come from ``metainfo``. The arguments are those of ``BaseSegDataset``.

    Raises:
        ValueError: No image was found.
    """

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the images, with their label maps."""
        infos = super().load_data_list()
        if not infos:
            where = self.ann_file or self.data_prefix.get('img_path')
            raise ValueError(
                f'LabelMapDataset: {where} has no image (img_suffix is {self.img_suffix!r})'
            )
        return infos
