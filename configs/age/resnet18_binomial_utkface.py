# Binomial target: the deviation follows from the label, widest in the middle.
_base_ = './resnet18_dldl_utkface.py'

model = dict(head=dict(codec=dict(shape='binomial')))
