# Direct regression of pitch and yaw, half the squared error of the angles scaled to [-1, 1].
_base_ = ['convnet_l1_pointing04.py']

model = dict(head=dict(norm='l2'))
