"""The CUDA kernels against the float64 reference: on a GPU, or in Triton's interpreter.

The interpreter is chosen when Triton is imported, so that without a GPU ``test_in_the_interpreter``
runs this file again in a process of its own.
"""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from dldl_mm.ops import soft_kl

INTERPRETED = os.environ.get('TRITON_INTERPRET') == '1'
CUDA = torch.cuda.is_available() and not INTERPRETED
DEVICE = 'cuda' if CUDA else 'cpu'

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec('triton') is None, reason='Triton is not installed'
)
kernel = pytest.mark.skipif(
    not (INTERPRETED or CUDA), reason='runs inside of test_in_the_interpreter'
)


@pytest.mark.skipif(INTERPRETED or CUDA, reason='the kernels are tested directly')
def test_in_the_interpreter():
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider', __file__],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'TRITON_INTERPRET': '1', 'PYTHONPATH': path},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'passed' in done.stdout


@pytest.mark.skipif(INTERPRETED, reason='nothing is compiled in the interpreter')
@pytest.mark.parametrize('capability', [80, 90])
@pytest.mark.parametrize('name', ['_forward_kernel', '_backward_kernel'])
@pytest.mark.parametrize('weighted', [False, True])
def test_compiles_for_cuda_with_neighbouring_pixels_in_neighbouring_threads(
    name, weighted, capability, tmp_path, monkeypatch
):
    pytest.importorskip('triton', minversion='3.3')
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from dldl_mm.ops.soft_kl import triton_kernel

    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    jitted = getattr(triton_kernel, name)
    pointers = {'logits': '*bf16', 'gradient': '*bf16', 'labels': '*i64'}
    pointers |= dict.fromkeys(('log_sum', 'loss_out', 'mass_out', 'upstream'), '*fp32')
    constants = dict(NUM_CLASSES=21, RADIUS=2, REACH=2, ASSIGN=False, PER_PIXEL=False)
    constants |= dict(WEIGHTED=weighted, CLASS_WEIGHTED=weighted, stride_w=1, out_stride_w=1)
    constants |= dict(BLOCK=triton_kernel._PIXELS, CLASSES=triton_kernel._CLASSES)
    if weighted:
        pointers |= dict(weight='*fp32', class_weight='*fp32')
    else:
        constants |= dict(weight=None, class_weight=None)
    constants = {key: value for key, value in constants.items() if key in jitted.arg_names}
    numbers = {'inverse_variance': 'fp32'}
    signature = {
        key: 'constexpr' if key in constants else {**pointers, **numbers}.get(key, 'i32')
        for key in jitted.arg_names
    }
    compiled = compile(
        ASTSource(jitted, signature, constants),
        target=GPUTarget('cuda', capability, 32),
        options=dict(num_warps=triton_kernel._WARPS),
    )
    assert compiled.asm['cubin']
    # Pixels times classes: a warp reads 32 neighbours of one class, the fastest access there is.
    assert 'threadsPerWarp = [32, 1]' in compiled.asm['ttgir']


