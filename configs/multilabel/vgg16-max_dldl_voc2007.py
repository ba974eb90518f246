# IF-DLDL with global max pooling.
_base_ = ['vgg16-avg_dldl_voc2007.py']

model = dict(neck=dict(type='GlobalMaxPooling'))
