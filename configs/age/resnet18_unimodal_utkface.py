# Unimodal-concentrated loss; the target distribution is not used.
_base_ = './resnet18_dldl_utkface.py'

model = dict(
    head=dict(
        losses=[
            dict(type='ConcentrationLoss'),
            dict(type='RankLoss', loss_weight=1000.0),
        ]
    )
)
