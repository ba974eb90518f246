# Hopenet's loss: bins of 3° for each angle, and the squared error of their expectation.
_base_ = ['convnet_l1_pointing04.py']

model = dict(
    head=dict(
        _delete_=True,
        type='HopenetHead',
        axes=dict(pitch=(-90, 90, 3), yaw=(-90, 90, 3)),
        in_channels=256,
        alpha=0.01,
    )
)
