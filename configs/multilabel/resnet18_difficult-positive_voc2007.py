# Softmax with equal positives; difficult classes are positives (p_D = 1).
_base_ = ['resnet18_dldl_voc2007.py']

model = dict(head=dict(codec=dict(p_difficult=1.0, epsilon=0.0)))
