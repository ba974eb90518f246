# Small data: the error against the number of training images, at a size that two CPU cores manage:
# faces of 48 px, a ResNet-18 with a quarter of the channels. Every size gets the same number of updates,
# so that few images do not mean little training, and every seed draws nested subsets.
_updates = 400
_size = 48

name = 'Age, UTKFace, little data'
methods = {
    method: f'../age/resnet18_{method}_utkface.py'
    for method in ('ce', 'l1', 'dldl', 'dldl-v2', 'mean-variance', 'coral')
}
sizes = [250, 1000, 4000]
baseline = 'ce'
seeds = [0, 1, 2]
options = {
    'model.backbone.stem_channels': 16,
    'model.backbone.base_channels': 16,
    'model.head.in_channels': 128,
    'train_dataloader.dataset.pipeline.1.scale': _size,
    **{f'{part}_dataloader.dataset.pipeline.2.scale': (_size, _size) for part in ('val', 'test')},
    'train_dataloader.batch_size': 32,
    'train_dataloader.sampler.type': 'InfiniteSampler',
    'train_cfg': dict(
        _delete_=True, type='IterBasedTrainLoop', max_iters=_updates, val_interval=_updates
    ),
    'param_scheduler': dict(total_steps=_updates, by_epoch=False, convert_to_iter_based=False),
    'default_hooks': dict(
        checkpoint=dict(by_epoch=False, interval=_updates), logger=dict(log_metric_by_epoch=False)
    ),
    'log_processor': dict(by_epoch=False),
}
metrics = {'age/mae': 'less', 'age/cs@5': 'greater', 'age/mae_decades': 'less'}
