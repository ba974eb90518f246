# Poisson target: the deviation grows with the root of the label.
_base_ = './resnet18_dldl_utkface.py'

model = dict(head=dict(codec=dict(shape='poisson')))
