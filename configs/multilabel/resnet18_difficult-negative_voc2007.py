# Softmax with equal positives; difficult classes are negatives (p_D = 0).
_base_ = ['resnet18_dldl_voc2007.py']

model = dict(head=dict(codec=dict(p_difficult=0.0, epsilon=0.0, no_positive='skip')))
