# Squared Euclidean distance between the distributions in place of the KL divergence.
_base_ = './resnet18_dldl_utkface.py'

model = dict(head=dict(losses=[dict(type='LabelDistributionDistanceLoss', distance='l2')]))
