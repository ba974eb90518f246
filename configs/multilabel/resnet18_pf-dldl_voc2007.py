# PF-DLDL from the small network of resnet18_dldl_voc2007.py: the 15 proposals of an image, each seen
# as large as the whole image was. `tools/make_proposals.py` makes them.
_base_ = ['resnet18_dldl_voc2007.py']

load_from = 'work_dirs/resnet18_dldl_voc2007/epoch_12.pth'
# Few images make poor batch statistics: those of the whole images stay.
model = dict(
    type='HypothesisPoolingClassifier',
    crop_size=_base_.img_size,
    chunk_size=240,
    backbone=dict(norm_eval=True),
)
pack = dict(type='PackInputs', algorithm_keys=('gt_label_difficult', 'gt_bboxes'))
proposals = dict(type='LoadProposals', folder=f'{_base_.data_root}/Proposals')
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(proposals, one_per_group=True),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            _base_.train_pipeline[-2],
            pack,
        ]
    ),
)
test_pipeline = [dict(type='LoadImageFromFile'), proposals, pack]
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

max_epochs = 1
optim_wrapper = dict(optimizer=dict(lr=2e-4))
param_scheduler = dict(eta_max=2e-4, total_steps=max_epochs)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
