# SORD with the absolute distance and α = 1: softmax(-α |l - y|) is a Laplace target of σ = √2 / α.
_base_ = './resnet18_dldl_utkface.py'

model = dict(head=dict(codec=dict(shape='laplace', sigma=2**0.5)))
