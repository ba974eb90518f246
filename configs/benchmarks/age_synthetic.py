# Six age methods on rendered faces, 12 short epochs of a small network: needs no file. The faces serve to
# try the software; what the table says holds for them alone.
_epochs = 12
_pack = dict(type='PackInputs', algorithm_keys=('gt_value', 'gt_sigma'))
_encode = dict(type='EncodeLabelDistribution')
_test = dict(
    dataset=dict(
        _delete_=True,
        type='SyntheticFaces',
        split='test',
        num_samples=400,
        pipeline=[_encode, _pack],
    )
)

name = 'Age, rendered faces'
methods = {
    method: f'../age/resnet18_{method}_utkface.py'
    for method in ('l1', 'ce', 'dldl', 'dldl-v2', 'mean-variance', 'coral')
}
baseline = 'ce'
seeds = [0, 1, 2]
options = dict(
    train_cfg=dict(max_epochs=_epochs),
    param_scheduler=dict(total_steps=_epochs),
    model=dict(
        backbone=dict(
            _delete_=True,
            type='ResNet',
            depth=18,
            stem_channels=32,
            base_channels=32,
            out_indices=(3,),
        )
    ),
    train_dataloader=dict(
        dataset=dict(
            _delete_=True,
            type='SyntheticFaces',
            split='train',
            num_samples=600,
            pipeline=[dict(type='RandomFlip', prob=0.5, direction='horizontal'), _encode, _pack],
        )
    ),
    val_dataloader=_test,
    test_dataloader=_test,
)
metrics = {
    'age/mae': 'less',
    'age/cs@5': 'greater',
    'age/epsilon_error': 'less',
}
