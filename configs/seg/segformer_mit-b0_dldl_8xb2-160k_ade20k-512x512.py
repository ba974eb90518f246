# SegFormer with DLDL on ADE20K; the base is the same with hard cross-entropy.
_base_ = ['mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py', '../_base_/dldl_seg.py']

model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type='NeighbourhoodKLLoss')))
data_root = '{{$DLDL_DATA_ROOT:data/ade/ADEChallengeData2016}}'
dataset = dict(data_root=data_root)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader
val_evaluator = _base_.evaluator
test_evaluator = _base_.evaluator
