"""Deep Label Distribution Learning for the OpenMMLab toolboxes."""

from mmengine.config.utils import MODULE2PACKAGE

from dldl_mm.version import __version__

# mmengine resolves `_base_ = 'package::path'` for the packages in this table only.
MODULE2PACKAGE.setdefault('dldl_mm', 'dldl_mm')

__all__ = ['__version__']
