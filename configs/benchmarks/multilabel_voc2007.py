# Multi-label classification of PASCAL VOC 2007: trained on train, tested on val. Where the whole set is
# there, `--cfg-options train_dataloader.dataset.split=trainval test_dataloader.dataset.split=test`.
name = 'Multi-label, VOC 2007'
methods = {
    method: f'../multilabel/resnet18_{method}_voc2007.py'
    for method in (
        *('bce', 'smoothing', 'focal', 'asl'),
        *('dldl', 'difficult-negative', 'difficult-positive'),
    )
}
baseline = 'bce'
seeds = [0, 1, 2]
metrics = {'voc/mAP_all': 'greater', 'voc/mAP_11points': 'greater'}
