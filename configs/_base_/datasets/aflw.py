# AFLW, three random folds over the images; fold 1 tests. The list is made by
#   python tools/make_splits.py --reader AFLW --value pitch yaw --scheme kfold --folds 3 \
#       --options data_root=data/aflw ann_file=aflw.sqlite data_prefix=flickr \
#       --out data/aflw/folds.csv
_base_ = './head_pose_224.py'
train_dataloader = dict(
    dataset=dict(
        type='HeadPoseDataset',
        ann_file='folds.csv',
        data_prefix='flickr',
        where=dict(fold=[2, 3]),
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='HeadPoseDataset',
        ann_file='folds.csv',
        data_prefix='flickr',
        where=dict(fold=[1]),
    ),
)
test_dataloader = val_dataloader
