_base_ = [
    '../_base_/models/convnet_pose.py',
    '../_base_/datasets/pointing04.py',
    '../_base_/schedules/adamw_onecycle.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(codec=_base_.codec))
val_evaluator = dict(decode=('argmax', 'marginal_argmax', 'expectation'))
test_evaluator = val_evaluator
max_epochs = 25
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
param_scheduler = dict(total_steps=max_epochs)
