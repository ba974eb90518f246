# The authors' schedule of IF-DLDL: one learning rate per epoch, 20 from 1e-3 to 1e-5, evenly in their
# logarithm.
max_epochs = 20
optim_wrapper = dict(optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='ExponentialLR', gamma=10 ** (-2 / (max_epochs - 1)), by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
