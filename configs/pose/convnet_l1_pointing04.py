# Direct regression of pitch and yaw, L1 on the angles scaled to [-1, 1].
_base_ = ['convnet_dldl_pointing04.py']

model = dict(
    head=dict(
        _delete_=True,
        type='LabelRegressionHead',
        in_channels=256,
        codec=_base_.codec,
        norm='l1',
    )
)
val_evaluator = dict(decode=())
test_evaluator = val_evaluator
