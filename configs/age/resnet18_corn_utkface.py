# CORN: K - 1 conditional binary tasks.
_base_ = './resnet18_ce_utkface.py'

model = dict(
    head=dict(
        _delete_=True,
        type='OrdinalHead',
        codec=_base_.model.head.codec,
        in_channels=256,
        method='corn',
    )
)
