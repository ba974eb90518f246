# DeepLabV3+ with DLDL on Cityscapes; the base is the same with hard cross-entropy.
_base_ = [
    'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    '../_base_/dldl_seg.py',
]

loss = dict(_delete_=True, type='NeighbourhoodKLLoss')
model = dict(
    decode_head=dict(loss_decode=loss),
    auxiliary_head=dict(loss_decode=dict(loss, loss_weight=0.4)),
)
data_root = '{{$DLDL_DATA_ROOT:data/cityscapes/}}'
dataset = dict(data_root=data_root)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader
val_evaluator = _base_.evaluator
test_evaluator = _base_.evaluator