def labels_like(logits):
    n, c, h, w = logits.shape
    patches = torch.randint(0, c, (n, h // 3 + 1, w // 3 + 1))
    labels = patches.repeat_interleave(3, 1).repeat_interleave(3, 2)[:, :h, :w].clone()
    labels[torch.rand(n, h, w) < 0.15] = 255
    return labels.to(DEVICE)


def assert_agrees(logits, labels, upstream=1.7, rtol=2e-5, **options):
    results = []
    for impl, dtype in (('reference', torch.float64), ('triton', logits.dtype)):
        leaf = logits.detach().to(dtype, copy=True).requires_grad_()
        loss = soft_kl(leaf, labels, impl=impl, **options)
        (loss.to(torch.promote_types(dtype, torch.float32)) * upstream).sum().backward()
        assert leaf.grad.dtype == dtype
        results.append((loss.detach().double(), leaf.grad.double()))
    for truth, value in zip(*results, strict=True):
        atol = rtol * max(truth.abs().max().item(), 1e-9)
        torch.testing.assert_close(value, truth, rtol=rtol, atol=atol)


@kernel
@pytest.mark.parametrize(
    ('shape', 'options'),
    [
        ((1, 2, 1, 1), {}),
        # Three tiles of classes: the entropy must be added once.
        ((1, 40, 9, 7), {}),
        ((1, 40, 9, 7), {'void': 'assign', 'reduction': 'image_mean'}),
        # Two programs an image, several images.
        ((2, 3, 13, 11), {'kernel_size': 3, 'sigma': 0.2, 'void': 'assign'}),
        ((1, 151, 7, 6), {'kernel_size': 7, 'sigma': float('inf'), 'reduction': 'sum'}),
        ((1, 5, 6, 6), {'kernel_size': 1}),
        ((1, 3, 2, 9), {'kernel_size': 5, 'reduction': 'none'}),
    ],
)
@pytest.mark.parametrize('weighted', [False, True])
def test_agrees_with_the_reference(shape, options, weighted):
    logits = 3 * torch.randn(shape, device=DEVICE)
    n, c, h, w = shape
    if weighted:
        weights = {'weight': torch.rand(n, h, w), 'class_weight': torch.rand(c)}
        options = {**options, **{name: value.to(DEVICE) for name, value in weights.items()}}
    upstream = torch.rand(n, h, w, device=DEVICE) if options.get('reduction') == 'none' else 1.7
    assert_agrees(logits, labels_like(logits), upstream, **options)


@kernel
@pytest.mark.parametrize('layout', ['channels_last', 'sliced'])
def test_memory_layouts(layout):
    logits = torch.randn(1, 5, 8, 9, device=DEVICE).to(memory_format=torch.channels_last)
    if layout == 'sliced':
        logits = torch.randn(1, 8, 8, 20, device=DEVICE)[:, 1:6, :, ::2][..., :9]
    labels = labels_like(logits)
    before = logits.clone()
    expected = soft_kl(logits.double(), labels, impl='reference')
    leaf = logits.detach().requires_grad_()
    loss = soft_kl(leaf, labels, impl='triton')
    (gradient,) = torch.autograd.grad(loss, leaf, retain_graph=True)
    (again,) = torch.autograd.grad(loss, leaf)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)
    assert torch.equal(gradient, again)
    assert torch.equal(logits, before)


@kernel
@pytest.mark.parametrize('dtype', [torch.uint8, torch.int32])
def test_label_types(dtype):
    logits = torch.randn(1, 4, 6, 6, device=DEVICE)
    labels = labels_like(logits)
    expected = soft_kl(logits, labels, impl='triton')
    assert torch.equal(soft_kl(logits, labels.to(dtype), impl='triton'), expected)


@kernel
def test_labels_out_of_range_are_void():
    logits = torch.randn(1, 4, 7, 7, device=DEVICE)
    labels = labels_like(logits)
    wrong = labels.clone()
    wrong[0, 2, 2], wrong[0, 3, 3], wrong[0, 0, 0] = 4, -1, 2**32
    labels[wrong != labels] = 255
    expected = soft_kl(logits, labels, impl='triton', void='assign')
    assert torch.equal(soft_kl(logits, wrong, impl='triton', void='assign'), expected)


@kernel
@pytest.mark.parametrize('void', ['ignore', 'assign'])
def test_all_void(void):
    leaf = torch.randn(1, 3, 6, 6, device=DEVICE, requires_grad=True)
    labels = torch.full((1, 6, 6), 255, device=DEVICE)
    loss = soft_kl(leaf, labels, void=void, impl='triton')
    loss.backward()
    assert loss == 0
    assert not leaf.grad.any()


@kernel
def test_half_precision_scales_before_rounding():
    logits = torch.randn(1, 4, 8, 8, device=DEVICE).half()
    labels = labels_like(logits)
    # 1 / 4e6 is below float16's numbers; times a GradScaler's factor it is not.
    assert_agrees(logits, labels, 65536 / 4e6, rtol=2e-3, reduction='sum')


@kernel
def test_class_switched_off_by_minus_infinity():
    logits = torch.randn(1, 20, 6, 6, device=DEVICE)
    logits[:, :17] = float('-inf')
    labels = torch.randint(17, 20, (1, 6, 6), device=DEVICE)
    found = soft_kl(logits, labels, impl='triton')
    expected = soft_kl(logits[:, 17:], labels - 17, impl='triton')
    torch.testing.assert_close(found, expected)


@kernel
def test_refusals():
    leaf = torch.randn(1, 3, 6, 6, device=DEVICE, requires_grad=True)
    labels = labels_like(leaf)
    with pytest.raises(RuntimeError, match="impl='reference' for second derivatives"):
        torch.autograd.grad(soft_kl(leaf, labels, impl='triton'), leaf, create_graph=True)
    with pytest.raises(ValueError, match="use 'eager' for float64"):
        soft_kl(leaf.double(), labels, impl='triton')
    with pytest.raises(TypeError, match='labels must be integers'):
        soft_kl(leaf, labels.float(), impl='triton')


@pytest.mark.skipif(not CUDA, reason='needs a GPU')
@pytest.mark.parametrize('impl', ['triton', 'eager'])
def test_host_never_waits(impl):
    leaf = torch.randn(2, 19, 33, 40, device='cuda', requires_grad=True)
    labels = labels_like(leaf)
    soft_kl(leaf, labels, impl=impl).backward()
    torch.cuda.set_sync_debug_mode('error')
    try:
        (0.4 * soft_kl(leaf, labels, impl=impl)).backward()
    finally:
        torch.cuda.set_sync_debug_mode('default')
