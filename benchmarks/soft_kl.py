"""Time and memory of the per-pixel KL loss, forward and backward, beside what it replaces.

    python benchmarks/soft_kl.py                          # CPU, 2 threads
    python benchmarks/soft_kl.py --device cuda            # GPU, float32 and bfloat16
    python benchmarks/soft_kl.py --camvid data/camvid --voc data/VOCdevkit/VOC2007
    # Whole training steps; on a CPU with --crop 256 --batch 2
    python benchmarks/soft_kl.py --shapes --models fcn-r50 segformer-b0 --out steps.csv

Forms: ``hard`` is ``F.cross_entropy``; ``mmseg`` is mmsegmentation's own ``CrossEntropyLoss``;
``dense`` is the soft target built by one-hot, convolution and division, and ``F.kl_div``; ``eager``
and ``triton`` are implementations of ``dldl_mm.ops.soft_kl``. All forms of a case are timed in turns,
round after round, each in its second of two steps, and the medians are compared. On a CPU the rounds
are those of several processes: where a process's heap happens to put the buffers decides about a
form's time for all of its life, by half with hard cross-entropy of CamVid's maps. The peak memory
above the inputs is measured once per form, on a CPU as the rise of the resident set in a process of
its own (Linux), on CUDA by torch's allocator; it is given in multiples of the logits, the gradient
included.

Whole training steps (``--models``) are those of mmsegmentation's models, with its own cross-entropy
(``mmseg``) and with ``NeighbourhoodKLLoss`` (``auto``) in all heads: forward, losses, backward and
optimiser, without loading of data; bfloat16 is autocast.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import functools
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from dldl_mm.ops import soft_kl

SHAPES = {'A': (4, 21, 512, 512), 'B': (2, 19, 512, 1024), 'C': (2, 150, 512, 512)}
DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16}
MODELS = {
    'fcn-r50': 'fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py',
    'segformer-b0': 'segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
}
FORMS = ('hard', 'mmseg', 'dense', 'eager', 'triton')
FIELDS = (
    'date',
    'device',
    'torch',
    'triton',
    'mmsegmentation',
    'allocator',
    'threads',
    'load_before',
    'case',
    'shape',
    'dtype',
    'form',
    'median_ms',
    'min_ms',
    'to_hard',
    'to_dense',
    'to_mmseg',
    'peak_extra',
    'copy_gb_s',
    'floor_fraction',
    'note',
)


def synthetic_labels(shape: tuple[int, ...]) -> Tensor:
    """Blob-shaped label maps with a dozen classes an image and 3% void."""
    images, classes, height, width = shape
    generator = torch.Generator().manual_seed(0)
    kinds = min(classes, 12)
    grid = (height // 64 + 1, width // 64 + 1)
    noise = torch.randn(images, kinds + 1, *grid, generator=generator)
    noise = F.interpolate(noise, size=(height, width), mode='bicubic')
    names = torch.stack(
        [torch.randperm(classes, generator=generator)[:kinds] for _ in range(images)]
    )
    labels = names.gather(1, noise[:, :kinds].argmax(1).flatten(1)).view(images, height, width)
    labels[noise[:, kinds] > torch.quantile(noise[:, kinds, ::8, ::8], 0.97)] = 255
    return labels


def real_labels(folder: Path, pattern: str, size: tuple[int, int], images: int = 4) -> Tensor:
    """The first label maps of a folder, cut or padded with void to one size."""
    import numpy as np
    from PIL import Image

    files = sorted(folder.glob(pattern))[:images]
    if len(files) < images:
        raise SystemExit(f'{folder}/{pattern}: found {len(files)} label maps, need {images}')
    labels = torch.full((images, *size), 255)
    for image, file in zip(labels, files, strict=True):
        found = torch.from_numpy(np.array(Image.open(file))).long()[: size[0], : size[1]]
        image[: found.shape[0], : found.shape[1]] = found
    return labels


def load_case(name: str, arguments: argparse.Namespace) -> tuple[tuple[int, ...], Tensor]:
    if name == 'camvid':
        return (4, 11, 360, 480), real_labels(arguments.camvid, 'ann_dir/train/*.png', (360, 480))
    if name == 'voc':
        return (4, 21, 512, 512), real_labels(arguments.voc, 'SegmentationClass/*.png', (512, 512))
    return SHAPES[name], synthetic_labels(SHAPES[name])


def dense(logits: Tensor, labels: Tensor) -> Tensor:
    classes = logits.shape[1]
    valid = labels != 255
    one_hot = F.one_hot(torch.where(valid, labels, classes), classes + 1)[..., :classes]
    one_hot = one_hot.permute(0, 3, 1, 2).float()
    line = torch.exp(-0.5 * (torch.arange(-2, 3, device=logits.device) / 3.0) ** 2)
    kernel = (line[:, None] * line).expand(classes, 1, 5, 5)
    target = one_hot.clone()
    target[..., 2:-2, 2:-2] = F.conv2d(one_hot, kernel, groups=classes)
    target = target / target.sum(1, keepdim=True).clamp_min(1e-12)
    loss = F.kl_div(logits.float().log_softmax(1), target, reduction='none').sum(1)
    return (loss * valid).sum() / valid.sum().clamp_min(1)


def form_function(form: str) -> Callable[[Tensor, Tensor], Tensor] | str:
    """The form, or why it cannot run."""
    if form == 'hard':
        return lambda logits, labels: F.cross_entropy(logits, labels, ignore_index=255)
    if form == 'dense':
        return dense
    if form == 'mmseg':
        try:
            # Makes mmseg importable beside mmcv-lite.
            importlib.import_module('dldl_mm.seg')
            losses = importlib.import_module('mmseg.models.losses')
        except ImportError as error:
            return f'not available: {error}'
        loss = losses.CrossEntropyLoss(avg_non_ignore=True)
        return lambda logits, labels: loss(logits, labels, ignore_index=255)
    return lambda logits, labels: soft_kl(logits, labels, impl=form)


def elapsed_ms(function: Callable[[], object], cuda: bool) -> float:
    if cuda:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end)
    begin = time.perf_counter()
    function()
    return 1e3 * (time.perf_counter() - begin)


def step(function: Callable[[Tensor, Tensor], Tensor], logits: Tensor, labels: Tensor) -> float:
    """Milliseconds of one forward and backward pass."""
    logits.grad = None
    return elapsed_ms(lambda: function(logits, labels).backward(), logits.is_cuda)


def resident_bytes(field: str) -> int:
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def peak_extra_here(form: str, logits: Tensor, labels: Tensor) -> float:
    """Peak memory above the inputs, in multiples of the logits."""
    function = form_function(form)
    assert callable(function)
    small = logits[:1, :, :128, :128].detach().clone().requires_grad_()
    step(function, small, labels[:1, :128, :128].contiguous())
    size = logits.numel() * logits.element_size()
    if logits.is_cuda:
        logits.grad = None
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(function, logits, labels)
        return (torch.cuda.max_memory_allocated() - before) / size
    Path('/proc/self/clear_refs').write_text('5')
    before = resident_bytes('VmRSS')
    step(function, logits, labels)
    return (resident_bytes('VmHWM') - before) / size


def fresh_process(*task: str) -> str:
    """The last line of this program's output for ``--task``, in a process with a fresh heap."""
    command = [sys.executable, __file__, *sys.argv[1:], '--task', *task]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()[-1]


