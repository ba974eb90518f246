import math

import numpy as np
import pytest
import torch

from dldl_mm.codecs import GaussianLabelCodec
from dldl_mm.metrics import AgeMetric, DumpPredictions, LabelDistributionMetric
from dldl_mm.registry import METRICS

CODEC = GaussianLabelCodec(sigma=3.0)


def records(n=23, sigma=True):
    rng = np.random.default_rng(0)
    value = rng.uniform(1, 85, n)
    pred = np.clip(value + rng.normal(0, 6, n), 1, 85)
    batch = []
    for i in range(n):
        sample = dict(
            sample_idx=i,
            gt_value=float(value[i]),
            pred_value=torch.tensor(pred[i]),
            pred_score=CODEC.encode(pred[i]),
            gt_score=CODEC.encode(value[i]),
        )
        if sigma:
            sample['gt_sigma'] = 3.0 + i % 4
        batch.append(sample)
    return batch, value, pred


def evaluate(metric, samples, size=None):
    metric.process(None, samples)
    return metric.evaluate(size or len(samples))


def test_against_numpy():
    samples, value, pred = records()
    got = evaluate(METRICS.build(dict(type='AgeMetric', codec=CODEC, decode=['median'])), samples)
    error = pred - value
    sigma = 3.0 + np.arange(23) % 4
    decades = {d: np.abs(error)[value // 10 == d].mean() for d in set(value // 10)}
    expected = {
        'age/mae': np.abs(error).mean(),
        'age/bias': error.mean(),
        'age/cs@3': 100 * (np.abs(error) <= 3).mean(),
        'age/cs@5': 100 * (np.abs(error) <= 5).mean(),
        'age/cs@10': 100 * (np.abs(error) <= 10).mean(),
        'age/epsilon_error': (1 - np.exp(-(error**2) / 2 / sigma**2)).mean(),
        'age/mae_decades': np.mean(list(decades.values())),
        **{f'age/mae_{int(d) * 10}s': mae for d, mae in decades.items()},
        'age/mae_median': np.abs(np.rint(pred) - value).mean(),
    }
    for name, value_ in expected.items():
        assert got[name] == pytest.approx(value_, abs=1e-9 if 'median' not in name else 0.3), name
    assert got['age/nll'] > 0
    assert 0 <= got['age/calibration_error'] <= 1


def test_needs_neither_runner_nor_sigma():
    metrics = AgeMetric.calculate(torch.tensor([20.0, 33.0]), torch.tensor([22.0, 30.0]))
    assert metrics['mae'] == 2.5
    assert metrics['bias'] == 0.5
    assert 'epsilon_error' not in metrics
    with_sigma = AgeMetric.calculate([20.0, 33.0], [22.0, 30.0], sigma=[4.0, 3.0])
    expected = 1 - (math.exp(-4 / 32) + math.exp(-9 / 18)) / 2
    assert with_sigma['epsilon_error'] == pytest.approx(expected)


def test_a_repeated_sample_counts_once():
    samples, _, _ = records()
    once = evaluate(AgeMetric(), samples)
    # A sampler fills up the last shard with the first samples.
    padded = evaluate(AgeMetric(), samples + samples[:5], size=23)
    assert padded == once


@pytest.mark.parametrize('sizes', [(23, 0), (12, 11), (20, 3), (16, 12)])
def test_uneven_shards(sizes, monkeypatch):
    samples, _, _ = records()
    expected = evaluate(AgeMetric(codec=CODEC), samples)
    first = samples[: sizes[0]]
    second = samples[23 - sizes[1] :]  # overlaps where the shards are padded
    metric = AgeMetric(codec=CODEC)
    other = AgeMetric(codec=CODEC)
    other.process(None, second)
    metric.process(None, first)
    monkeypatch.setattr(
        'dldl_mm.metrics.base.all_gather_object', lambda mine: [mine, other.results]
    )
    assert metric.evaluate(23) == pytest.approx(expected)


def test_two_real_processes(tmp_path):
    samples, _, _ = records()
    expected = evaluate(AgeMetric(), samples)
    torch.save(
        [{k: v for k, v in s.items() if 'score' not in k} for s in samples], tmp_path / 'all'
    )
    torch.multiprocessing.spawn(_worker, (str(tmp_path),), nprocs=2)
    for rank in range(2):
        assert torch.load(tmp_path / f'{rank}') == pytest.approx(expected)


def _worker(rank, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    samples = torch.load(f'{folder}/all')
    metric = AgeMetric()
    metric.process(None, samples[:17] if rank == 0 else samples[17:])
    torch.save(metric.evaluate(23), f'{folder}/{rank}')
    torch.distributed.destroy_process_group()


def test_errors():
    with pytest.raises(ValueError, match="no 'pred_value'"):
        AgeMetric().process(None, [dict(gt_value=3.0)])
    with pytest.raises(ValueError, match='there is no prediction'):
        AgeMetric().evaluate(0)
    with pytest.raises(ValueError, match='needs a codec'):
        AgeMetric(decode=['median']).process(None, [dict(gt_value=3.0, pred_value=3.0)])
    with pytest.raises(ValueError, match='at least 0 years'):
        AgeMetric(cs=[-1])
    with pytest.raises(ValueError, match=r'\(2,\) and \(3,\)'):
        AgeMetric.calculate(torch.zeros(2), torch.zeros(3))


def test_label_distribution_metric():
    samples, _, _ = records()
    same = [dict(s, pred_score=s['gt_score']) for s in samples]
    perfect = evaluate(LabelDistributionMetric(), same)
    assert perfect['dist/kl'] == pytest.approx(0, abs=1e-6)
    assert perfect['dist/intersection'] == pytest.approx(1, abs=1e-6)
    assert evaluate(LabelDistributionMetric(), samples)['dist/kl'] > 0.1


def test_dump_writes_json_lines(tmp_path):
    import json

    samples, value, pred = records(5)
    out = tmp_path / 'sub' / 'predictions.jsonl'
    metric = METRICS.build(dict(type='DumpPredictions', out_file=str(out)))
    assert evaluate(metric, samples + samples[:2], size=5) == {}
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row['sample_idx'] for row in rows] == list(range(5))
    np.testing.assert_allclose([row['gt_value'] for row in rows], value)
    np.testing.assert_allclose([row['pred_value'] for row in rows], pred)
    assert len(rows[0]['pred_score']) == 85
    assert [p.name for p in out.parent.iterdir()] == ['predictions.jsonl']
    with pytest.raises(ValueError, match=r'must end in \.jsonl'):
        DumpPredictions('predictions.pkl')
