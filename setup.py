"""Installation; ``pip install .`` carries configs and tools as OpenMMLab's packages do."""

import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
MIM_FILES = ('configs', 'tools', 'model-index.yml')


class BuildWithMim(build_py):
    """Put configs, tools and the model index under ``dldl_mm/.mim``, where mim and mmengine look.

    An editable installation links them, so that edits count at once.
    """

    def run(self):
        super().run()
        if self.editable_mode:
            target = ROOT / 'dldl_mm' / '.mim'
            target.mkdir(exist_ok=True)
            for name in MIM_FILES:
                link = target / name
                if not link.is_symlink():
                    link.symlink_to(os.path.relpath(ROOT / name, target))
            return
        target = Path(self.build_lib) / 'dldl_mm' / '.mim'
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in MIM_FILES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, target / name, ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy2(source, target / name)


version = re.search(r"__version__ = '(.+)'", (ROOT / 'dldl_mm' / 'version.py').read_text())[1]

setup(
    name='dldl_mm',
    version=version,
    description='Deep Label Distribution Learning for mmpretrain and mmsegmentation',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['dldl_mm', 'dldl_mm.*']),
    package_data={'dldl_mm.benchmark': ['leaderboard.html']},
    # Neither mmcv nor mmcv-lite: either will do, and an installed one must stay.
    install_requires=[
        'mmengine>=0.10,<1',
        'torch>=2.0',
        'numpy',
        'scipy',
        'matplotlib>=3.7',
        'jinja2',
        'pillow',
        'pyyaml',
        'setuptools<81',  # mmengine finds the bases of other packages' configs by pkg_resources
    ],
    extras_require={
        'cls': ['mmpretrain>=1.2,<2'],
        'seg': ['mmsegmentation>=1.2,<2'],
        # Not OpenCV's contributed modules, which overwrite another opencv package: docs/multilabel.md.
        'proposals': ['scikit-learn', 'torchvision'],
    },
    cmdclass={'build_py': BuildWithMim},
    classifiers=[
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
