# Small data: the error against the number of training images. Every size gets the same number of
# updates, so that few images do not mean little training, and every seed draws nested subsets.
_updates = 2000

name = 'Age, UTKFace, little data'
methods = {
    method: f'../age/resnet18_{method}_utkface.py'
    for method in ('ce', 'l1', 'dldl', 'dldl-v2', 'mean-variance', 'coral')
}
sizes = [250, 500, 1000, 2000, 4000, 6400]
seeds = [0, 1, 2]
options = dict(
    train_dataloader=dict(sampler=dict(type='InfiniteSampler')),
    train_cfg=dict(
        _delete_=True, type='IterBasedTrainLoop', max_iters=_updates, val_interval=_updates
    ),
    param_scheduler=dict(total_steps=_updates, by_epoch=False, convert_to_iter_based=False),
    default_hooks=dict(
        checkpoint=dict(by_epoch=False, interval=500), logger=dict(log_metric_by_epoch=False)
    ),
    log_processor=dict(by_epoch=False),
)
metrics = {'age/mae': 'less', 'age/cs@5': 'greater', 'age/mae_decades': 'less'}
