# Label smoothing of equal positives, a tenth over all classes; difficult classes are negatives.
_base_ = ['resnet18_dldl_voc2007.py']

codec = dict(_base_.codec, p_difficult=0.0, epsilon=0.1, no_positive='skip')
encode = dict(type='EncodeLabelDistribution', codec=codec)

model = dict(head=dict(codec=codec))
train_dataloader = dict(dataset=dict(pipeline=[*_base_.train_pipeline[:-2], encode, _base_.pack]))
