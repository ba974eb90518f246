# Regression of the rotation from six numbers, by the geodesic angle. The roll is 0 in this set.
_base_ = ['convnet_l1_pointing04.py']

model = dict(head=dict(_delete_=True, type='RotationHead', in_channels=256))
