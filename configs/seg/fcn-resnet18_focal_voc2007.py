# Focal loss.
_base_ = './fcn-resnet18_dldl_voc2007.py'

model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type='PixelFocalLoss')))
