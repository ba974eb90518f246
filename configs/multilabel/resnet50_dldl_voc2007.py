# IF-DLDL on mmpretrain's ResNet-50 from ImageNet, with the crops and the schedule of the VGG recipes.
_base_ = ['vgg16-avg_dldl_voc2007.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=50,
        out_indices=(3,),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/resnet/'
            'resnet50_8xb32_in1k_20210831-ea4938fc.pth',
            prefix='backbone',
        ),
    ),
    head=dict(in_channels=2048),
)
