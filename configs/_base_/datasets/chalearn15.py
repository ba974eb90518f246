# ChaLearn LAP 2015: apparent ages with each image's own deviation.
_base_ = './age_224.py'
train_dataloader = dict(dataset=dict(type='ChaLearnAge', ann_file='Train.csv', data_prefix='Train'))
val_dataloader = dict(
    dataset=dict(type='ChaLearnAge', ann_file='Validation.csv', data_prefix='Validation')
)
test_dataloader = val_dataloader
