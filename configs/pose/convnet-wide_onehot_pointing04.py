# Classification into the 93 poses under the recipe of convnet-wide_dldl_pointing04.py.
_base_ = ['convnet-wide_dldl_pointing04.py']

codec = dict(_base_.codec, shape='one_hot')
encode = dict(type='EncodeLabelDistribution', codec=codec)

model = dict(head=dict(codec=codec))
train_dataloader = dict(dataset=dict(pipeline=[*_base_.train_pipeline[:-2], encode, _base_.pack]))
val_dataloader = dict(dataset=dict(pipeline=[*_base_.test_pipeline[:-2], encode, _base_.pack]))
test_dataloader = val_dataloader
val_evaluator = dict(codec=codec)
test_evaluator = val_evaluator
