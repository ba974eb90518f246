# Adaptive mean-residue: cross-entropy, the squared error of the expectation and the residue.
_base_ = './resnet18_ce_utkface.py'

model = dict(
    head=dict(
        losses=[
            dict(type='LabelDistributionKLLoss'),
            dict(type='ExpectationLoss', norm='l2', loss_weight=0.2),
            dict(type='ResidueLoss', loss_weight=0.25),
        ]
    )
)
