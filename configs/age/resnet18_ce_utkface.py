# Cross-entropy with the label as class: the KL loss towards a one-hot target.
_base_ = './resnet18_dldl_utkface.py'

codec = dict(_base_.codec, shape='one_hot')
encode = dict(type='EncodeLabelDistribution', codec=codec)

train_dataloader = dict(dataset=dict(pipeline=[*_base_.train_pipeline[:-2], encode, _base_.pack]))
val_dataloader = dict(dataset=dict(pipeline=[*_base_.test_pipeline[:-2], encode, _base_.pack]))
test_dataloader = val_dataloader
model = dict(head=dict(codec=codec))
val_evaluator = dict(codec=codec)
test_evaluator = val_evaluator
