# Every age method under one recipe, 20 epochs, no pre-training, the last epoch tested. Train and test
# are train.csv and val.csv of the data root.
name = 'Age, UTKFace'
methods = {
    method: f'../age/resnet18_{method}_utkface.py'
    for method in (
        *(
            'l1',
            'l2',
            'epsilon',
            'ce',
            'label-smoothing',
            'dldl',
            'dldl-v2',
            'laplace',
            'triangular',
        ),
        *('truncated', 'binomial', 'poisson', 'beta', 'sord', 'sord-squared', 'aldl', 'js', 'emd'),
        *('hellinger', 'l2-distribution', 'unimodal', 'mean-variance', 'amr', 'coral', 'corn'),
        'or-cnn',
    )
}
baseline = 'ce'
seeds = [0, 1, 2]
metrics = {
    'age/mae': 'less',
    'age/cs@5': 'greater',
    'age/mae_decades': 'less',
}
