"""Names: registered once, in the root, and shadowed by no toolbox."""

import subprocess
import sys

import mmengine.registry
import pytest

import dldl_mm.cls
import dldl_mm.seg  # noqa: F401


def own_names():
    kinds = ('DATASETS', 'HOOKS', 'METRICS', 'MODELS', 'OPTIM_WRAPPERS', 'TASK_UTILS', 'TRANSFORMS')
    for name in kinds:
        registry = getattr(mmengine.registry, name)
        for key, component in registry.module_dict.items():
            if component.__module__.startswith('dldl_mm'):
                yield name, key


def test_the_promised_names_are_registered():
    registered = {key for _, key in own_names()}
    promised = {
        *('GaussianLabelCodec', 'EncodeLabelDistribution', 'LabelDistributionKLLoss'),
        *('LabelDistributionHead', 'ZFNet', 'AgeDataset', 'UTKFace', 'Morph', 'FGNet'),
        *('ChaLearnAge', 'AgeDB', 'IMDBWiki', 'AgeMetric', 'LabelDistributionMetric'),
    }
    assert promised <= registered


def children(registry):
    for child in registry.children.values():
        yield child
        yield from children(child)


@pytest.mark.parametrize(('kind', 'key'), sorted(own_names()))
def test_no_child_registry_shadows_a_name(kind, key):
    import mmpretrain.utils

    mmpretrain.utils.register_all_modules(init_default_scope=False)
    for child in children(getattr(mmengine.registry, kind)):
        assert key not in child.module_dict, f'{child.scope} has a {key} of its own'


@pytest.mark.parametrize(
    'package', ['dldl_mm', 'dldl_mm.codecs', 'dldl_mm.functional', 'dldl_mm.losses', 'dldl_mm.ops']
)
def test_the_core_imports_neither_toolbox(package):
    code = f'import sys, {package}; print([m for m in ("mmpretrain", "mmseg") if m in sys.modules])'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
