# Gaussian target that is 0 beyond two deviations.
_base_ = './resnet18_dldl_utkface.py'

model = dict(head=dict(codec=dict(shape='truncated_gaussian', truncate=2.0)))
