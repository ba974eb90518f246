# Pointing'04, three persons in each of five folds: nobody tested was seen in training. The file of the
# folds is made by
#     python tools/make_splits.py --reader Pointing04 --value pitch yaw --scheme kfold --folds 5 \
#         --group subject --options data_root=data/pointing04 --out data/pointing04/person_folds.csv
_base_ = 'pose_pointing04.py'

name = "Head pose, Pointing'04, five folds over persons"
folds = dict(column='fold', ann_file='person_folds.csv')
allow_shared_subjects = False
