# Trained on 300W-LP, tested on AFLW2000-3D, without the faces turned by more than 99°. The folder
# holds both, as 300W_LP/ and AFLW2000/.
_base_ = './head_pose_224_roll.py'
train_dataloader = dict(dataset=dict(type='Face300WLP', data_prefix='300W_LP', max_angle=99))
val_dataloader = dict(dataset=dict(type='AFLW2000', data_prefix='AFLW2000', max_angle=99))
test_dataloader = val_dataloader
