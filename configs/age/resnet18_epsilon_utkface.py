# Regression of the age itself, with errors of up to 2 years free: no distribution.
_base_ = './resnet18_dldl_utkface.py'

model = dict(
    head=dict(
        _delete_=True,
        type='LabelRegressionHead',
        codec=_base_.model.head.codec,
        in_channels=256,
        norm='epsilon',
        epsilon=2.0,
    )
)
