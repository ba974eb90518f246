# The third stage, from the second: scores of the third pooling are added.
_base_ = './fcn-32s_vgg16_dldl_voc12aug.py'

model = dict(decode_head=dict(in_channels=[256, 512, 512], in_index=[0, 1, 2]))
load_from = 'work_dirs/fcn-16s_vgg16_dldl_voc12aug/epoch_50.pth'
