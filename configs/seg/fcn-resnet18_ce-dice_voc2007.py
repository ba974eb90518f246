# Hard cross-entropy and Dice.
_base_ = './fcn-resnet18_dldl_voc2007.py'

model = dict(
    decode_head=dict(
        loss_decode=[
            dict(type='CrossEntropyLoss', avg_non_ignore=True),
            dict(type='DiceLoss', loss_name='loss_dice'),
        ]
    )
)
