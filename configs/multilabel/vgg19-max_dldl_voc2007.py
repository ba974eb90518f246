# IF-DLDL on VGG-19.
_base_ = ['vgg16-max_dldl_voc2007.py']

model = dict(
    backbone=dict(
        depth=19,
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmclassification/v0/vgg/'
            'vgg19_batch256_imagenet_20210208-e6920e4a.pth'
        ),
    )
)