def form_functions(cuda: bool) -> dict[str, Callable[[Tensor, Tensor], Tensor] | str]:
    functions = {form: form_function(form) for form in FORMS if form != 'triton'}
    functions['triton'] = form_function('triton') if cuda else 'needs CUDA'
    return functions


def times_here(logits: Tensor, labels: Tensor, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of the forms that can run, in turns."""
    functions = form_functions(logits.is_cuda)
    times: dict[str, list[float]] = {}
    for turn in range(repeats + 1):
        for form, function in functions.items():
            if callable(function):
                # As in training, a form finds the memory as it left it itself, not as another did.
                step(function, logits, labels)
                elapsed = step(function, logits, labels)
                # The first turn compiles kernels.
                if turn:
                    times.setdefault(form, []).append(elapsed)
    return times


def copy_bandwidth(device: torch.device) -> float:
    """Bytes read and written per second by a large copy."""
    source = torch.empty(1 << 28, device=device)
    target = torch.empty_like(source)
    times = []
    for _ in range(20):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        target.copy_(source)
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return 2 * source.numel() * source.element_size() / (1e-3 * statistics.median(times))


def environment(device: torch.device) -> dict[str, object]:
    cuda = device.type == 'cuda'
    name = torch.cuda.get_device_name(device) if cuda else platform.machine()
    if not cuda and Path('/proc/cpuinfo').exists():
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        name = next((line.split(': ')[1] for line in lines if line.startswith('model name')), name)
    allocator = os.environ.get('LD_PRELOAD') or platform.libc_ver()[0] + ' malloc'
    triton, mmseg = map(importlib.util.find_spec, ('triton', 'mmseg'))
    return {
        'date': datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        'device': name,
        'torch': torch.__version__,
        'triton': importlib.import_module('triton').__version__ if triton else '',
        'mmsegmentation': importlib.metadata.version('mmsegmentation') if mmseg else '',
        'allocator': 'torch ' + torch.cuda.get_allocator_backend() if cuda else allocator,
        'threads': torch.get_num_threads(),
        'load_before': round(os.getloadavg()[0], 2),
    }


def measure(case: str, dtype: str, arguments: argparse.Namespace) -> list[dict[str, object]]:
    device = torch.device(arguments.device)
    cuda = device.type == 'cuda'
    shape, labels = load_case(case, arguments)
    common = {**environment(device), 'case': case, 'shape': 'x'.join(map(str, shape))}
    common['dtype'] = dtype
    if cuda:
        logits = torch.randn(shape, device=device).to(DTYPES[dtype]).requires_grad_()
        labels = labels.to(device)
        times = times_here(logits, labels, arguments.repeats)
        logits.grad = None
    else:
        times = {}
        for _ in range(arguments.processes):
            for form, found in json.loads(fresh_process('time', case, dtype)).items():
                times.setdefault(form, []).extend(found)
    medians = {form: statistics.median(found) for form, found in times.items()}
    bandwidth = copy_bandwidth(device) if cuda else None
    rows = []
    for form, function in form_functions(cuda).items():
        row: dict[str, object] = {**common, 'form': form}
        if isinstance(function, str):
            rows.append({**row, 'note': function})
            continue
        row['median_ms'] = f'{medians[form]:.3f}'
        row['min_ms'] = f'{min(times[form]):.3f}'
        for other in ('hard', 'dense', 'mmseg'):
            if other in medians:
                row[f'to_{other}'] = f'{medians[form] / medians[other]:.3f}'
        peak = peak_extra_here(form, logits, labels) if cuda else fresh_process(form, case, dtype)
        row['peak_extra'] = f'{float(peak):.3f}'
        if bandwidth is not None:
            # Two kernels: the logits are read twice, the gradient written, the labels read twice.
            moved = 3 * logits.numel() * logits.element_size()
            moved += 2 * labels.numel() * labels.element_size()
            row['copy_gb_s'] = f'{bandwidth / 1e9:.0f}'
            row['floor_fraction'] = f'{1e3 * moved / bandwidth / medians[form]:.3f}'
        rows.append(row)
    return rows


def measure_model(name: str, dtype: str, arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Whole training steps of one model, with one loss and the other in turns."""
    importlib.import_module('dldl_mm.seg')
    from mmengine.hub import get_config
    from mmengine.model import revert_sync_batchnorm
    from mmengine.registry import DefaultScope
    from mmengine.structures import PixelData
    from mmseg.registry import MODELS as REGISTRY
    from mmseg.structures import SegDataSample

    from dldl_mm.losses import NeighbourhoodKLLoss

    device = torch.device(arguments.device)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = REGISTRY.build(get_config(f'mmseg::{MODELS[name]}').model)
    model = revert_sync_batchnorm(model).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    size = (arguments.crop, arguments.crop)
    shape = (arguments.batch, model.num_classes, *size)
    images = torch.randn(arguments.batch, 3, *size, device=device)
    samples = [
        SegDataSample(
            gt_sem_seg=PixelData(data=label[None].to(device)), metainfo=dict(img_shape=size)
        )
        for label in synthetic_labels(shape)
    ]
    heads = [head for head in (model.decode_head, getattr(model, 'auxiliary_head', None)) if head]
    losses = {
        'mmseg': [head.loss_decode for head in heads],
        'auto': [NeighbourhoodKLLoss(loss_weight=head.loss_decode.loss_weight) for head in heads],
    }

    def train(form: str) -> None:
        for head, loss in zip(heads, losses[form], strict=True):
            head.loss_decode = loss
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == 'bfloat16'):
            total, _ = model.parse_losses(model.loss(images, samples))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()

    times: dict[str, list[float]] = {form: [] for form in losses}
    for turn in range(arguments.repeats + 1):
        for form in losses:
            elapsed = elapsed_ms(functools.partial(train, form), device.type == 'cuda')
            if turn:
                times[form].append(elapsed)
    medians = {form: statistics.median(found) for form, found in times.items()}
    return [
        {
            **environment(device),
            'case': f'step {name}',
            'shape': 'x'.join(map(str, images.shape)),
            'dtype': dtype,
            'form': form,
            'median_ms': f'{medians[form]:.3f}',
            'min_ms': f'{min(times[form]):.3f}',
            'to_mmseg': f'{medians[form] / medians["mmseg"]:.3f}',
        }
        for form in losses
    ]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--threads', type=int, default=2, help='of the CPU')
    parser.add_argument('--repeats', type=int, default=5, help='rounds, on a CPU in each process')
    parser.add_argument('--processes', type=int, default=5, help='on a CPU')
    parser.add_argument('--shapes', nargs='*', choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument('--models', nargs='*', choices=list(MODELS), default=[])
    parser.add_argument('--crop', type=int, default=512, help='side of the images of --models')
    parser.add_argument('--batch', type=int, default=4, help='images per step of --models')
    parser.add_argument('--dtypes', nargs='+', choices=list(DTYPES))
    parser.add_argument('--camvid', type=Path, help='folder with ann_dir/train/*.png')
    parser.add_argument('--voc', type=Path, help='folder with SegmentationClass/*.png')
    parser.add_argument('--out', type=Path, help='CSV file; default benchmarks/results/...')
    # 'time' or the form whose peak memory is wanted, case and type.
    parser.add_argument('--task', nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    if arguments.task:
        task, case, dtype = arguments.task
        shape, labels = load_case(case, arguments)
        logits = torch.randn(shape).to(DTYPES[dtype]).requires_grad_()
        if task == 'time':
            print(json.dumps(times_here(logits, labels, arguments.repeats)))
        else:
            print(peak_extra_here(task, logits, labels))
        return
    cuda = torch.device(arguments.device).type == 'cuda'
    dtypes = arguments.dtypes or (['float32', 'bfloat16'] if cuda else ['float32'])
    real = [name for name in ('camvid', 'voc') if getattr(arguments, name)]
    out = arguments.out
    if out is None:
        out = Path(__file__).parent / 'results' / f'soft_kl_{"cuda" if cuda else "cpu"}.csv'
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, FIELDS, restval='', lineterminator='\n')
        writer.writeheader()
        for case in [*arguments.shapes, *real, *arguments.models]:
            for dtype in dtypes:
                function = measure_model if case in MODELS else measure
                for row in function(case, dtype, arguments):
                    writer.writerow(row)
                    keys = (
                        'case',
                        'dtype',
                        'form',
                        'median_ms',
                        'to_hard',
                        'to_mmseg',
                        'peak_extra',
                        'note',
                    )
                    print(*(row.get(key, '-') for key in keys), sep='\t', flush=True)
                file.flush()
    print(f'wrote {out}')


if __name__ == '__main__':
    main()
