# Spatially varying label smoothing (SVLS).
_base_ = ['./fcn-resnet18_dldl_camvid.py', '../_base_/svls.py']

model = dict(decode_head=dict(loss_decode=_base_.svls))
