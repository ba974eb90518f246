"""Deep Label Distribution Learning for the OpenMMLab toolboxes."""

from pathlib import Path

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

from dldl_mm.version import __version__

__all__ = ['__version__']

# mmengine resolves `package::path` for the packages in this table only.
MODULE2PACKAGE.setdefault('dldl_mm', 'dldl_mm')

_get_cfg_path = Config._get_cfg_path


def _get_base_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
    # mmengine takes the package of a `_base_` for the scope of every component in it. Ours are built
    # in the scope that the config says, of mmpretrain or of mmsegmentation, as from a relative path.
    package, separator, name = cfg_path.partition('::')
    if not separator or package != 'dldl_mm':
        return _get_cfg_path(cfg_path, filename)
    path = Path(__file__).parent / '.mim' / 'configs' / name
    if not path.is_file():
        raise FileNotFoundError(f'dldl_mm has no config {name}')
    return str(path), None


Config._get_cfg_path = staticmethod(_get_base_path)
