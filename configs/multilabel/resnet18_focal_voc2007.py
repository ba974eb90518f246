# The focal loss of each class (Lin et al., ICCV 2017); difficult classes are negatives.
_base_ = ['resnet18_bce_voc2007.py']

model = dict(head=dict(loss=dict(_delete_=True, type='FocalLoss', gamma=2.0, alpha=0.25)))
