#!/usr/bin/env python
"""Draw a data set with its target distributions: ``python tools/browse_dataset.py CONFIG``."""

import argparse
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope

from dldl_mm.cli import UserErrors, add_config_arguments, load_config, make_writable_folder
from dldl_mm.codecs import NeighbourhoodLabelCodec, build_codec
from dldl_mm.hooks import pipeline_encoders, share_codec
from dldl_mm.visualization import decode_head_codec, draw_samples, to_sample


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Draw images of a data set with their targets')
    add_config_arguments(parser)
    parser.add_argument('--phase', choices=['train', 'val', 'test'], default='train')
    parser.add_argument('--number', type=int, default=12, help='number of images')
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of the choice and of the transforms'
    )
    parser.add_argument('--out', default='browse.png', help='picture to write')
    return parser.parse_args()


def browse(cfg: Config, args: argparse.Namespace) -> np.ndarray:
    """Build the data set, run its pipeline on random samples and draw them."""
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    dataset = DATASETS.build(cfg[f'{args.phase}_dataloader'].dataset)
    np.random.seed(args.seed)
    chosen = np.random.permutation(len(dataset))[: args.number]
    preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    bgr = preprocessor.get('to_rgb', preprocessor.get('bgr_to_rgb', False))
    head = cfg.model.get('head') or {}
    head_codec = build_codec(head.codec) if head.get('codec') else None
    share_codec(dataset, head_codec)
    encoders = (encoder.codec for _, encoder in pipeline_encoders(dataset))
    # The pipelines of validation and test may have no target transform.
    codec = label_map_codec(cfg) or next(encoders, head_codec)
    samples = []
    for index in sorted(chosen):
        packed = dataset[int(index)]
        samples.append(to_sample(packed['inputs'], packed['data_samples'], bgr, codec))
    meta = dataset.metainfo
    return draw_samples(samples, codec, classes=meta.get('classes'), palette=meta.get('palette'))


def label_map_codec(cfg: Config) -> NeighbourhoodLabelCodec | None:
    """The codec of the decode head's loss, in a config of mmsegmentation."""
    head = cfg.model.get('decode_head')
    if head is None:
        return None
    if isinstance(head, list):  # the last stage of a cascade predicts
        head = head[-1]
    losses = head.get('loss_decode', [])
    losses = [
        MODELS.build(loss)
        for loss in (losses if isinstance(losses, list) else [losses])
        if loss['type'] == 'NeighbourhoodKLLoss'
    ]
    return decode_head_codec(head.num_classes, head.get('ignore_index', 255), losses)


def main() -> None:
    """Write the picture."""
    args = parse_args()
    with UserErrors():
        if args.number < 1:
            raise ValueError(f'--number must be at least 1, got {args.number}')
        if not cv2.haveImageWriter(args.out):
            raise ValueError(
                f'--out: {args.out} has not the ending of a picture that OpenCV writes, such as .png'
            )
        make_writable_folder('--out', Path(args.out).parent)
        picture = browse(load_config(args), args)
        if not cv2.imwrite(args.out, picture[..., ::-1]):
            raise ValueError(f'--out: cannot write {args.out}')
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
