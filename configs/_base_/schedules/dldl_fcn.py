# The schedule of Gao et al. (TIP 2017) for segmentation, which each of the three stages runs.
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-4, momentum=0.9, weight_decay=5e-4)
)
param_scheduler = []
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
