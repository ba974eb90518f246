# DLDL-v2: the KL loss and the distance of the expectation.
_base_ = './resnet18_dldl_utkface.py'

model = dict(
    head=dict(
        losses=[
            dict(type='LabelDistributionKLLoss'),
            dict(type='ExpectationLoss', norm='l1'),
        ]
    )
)
