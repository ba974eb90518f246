# Pointing'04 with the five folds of the authors of DLDL, random over the images: the persons of a test
# fold are in its training too.
name = "Head pose, Pointing'04, five folds over images"
methods = {method: f'../pose/convnet_{method}_pointing04.py' for method in ('l1', 'onehot', 'dldl')}
baseline = 'onehot'
folds = dict(column='fold')
allow_shared_subjects = True
metrics = {
    'pose/mae_pair': 'less',
    'pose/mae_pitch': 'less',
    'pose/mae_yaw': 'less',
    'pose/acc_pair': 'greater',
}
