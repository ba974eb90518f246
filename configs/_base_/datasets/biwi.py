# BIWI Kinect: the last two persons and the four that were recorded twice test, ten of the 24
# sequences; nobody is in training and test.
_base_ = './head_pose_224_roll.py'
test_persons = ['02', '03', '05', '07', '23', '24']
train_persons = [f'{k:02d}' for k in (1, 4, 6, *range(8, 15), 16, 17, 19, 20)]

train_dataloader = dict(dataset=dict(type='BIWI', where=dict(subject=train_persons)))
val_dataloader = dict(dataset=dict(type='BIWI', where=dict(subject=test_persons)))
test_dataloader = val_dataloader
