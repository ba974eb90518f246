# Pointing'04 by the longer recipe, DLDL and classification: about 14 CPU-minutes a fold with bfloat16.
_base_ = 'pose_pointing04.py'

name = "Head pose, Pointing'04, five folds over images, wide network"
methods = dict(
    _delete_=True,
    onehot='../pose/convnet-wide_onehot_pointing04.py',
    dldl='../pose/convnet-wide_dldl_pointing04.py',
)
