# Your own faces: a folder with train.csv and val.csv, columns `file` and `age`, optionally `sigma`.
# python tools/train.py configs/age/resnet18_dldl_csv.py --data-root path/to/folder
_base_ = './resnet18_dldl_utkface.py'

train_dataloader = dict(dataset=dict(type='AgeDataset', data_prefix=''))
val_dataloader = dict(dataset=dict(type='AgeDataset', data_prefix=''))
test_dataloader = val_dataloader
