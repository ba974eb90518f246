# SegFormer with DLDL on PASCAL VOC 2012, with the additional annotations of SBD.
_base_ = [
    'mmseg::_base_/models/segformer_mit-b0.py',
    'mmseg::_base_/datasets/pascal_voc12_aug.py',
    'mmseg::_base_/schedules/schedule_40k.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/dldl_seg.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/'
            'mit_b0_20220624-7e0fe6dd.pth',
        )
    ),
    decode_head=dict(num_classes=21, loss_decode=dict(_delete_=True, type='NeighbourhoodKLLoss')),
)
# As mmsegmentation trains SegFormer.
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys=dict(
            pos_block=dict(decay_mult=0.0), norm=dict(decay_mult=0.0), head=dict(lr_mult=10.0)
        )
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=1500, end=40000, by_epoch=False),
]
data_root = '{{$DLDL_DATA_ROOT:data/VOCdevkit/VOC2012}}'
dataset = dict(data_root=data_root)
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(_base_.dataset_train, data_root=data_root),
            dict(_base_.dataset_aug, data_root=data_root),
        ]
    )
)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader
val_evaluator = _base_.evaluator
test_evaluator = _base_.evaluator
