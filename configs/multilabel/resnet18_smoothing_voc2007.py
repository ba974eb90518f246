# Label smoothing of equal positives, a tenth over all classes; difficult classes are negatives.
_base_ = ['resnet18_dldl_voc2007.py']

model = dict(head=dict(codec=dict(p_difficult=0.0, epsilon=0.1, no_positive='skip')))
