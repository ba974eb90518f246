# A smaller window, where the labels are seen at a fraction of their size.
_base_ = './fcn-resnet18_dldl_camvid.py'

model = dict(decode_head=dict(loss_decode=dict(kernel_size=3, sigma=1.0)))
