# Pointing'04 with the five folds of the authors of DLDL, random over the images: the persons of a test
# fold are in its training too.
name = "Head pose, Pointing'04, five folds over images"
methods = dict(
    l1='../pose/convnet_l1_pointing04.py',
    l2='../pose/convnet_l2_pointing04.py',
    hopenet='../pose/convnet_hopenet_pointing04.py',
    rotation_6d='../pose/convnet_6d_pointing04.py',
    onehot='../pose/convnet_onehot_pointing04.py',
    dldl='../pose/convnet_dldl_pointing04.py',
)
baseline = 'onehot'
folds = dict(column='fold')
allow_shared_subjects = True
metrics = {
    'pose/mae_pair': 'less',
    'pose/mae_pitch': 'less',
    'pose/mae_yaw': 'less',
    'pose/acc_pair': 'greater',
}
