# Adaptive label distribution learning: the deviation of each label is fitted after every epoch.
_base_ = './resnet18_dldl_utkface.py'

model = dict(head=dict(losses=[dict(type='AdaptiveSigmaKLLoss')]))
custom_hooks = [*_base_.custom_hooks, dict(type='AdaptiveSigmaHook')]
