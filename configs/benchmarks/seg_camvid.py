# Segmentation of CamVid, a small network from scratch.
name = 'Segmentation, CamVid'
methods = {
    method: f'../seg/fcn-resnet18_{method}_camvid.py'
    for method in ('ce', 'smoothing', 'relaxation', 'focal', 'ce-dice', 'svls', 'dldl')
}
seeds = [0, 1, 2]
metrics = {'mIoU': 'greater', 'aAcc': 'greater'}
