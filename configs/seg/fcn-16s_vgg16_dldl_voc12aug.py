# The second stage, from the first: scores of the fourth pooling are added.
_base_ = './fcn-32s_vgg16_dldl_voc12aug.py'

model = dict(decode_head=dict(in_channels=[512, 512], in_index=[1, 2]))
load_from = 'work_dirs/fcn-32s_vgg16_dldl_voc12aug/epoch_50.pth'
