# Heads at 224 px with the roll as a third axis; rotated images add to it.
_base_ = './head_pose_224.py'
axes = ('pitch', 'yaw', 'roll')
codec = dict(
    type='GridLabelCodec',
    axes=dict(pitch=(-100, 100, 10), yaw=(-100, 100, 10), roll=(-100, 100, 10)),
    sigma=7.0,
    decode='expectation',
    clip=True,
)
flip = dict(type='FlipHeadPose', axes=axes)
rotate = dict(type='RandomRotateHeadPose', max_angle=15, axes=axes)
encode = dict(type='EncodeLabelDistribution', codec=codec)
train_pipeline = [*_base_.train_pipeline[:3], flip, rotate, encode, _base_.pack]
test_pipeline = [*_base_.test_pipeline[:-2], encode, _base_.pack]

train_dataloader = dict(batch_size=64, dataset=dict(axes=axes, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(axes=axes, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(axes=axes, codec=codec, decode=('argmax',))
test_evaluator = val_evaluator
