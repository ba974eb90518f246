# Segmentation of VOC 2007, a small network from scratch.
name = 'Segmentation, VOC 2007'
methods = {
    method: f'../seg/fcn-resnet18_{method}_voc2007.py'
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
