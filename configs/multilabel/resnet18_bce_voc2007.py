# One binary cross-entropy per class; difficult classes are negatives.
_base_ = ['resnet18_dldl_voc2007.py']

model = dict(
    head=dict(
        _delete_=True,
        type='MultiLabelLinearClsHead',
        num_classes=20,
        in_channels=256,
        loss=dict(type='CrossEntropyLoss', use_sigmoid=True),
    )
)
train_dataloader = dict(dataset=dict(pipeline=[*_base_.train_pipeline[:-2], _base_.pack]))
