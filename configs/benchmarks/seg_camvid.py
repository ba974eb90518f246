# Segmentation of CamVid, a small network from scratch.
name = 'Segmentation, CamVid'
methods = {
    method: f'../seg/fcn-resnet18_{method}_camvid.py'
    for method in ('ce', 'smoothing', 'svls', 'relaxation', 'focal', 'ce-dice', 'dldl', 'dldl-3x3')
}
seeds = [0, 1, 2]
metrics = {
    'mIoU': 'greater',
    'seg/fwIoU': 'greater',
    'seg/mIoU@1px': 'greater',
    'seg/mIoU@3px': 'greater',
    'seg/mIoU_trimap': 'greater',
    'seg/ECE': 'less',
}
