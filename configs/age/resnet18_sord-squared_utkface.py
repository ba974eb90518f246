# SORD with the squared distance and α = 1: softmax(-α (l - y)²) is a Gaussian target of σ = 1 / √(2 α).
_base_ = './resnet18_dldl_utkface.py'

model = dict(head=dict(codec=dict(sigma=0.5**0.5)))
