# PF-DLDL as the authors train it: VGG-16 from the IF-DLDL of whole images, on 15 proposals an image, one
# of each group. `tools/make_proposals.py DATA/JPEGImages --out DATA/Proposals` makes them.
_base_ = ['vgg16-avg_dldl_voc2007.py']

load_from = 'work_dirs/vgg16-avg_dldl_voc2007/epoch_20.pth'
model = dict(type='HypothesisPoolingClassifier', crop_size=256, chunk_size=45)
pack = dict(type='PackInputs', algorithm_keys=('gt_label_difficult', 'gt_bboxes'))
proposals = dict(type='LoadProposals', folder=f'{_base_.data_root}/Proposals')
train_dataloader = dict(
    batch_size=3,
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
val_dataloader = dict(batch_size=3, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=1e-4))
