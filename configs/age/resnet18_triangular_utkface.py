# Triangular target of the same deviation.
_base_ = './resnet18_dldl_utkface.py'

model = dict(head=dict(codec=dict(shape='triangular')))
