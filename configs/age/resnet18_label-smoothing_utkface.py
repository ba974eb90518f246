# Label smoothing: a tenth of the target is uniform.
_base_ = './resnet18_ce_utkface.py'

model = dict(head=dict(codec=dict(epsilon=0.1)))
