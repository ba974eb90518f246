_base_ = [
    '../_base_/models/zfnet.py',
    '../_base_/datasets/bjut3d.py',
    '../_base_/schedules/dldl_zfnet.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(codec=_base_.codec))
