# Classification into the 93 poses: DLDL without ambiguity, by the cross-entropy.
_base_ = ['resnet18_dldl_pointing04.py']

codec = dict(type='GridLabelCodec', labels='pointing04', shape='one_hot', decode='argmax')
train_pipeline = _base_.train_pipeline
train_pipeline[-2] = dict(type='EncodeLabelDistribution', codec=codec)
test_pipeline = _base_.test_pipeline
test_pipeline[-2] = dict(type='EncodeLabelDistribution', codec=codec)

model = dict(head=dict(codec=codec))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(codec=codec)
test_evaluator = val_evaluator
