# Focal loss. mmsegmentation's takes hard labels on a GPU only, with a mmcv that has compiled operators.
_base_ = './fcn-resnet18_dldl_camvid.py'

model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type='FocalLoss')))
