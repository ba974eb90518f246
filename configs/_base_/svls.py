# Spatially varying label smoothing (SVLS) for `loss_decode`. Its weights are those of a 3x3 Gaussian
# (sigma 1) whose centre weighs as much as all neighbours: a mixture of the one-hot map and of the
# smoothed one, and so is the gradient. The logged loss is smaller than SVLS's cross-entropy by a
# constant of the label maps.
_centre = 1 / (1 + 2 * 2.718281828459045**-0.5) ** 2
_smoothed = 0.5 / (1 - _centre)
svls = [
    dict(type='NeighbourhoodKLLoss', kernel_size=1, loss_weight=1 - _smoothed),
    dict(type='NeighbourhoodKLLoss', kernel_size=3, sigma=1.0, loss_weight=_smoothed),
]
