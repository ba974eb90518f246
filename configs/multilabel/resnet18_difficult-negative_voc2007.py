# Softmax with equal positives; difficult classes are negatives (p_D = 0).
_base_ = ['resnet18_dldl_voc2007.py']

codec = dict(_base_.codec, p_difficult=0.0, epsilon=0.0, no_positive='skip')
encode = dict(type='EncodeLabelDistribution', codec=codec)

model = dict(head=dict(codec=codec))
train_dataloader = dict(dataset=dict(pipeline=[*_base_.train_pipeline[:-2], encode, _base_.pack]))
