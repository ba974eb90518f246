# Regression of the age itself with an L1 loss: no distribution.
_base_ = './resnet18_dldl_utkface.py'

model = dict(
    head=dict(
        _delete_=True,
        type='LabelRegressionHead',
        codec=_base_.model.head.codec,
        in_channels=256,
        norm='l1',
    )
)
