"""The reference against loops over pixels, and the strips against the reference."""

import math
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from dldl_mm.functional.neighbourhood import neighbourhood_distribution
from dldl_mm.ops import soft_kl

REDUCTIONS = ('mean', 'image_mean', 'sum', 'none')
IMPLS = ('reference', 'eager')


def blobs(shape, num_classes, void=0.15):
    """Label maps of 3×3 patches with void pixels, so that windows are pure, mixed and empty."""
    n, h, w = shape
    patches = torch.randint(0, num_classes, (n, h // 3 + 1, w // 3 + 1))
    labels = patches.repeat_interleave(3, 1).repeat_interleave(3, 2)[:, :h, :w].clone()
    labels[torch.rand(shape) < void] = 255
    return labels


def loop_distribution(labels, num_classes, kernel_size, sigma, void):
    """The definition, pixel by pixel and tap by tap, in Python numbers."""
    n, h, w = labels.shape
    r = kernel_size // 2
    result = torch.zeros(n, num_classes, h, w, dtype=torch.float64)
    for i, y, x in torch.cartesian_prod(*map(torch.arange, (n, h, w))).tolist():
        own = labels[i, y, x].item()
        if own == 255 and void == 'ignore':
            continue
        inside = r <= y < h - r and r <= x < w - r
        mass = [0.0] * num_classes
        for dy in range(-r, r + 1) if inside else [0]:
            for dx in range(-r, r + 1) if inside else [0]:
                label = labels[i, y + dy, x + dx].item()
                if label != 255:
                    mass[label] += math.exp(-(dy * dy + dx * dx) / (2 * sigma**2))
        if sum(mass):
            result[i, :, y, x] = torch.tensor(mass, dtype=torch.float64) / sum(mass)
    return result


def loss_and_gradient(logits, labels, upstream=1.0, **options):
    leaf = logits.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    loss = soft_kl(leaf, labels, **options)
    (loss * upstream).sum().backward()
    return loss.detach(), leaf.grad


def assert_agrees(logits, labels, impl='eager', upstream=1.0, rtol=None, **options):
    """Loss and gradient of an implementation against the float64 reference."""
    expected = loss_and_gradient(logits.double(), labels, upstream, impl='reference', **options)
    actual = loss_and_gradient(logits, labels, upstream, impl=impl, **options)
    default = {torch.float64: 1e-11, torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}
    rtol = rtol or default[logits.dtype]
    for value, truth in zip(actual, expected, strict=True):
        assert value.dtype == logits.dtype
        torch.testing.assert_close(
            value.double(), truth, rtol=rtol, atol=rtol * max(truth.abs().max().item(), 1e-9)
        )


@pytest.mark.parametrize('void', ['ignore', 'assign'])
@pytest.mark.parametrize(('kernel_size', 'sigma'), [(1, 3.0), (3, 0.5), (5, 3.0), (7, 1.3)])
def test_distribution_is_the_definition(kernel_size, sigma, void):
    labels = blobs((2, 10, 9), 4)
    found = neighbourhood_distribution(
        labels, 4, kernel_size, sigma, 255, void, dtype=torch.float64
    )
    expected = loop_distribution(labels, 4, kernel_size, sigma, void)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('void', ['ignore', 'assign'])
@pytest.mark.parametrize('impl', IMPLS)
def test_loss_is_the_formula(impl, void):
    logits = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    labels = blobs((2, 9, 8), 4)
    d = loop_distribution(labels, 4, 5, 3.0, void)
    p = logits.softmax(1)
    per_pixel = torch.where(d > 0, d * (d.clamp_min(1e-300) / p).log(), 0).sum(1)
    pixels = d.sum(1).round()
    assert 0 < pixels.sum() < labels.numel()
    expected = {
        'none': per_pixel,
        'sum': per_pixel.sum(),
        'mean': per_pixel.sum() / pixels.sum(),
        'image_mean': (per_pixel.sum((1, 2)) / (pixels.sum((1, 2)) + 1)).mean(),
    }
    for reduction, value in expected.items():
        found, gradient = loss_and_gradient(
            logits, labels, void=void, reduction=reduction, impl=impl
        )
        torch.testing.assert_close(found, value, rtol=1e-12, atol=1e-12)
        if reduction == 'sum':
            torch.testing.assert_close(gradient, pixels[:, None] * p - d, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('reduction', ['mean', 'sum', 'none'])
@pytest.mark.parametrize('impl', IMPLS)
def test_kernel_size_1_is_hard_cross_entropy(impl, reduction, weighted):
    logits = torch.randn(2, 6, 11, 7, dtype=torch.float64, requires_grad=True)
    labels = blobs((2, 11, 7), 6)
    class_weight = torch.rand(6, dtype=torch.float64) if weighted else None
    hard = F.cross_entropy(
        logits, labels, weight=class_weight, ignore_index=255, reduction=reduction
    )
    soft = soft_kl(
        logits, labels, kernel_size=1, reduction=reduction, impl=impl, class_weight=class_weight
    )
    torch.testing.assert_close(soft, hard, rtol=1e-14, atol=1e-14)
    gradients = [torch.autograd.grad(loss.sum(), logits)[0] for loss in (soft, hard)]
    torch.testing.assert_close(*gradients, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize('void', ['ignore', 'assign'])
@pytest.mark.parametrize('reduction', REDUCTIONS)
@pytest.mark.parametrize(('kernel_size', 'sigma'), [(1, 3.0), (3, 0.2), (5, 3.0), (7, math.inf)])
def test_eager_agrees(kernel_size, sigma, reduction, void, device):
    options = dict(kernel_size=kernel_size, sigma=sigma, reduction=reduction, void=void)
    for n, c, h, w in [(2, 5, 13, 11), (1, 2, 1, 1), (2, 3, 2, 9), (1, 151, 9, 8)]:
        logits = 3 * torch.randn(n, c, h, w, device=device)
        labels = blobs((n, h, w), c).to(device)
        weight = torch.rand(n, h, w, device=device)
        class_weight = torch.rand(c, device=device)
        upstream = torch.rand(n, h, w, device=device) if reduction == 'none' else 1.7
        assert_agrees(logits, labels, upstream=upstream, **options)
        assert_agrees(logits.double(), labels, upstream=upstream, **options)
        assert_agrees(
            logits, labels, upstream=upstream, weight=weight, class_weight=class_weight, **options
        )


@pytest.mark.parametrize('shape', [(1, 19, 90, 700), (30, 19, 37, 41)])
@pytest.mark.parametrize('void', ['ignore', 'assign'])
def test_eager_agrees_over_several_strips(shape, void):
    # 4.8 MB of logits in one image, and several images to a strip.
    n, c, h, w = shape
    labels = blobs((n, h, w), c)
    labels[0, 30:60, :100] = 255
    labels[0, 60:] = 4
    assert_agrees(torch.randn(shape), labels, void=void)


# Labels per pixel have a dense target, patches a list of few labels; logits of 60 have probabilities
# below the least float32. 151 and 300 classes are bytes and wider numbers, 1000 is not a byte.
@pytest.mark.parametrize('patch', [1, 9])
@pytest.mark.parametrize('num_classes', [2, 151, 300])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16])
def test_eager_agrees_with_lists_and_without(patch, num_classes, dtype):
    n, h, w = shape = (3, 50, 48)
    labels = torch.randint(0, num_classes, (n, h // patch + 1, w // patch + 1))
    labels = labels.repeat_interleave(patch, 1).repeat_interleave(patch, 2)[:, :h, :w].clone()
    labels[torch.rand(shape) < 0.02] = 1000
    logits = (60 * torch.randn(n, num_classes, h, w)).to(dtype)
    for void in ('ignore', 'assign'):
        for reduction in ('mean', 'none'):
            assert_agrees(logits, labels, void=void, reduction=reduction, ignore_index=1000)
    weights = dict(weight=torch.rand(shape), class_weight=torch.rand(num_classes))
    assert_agrees(logits, labels, ignore_index=1000, **weights)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('reduction', REDUCTIONS)
def test_half_precision(dtype, reduction):
    logits = torch.randn(2, 5, 12, 10).to(dtype)
    assert_agrees(logits, blobs((2, 12, 10), 5), reduction=reduction)


def test_half_precision_scales_before_rounding():
    # 1/pixels is 4e-6, a subnormal number in float16; a GradScaler's factor lifts it.
    logits = torch.randn(1, 4, 512, 512).half()
    labels = blobs((1, 512, 512), 4)
    leaf = logits.clone().requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = soft_kl(leaf, labels)
    assert loss.dtype == torch.float32
    (loss * 65536).backward()
    _, truth = loss_and_gradient(logits.double(), labels, 65536.0, impl='reference')
    torch.testing.assert_close(leaf.grad.double(), truth, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('patch', [1, 16])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('impl', IMPLS)
def test_autocast_does_not_round_the_target(impl, dtype, patch):
    # Labels per pixel have a dense target, large patches a list of labels.
    labels = torch.randint(0, 5, (2, 4, 5)).repeat_interleave(16, 1).repeat_interleave(16, 2)
    if patch == 1:
        labels = torch.randint_like(labels, 5)
    logits = torch.randn(2, 5, *labels.shape[1:]).to(dtype)
    truth, truth_gradient = loss_and_gradient(
        logits.double(), labels, kernel_size=3, impl='reference'
    )
    leaf = logits.clone().requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = soft_kl(leaf, labels, kernel_size=3, impl=impl)
        loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), truth, rtol=1e-5, atol=0)
    rtol = 1e-5 if dtype == torch.float32 else 5e-3
    torch.testing.assert_close(leaf.grad.double(), truth_gradient, rtol=rtol, atol=1e-8)


@pytest.mark.parametrize('layout', ['channels_last', 'sliced', 'expanded', 'transposed'])
def test_memory_layouts(layout):
    logits = torch.randn(2, 5, 10, 14)
    labels = blobs((2, 10, 14), 5)
    if layout == 'channels_last':
        logits = logits.to(memory_format=torch.channels_last)
    elif layout == 'sliced':
        logits = torch.randn(2, 8, 10, 30)[:, 1:6, :, ::2][..., :14]
    elif layout == 'expanded':
        logits = logits[:1].expand(2, -1, -1, -1)
    else:
        logits = torch.randn(2, 5, 14, 10).transpose(2, 3)
        labels = labels.transpose(1, 2).contiguous().transpose(1, 2)
    before = logits.clone()
    expected, expected_gradient = loss_and_gradient(
        logits.double().contiguous(), labels, impl='reference'
    )
    leaf = logits.detach().requires_grad_()
    loss = soft_kl(leaf, labels, impl='eager')
    (gradient,) = torch.autograd.grad(loss, leaf)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=1e-4, atol=1e-8)
    assert torch.equal(logits, before)


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize('impl', IMPLS)
def test_label_types(impl, dtype):
    logits = torch.randn(1, 4, 9, 9)
    labels = blobs((1, 9, 9), 4)
    expected = soft_kl(logits, labels, impl=impl)
    assert torch.equal(soft_kl(logits, labels.to(dtype), impl=impl), expected)


def test_negative_ignore_index_is_not_wrapped_into_uint8():
    logits = torch.randn(1, 200, 6, 6)
    labels = torch.full((1, 6, 6), 156, dtype=torch.uint8)
    found = soft_kl(logits, labels, ignore_index=-100)
    torch.testing.assert_close(found, F.cross_entropy(logits, labels.long()), rtol=1e-6, atol=0)


@pytest.mark.parametrize('reduction', REDUCTIONS)
@pytest.mark.parametrize('void', ['ignore', 'assign'])
@pytest.mark.parametrize('impl', IMPLS)
def test_all_void(impl, void, reduction):
    labels = torch.full((2, 8, 8), 255)
    options = dict(impl=impl, void=void, reduction=reduction)
    for weights in ({}, {'class_weight': torch.rand(3), 'weight': torch.rand(2, 8, 8)}):
        loss, gradient = loss_and_gradient(torch.randn(2, 3, 8, 8), labels, **options, **weights)
        assert not loss.any()
        assert not gradient.any()


@pytest.mark.parametrize('impl', IMPLS)
def test_empty_batch(impl):
    loss, gradient = loss_and_gradient(
        torch.randn(0, 3, 8, 8), torch.zeros(0, 8, 8).long(), impl=impl
    )
    assert loss == 0
    assert gradient.shape == (0, 3, 8, 8)


@pytest.mark.parametrize('impl', IMPLS)
def test_value_is_0_at_the_target(impl):
    labels = blobs((1, 12, 12), 3, void=0)
    d = neighbourhood_distribution(labels, 3, dtype=torch.float64)
    loss = soft_kl(d.clamp_min(1e-300).log(), labels, reduction='none', impl=impl)
    torch.testing.assert_close(loss, torch.zeros_like(loss), rtol=0, atol=1e-12)


@pytest.mark.parametrize('impl', IMPLS)
def test_class_switched_off_by_minus_infinity(impl):
    logits = torch.randn(1, 4, 9, 9)
    logits[:, 3] = -math.inf
    labels = blobs((1, 9, 9), 3)
    labels[0, 0, 0] = 3
    for reduction in ('none', 'sum'):
        loss, gradient = loss_and_gradient(logits, labels, reduction=reduction, impl=impl)
        touched = neighbourhood_distribution(labels, 4)[:, 3] > 0
        assert torch.equal(loss.isinf(), touched if reduction == 'none' else touched.any())
        assert gradient.isfinite().all()
    labels[0, 0, 0] = 255
    three, _ = loss_and_gradient(logits[:, :3], labels, impl=impl)
    four, _ = loss_and_gradient(logits, labels, impl=impl)
    torch.testing.assert_close(four, three)


@pytest.mark.parametrize('impl', IMPLS)
def test_gradcheck(impl):
    logits = torch.randn(1, 3, 7, 6, dtype=torch.float64, requires_grad=True)
    labels = blobs((1, 7, 6), 3)
    options = dict(void='assign', impl=impl, class_weight=torch.rand(3), weight=torch.rand(1, 7, 6))
    for reduction in ('mean', 'none'):
        assert torch.autograd.gradcheck(
            lambda z, reduction=reduction: soft_kl(z, labels, reduction=reduction, **options),
            logits,
        )


def test_reference_is_twice_differentiable():
    logits = torch.randn(1, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    labels = blobs((1, 6, 6), 3)
    assert torch.autograd.gradgradcheck(lambda z: soft_kl(z, labels, impl='reference'), logits)


def test_eager_refuses_a_second_derivative():
    logits = torch.randn(1, 3, 6, 6, requires_grad=True)
    loss = soft_kl(logits, blobs((1, 6, 6), 3), impl='eager')
    with pytest.raises(RuntimeError, match="impl='reference' for second derivatives"):
        torch.autograd.grad(loss, logits, create_graph=True)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
@pytest.mark.parametrize('upstream', [1.0, 0.4])
def test_second_backward_gives_the_same_gradient(upstream, dtype):
    leaf = torch.randn(2, 4, 9, 9).to(dtype).requires_grad_()
    loss = upstream * soft_kl(leaf, blobs((2, 9, 9), 4), impl='eager')
    (first,) = torch.autograd.grad(loss, leaf, retain_graph=True)
    kept = first.clone()
    first.zero_()
    (second,) = torch.autograd.grad(loss, leaf, retain_graph=True)
    (third,) = torch.autograd.grad(loss, leaf)
    assert torch.equal(second, kept)
    assert torch.equal(third, kept)


def test_logits_stay_as_they_are_and_runs_are_equal():
    logits = torch.randn(2, 5, 40, 33, requires_grad=True)
    labels = blobs((2, 40, 33), 5)
    before, labels_before = logits.detach().clone(), labels.clone()
    runs = [loss_and_gradient(logits, labels, impl='eager') for _ in range(2)]
    assert torch.equal(runs[0][0], runs[1][0])
    assert torch.equal(runs[0][1], runs[1][1])
    assert torch.equal(logits, before)
    assert torch.equal(labels, labels_before)


def test_without_gradient_the_value_is_the_same():
    logits = torch.randn(2, 5, 20, 21)
    labels = blobs((2, 20, 21), 5)
    with torch.no_grad():
        found = soft_kl(logits.requires_grad_(), labels, impl='eager')
    assert not found.requires_grad
    torch.testing.assert_close(found, soft_kl(logits, labels, impl='eager').detach())


def test_gradient_accumulation_and_checkpointing():
    labels = blobs((4, 12, 12), 3)
    images = torch.randn(4, 2, 12, 12)
    gradients = []
    for mode in ('reference', 'eager', 'accumulated', 'checkpointed'):
        torch.manual_seed(1)
        conv = torch.nn.Conv2d(2, 3, 1)
        impl = 'reference' if mode == 'reference' else 'eager'

        def run(x, y, conv=conv, impl=impl):
            return soft_kl(conv(x), y, reduction='sum', impl=impl)

        if mode == 'accumulated':
            for part in range(2):
                rows = slice(2 * part, 2 * part + 2)
                run(images[rows], labels[rows]).backward()
        elif mode == 'checkpointed':
            checkpoint(run, images, labels, use_reentrant=False).backward()
        else:
            run(images, labels).backward()
        gradients.append(conv.weight.grad)
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0], rtol=1e-5, atol=1e-5)


COMPILED = """
import torch
from dldl_mm.losses import NeighbourhoodKLLoss
torch.manual_seed(0)
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)
        # Sigmas that differ become symbols in the compiler.
        options = ((1, 3.0), (3, 1.0), (5, 2.0))
        losses = [NeighbourhoodKLLoss(size, sigma, impl='eager') for size, sigma in options]
        self.losses = torch.nn.ModuleList(losses)
    def forward(self, x, y):
        z = self.conv(x).relu()
        return sum(2 * loss(z, y) for loss in self.losses) + z.square().mean()
model = Model()
# The graph and its gradients are what can go wrong here; generating C++ would take minutes.
compiled = torch.compile(model, backend='aot_eager')
for size in (16, 20):
    images, labels = torch.randn(2, 3, size, size), torch.randint(0, 4, (2, size, size))
    labels[:, 4:7] = 255
    results = []
    for function in (model, compiled):
        model.zero_grad()
        loss = function(images, labels)
        loss.backward()
        results.append((loss.detach(), model.conv.weight.grad.clone()))
    for plain, found in zip(*results):
        torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-6)
"""


def test_compiled_model_around_it():
    # A process of its own: the compiler's imports and caches stay out of the other tests.
    done = subprocess.run(
        [sys.executable, '-c', COMPILED],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'kernel_size': 4}, 'kernel_size must be odd and positive, got 4'),
        ({'kernel_size': 0}, 'kernel_size must be odd and positive, got 0'),
        ({'sigma': 0.0}, 'sigma must be positive, got 0.0'),
        ({'sigma': -1.0}, 'sigma must be positive, got -1.0'),
        ({'sigma': math.nan}, 'sigma must be positive, got nan'),
        ({'void': 'skip'}, "unknown void 'skip'"),
        ({'reduction': 'median'}, "unknown reduction 'median'"),
        ({'impl': 'cuda'}, "unknown impl 'cuda'"),
        ({'weight': torch.ones(2, 3, 4)}, r'weight .* \(1, 6, 6\), got \(2, 3, 4\)'),
        ({'class_weight': torch.ones(2)}, r'class_weight .* \(3,\), got \(2,\)'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        soft_kl(torch.randn(1, 3, 6, 6), torch.zeros(1, 6, 6).long(), **options)


@pytest.mark.parametrize('impl', IMPLS)
def test_bad_tensors(impl):
    logits, labels = torch.randn(1, 3, 6, 6), torch.zeros(1, 6, 6).long()
    with pytest.raises(ValueError, match=r'labels must have the shape \(1, 6, 6\)'):
        soft_kl(logits, labels[:, :5], impl=impl)
    with pytest.raises(ValueError, match=r'\(N, C, H, W\), got \(3, 6, 6\)'):
        soft_kl(logits[0], labels, impl=impl)
    with pytest.raises(ValueError, match=r'at least two classes, got the shape \(1, 1, 6, 6\)'):
        soft_kl(logits[:, :1], labels, impl=impl)
    with pytest.raises(TypeError, match=r'labels must be integers, got torch\.float32'):
        soft_kl(logits, labels.float(), impl=impl)
    with pytest.raises(TypeError, match='logits must be floating point'):
        soft_kl(logits.long(), labels, impl=impl)
    for value in (3, 254, -1, 2**32):
        wrong = labels.clone()
        wrong[0, 2, 3:5] = value
        with pytest.raises(ValueError, match=rf'label {value} in 2 pixel\(s\) .* \(0 to 2\)'):
            soft_kl(logits, wrong, impl=impl)
