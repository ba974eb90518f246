# Nobody is in training and test. The list is made by
#   python tools/make_splits.py --reader Pointing04 --value pitch yaw --scheme kfold --folds 5 \
#       --group subject --options data_root=data/pointing04 --out data/pointing04/person_folds.csv
_base_ = ['resnet18_onehot_pointing04.py']

train_dataloader = dict(dataset=dict(ann_file='person_folds.csv'))
val_dataloader = dict(dataset=dict(ann_file='person_folds.csv'))
test_dataloader = val_dataloader
