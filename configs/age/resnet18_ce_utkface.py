# Cross-entropy with the label as class: the KL loss towards a one-hot target.
_base_ = './resnet18_dldl_utkface.py'

model = dict(head=dict(codec=dict(shape='one_hot')))
