# Pointing'04, leave one person out: 15 folds, nobody tested was seen in training.
_base_ = 'pose_pointing04.py'

name = "Head pose, Pointing'04, one person left out"
folds = dict(column='subject')
allow_shared_subjects = False
