"""Pictures of distributions over images."""

from dldl_mm.visualization.draw import Sample, draw_curves, draw_samples, to_sample

__all__ = ['Sample', 'draw_curves', 'draw_samples', 'to_sample']
