# Beta target of the same deviation, narrower at the ends of the label set.
_base_ = './resnet18_dldl_utkface.py'

model = dict(head=dict(codec=dict(shape='beta')))
