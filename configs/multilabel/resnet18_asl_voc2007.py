# The asymmetric loss (Ridnik et al., ICCV 2021); difficult classes are negatives.
_base_ = ['resnet18_bce_voc2007.py']

model = dict(
    head=dict(
        loss=dict(_delete_=True, type='AsymmetricLoss', gamma_pos=0.0, gamma_neg=4.0, clip=0.05)
    )
)
