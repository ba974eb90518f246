"""What needs mmpretrain: heads, backbones, inferencer. Importing it registers them all."""

import dldl_mm.codecs
import dldl_mm.datasets
import dldl_mm.hooks
import dldl_mm.losses
import dldl_mm.metrics
import dldl_mm.transforms  # noqa: F401
from dldl_mm.cls.ensemble import AveragingEnsemble
from dldl_mm.cls.head_pose_heads import HopenetHead, RotationHead
from dldl_mm.cls.hypothesis_pooling import HypothesisPoolingClassifier
from dldl_mm.cls.inferencer import LabelDistributionInferencer
from dldl_mm.cls.label_distribution_head import LabelDistributionHead, LabelRegressionHead
from dldl_mm.cls.multilabel_distribution_head import MultiLabelDistributionHead
from dldl_mm.cls.ordinal_head import OrdinalHead
from dldl_mm.cls.plain_convnet import PlainConvNet
from dldl_mm.cls.pooling import GlobalMaxPooling
from dldl_mm.cls.tta import AveragingTTA
from dldl_mm.cls.voc_dataset import VOCMultiLabel
from dldl_mm.cls.zfnet import ZFNet

__all__ = [
    'AveragingEnsemble',
    'AveragingTTA',
    'GlobalMaxPooling',
    'HopenetHead',
    'HypothesisPoolingClassifier',
    'LabelDistributionHead',
    'LabelDistributionInferencer',
    'LabelRegressionHead',
    'MultiLabelDistributionHead',
    'OrdinalHead',
    'PlainConvNet',
    'RotationHead',
    'VOCMultiLabel',
    'ZFNet',
]
