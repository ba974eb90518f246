"""Records to tables and a page: against NumPy, SciPy and a real browser."""

import csv
import gzip
import hashlib
import io
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from sklearn.metrics import jaccard_score

from dldl_mm.benchmark import make_tables, read_results, to_csv, to_html, to_markdown
from dldl_mm.benchmark.chart import Chart, Runs, draw, picture
from dldl_mm.benchmark.compare import bootstrap_weights, paired_differences
from dldl_mm.benchmark.samples import mean_average_precision, mean_iou
from dldl_mm.metrics import VOCMeanAveragePrecision

SAMPLES = 60
TRUTH = np.random.default_rng(0).uniform(1, 80, SAMPLES).round(2)
NOISE = {'ce': 6.0, 'l1': 4.0, '<dldl>': 2.0}


def prediction(method, seed):
    rng = np.random.default_rng([seed, len(method)])
    return (TRUTH + rng.normal(0, NOISE[method], SAMPLES)).round(3)


def make_record(folder, method='ce', seed=0, **changes):
    """Write the samples of a record and return it."""
    pred = prediction(method, seed)
    lines = ['id,group,error,decade,pit']
    for i, (value, error) in enumerate(zip(TRUTH, pred - TRUTH, strict=True)):
        lines.append(f'{i},,{error:.6g},{10 * (value // 10):g},{(i % 20) / 20 + 0.025:.4f}')
    content = gzip.compress('\n'.join(lines).encode())
    name = f'samples/{hashlib.sha256(method.encode()).hexdigest()[:6]}-{seed}.csv.gz'
    (folder / 'samples').mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    weights = [] if method != 'l1' else ['a' * 64]
    record = dict(
        format=1,
        suite='Ages',
        method=method,
        size=None,
        fold=None,
        seed=seed,
        hash=f'{method}{seed}',
        config=dict(
            file='config.py', resolved=dict(load_from='weights.pth') if weights else dict()
        ),
        data=dict(
            train=dict(samples=100, hash='t'),
            test=dict(samples=SAMPLES, hash='e'),
            shared_subjects=0,
        ),
        pretraining=[dict(where='load_from', source='weights.pth', sha256=w) for w in weights],
        checkpoint=dict(file='epoch_1.pth', selected_by='nothing: the last'),
        decoding='expectation',
        metrics={'age/mae': float(np.abs(pred - TRUTH).mean()), 'age/cs@5': 50.0 + seed},
        samples=dict(file=name, sha256=hashlib.sha256(content).hexdigest()),
        versions={},
        code='c0de',
        commit=None,
        device='CPU',
        seconds=1.0,
        rules={'age/mae': 'less', 'age/cs@5': 'greater'},
        baseline='ce',
    )
    record.update(changes)
    return record


def write(folder, records):
    path = folder / 'records.jsonl'
    path.write_text(''.join(json.dumps(record) + '\n' for record in records))
    return path


@pytest.fixture
def records(tmp_path):
    return [make_record(tmp_path, method, seed) for method in NOISE for seed in range(3)]


def test_the_table_has_means_deviations_and_an_order(tmp_path, records):
    (table,) = make_tables(read_results([write(tmp_path, records)]))
    assert [row.method for row in table.rows] == ['<dldl>', 'l1', 'ce']
    for row in table.rows:
        maes = [np.abs(prediction(row.method, seed) - TRUTH).mean() for seed in range(3)]
        assert row.metrics['age/mae'][:2] == pytest.approx((np.mean(maes), np.std(maes, ddof=1)))
    assert table.baseline == 'ce'
    errors = {
        method: np.mean([np.abs(prediction(method, s) - TRUTH) for s in range(3)], axis=0)
        for method in NOISE
    }
    gap, low, high = table.rows[0].differences['ce']
    difference = errors['<dldl>'] - errors['ce']
    expected = stats.bootstrap((difference,), np.mean, method='percentile', rng=1)
    assert gap == pytest.approx(difference.mean())
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval), abs=0.05)
    markdown = to_markdown([table])
    assert f'{gap:+.2f} [{low:+.2f}, {high:+.2f}]'.replace('-', '−') in markdown
    rows = list(csv.DictReader(io.StringIO(to_csv([table]))))
    assert len(rows) == 6
    assert float(rows[0]['low']) == pytest.approx(low)
    assert rows[1]['difference'] == ''

    runs, *lines = table.charts
    assert list(runs.values) == ['<dldl>', 'l1', 'ce']
    assert runs.values['ce'] == [np.abs(prediction('ce', s) - TRUTH).mean() for s in range(3)]
    curves = {chart.title: chart.series for chart in lines}
    pooled = np.concatenate([np.abs(prediction('ce', s) - TRUTH) for s in range(3)])
    assert dict(curves['Cumulative score']['ce'])[5.0] == pytest.approx(100 * np.mean(pooled <= 5))
    truth = np.tile(TRUTH, 3)
    twenties = pooled[(truth >= 20) & (truth < 30)].mean()
    assert dict(curves['MAE by decade of age']['ce'])[20.0] == pytest.approx(twenties)
    # The PIT values are 0.025, 0.075, ..., 0.975, as many each: calibrated.
    for level, observed in curves['Reliability']['ce']:
        assert observed == pytest.approx(level)


def test_images_of_one_person_are_drawn_together():
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(20), 10)
    errors = (rng.normal(5, 1, 20)[person] + rng.normal(0, 0.1, 200))[:, None]
    errors = errors[:, 0]

    def deviation(groups):
        drawn = [w @ errors / w.sum(1) for w in bootstrap_weights(groups)]
        assert sum(map(len, drawn)) == 5000
        return np.concatenate(drawn).std()

    single = deviation(range(200))
    grouped = deviation(person)
    # Standard errors of means of 200 independent and of 20 independent values.
    assert single == pytest.approx(errors.std() / np.sqrt(200), rel=0.05)
    assert grouped == pytest.approx(errors.reshape(20, 10).mean(1).std() / np.sqrt(20), rel=0.05)


def test_weights_of_samples_stand_for_copies_of_them():
    rng = np.random.default_rng(2)
    weights = rng.integers(0, 4, (3, 40))
    scores = rng.integers(0, 9, (40, 4)) / 9  # with ties
    labels = rng.integers(-1, 2, (40, 4))
    labels[:, 3] = 0  # a class that no image shows
    for weight, found in zip(weights, mean_average_precision(scores, labels, weights), strict=True):
        copies = np.repeat(np.arange(40), weight)
        score, label = torch.tensor(scores[copies]), torch.tensor(labels[copies])
        expected = VOCMeanAveragePrecision.calculate(score, label == 1, label == -1)
        assert found == pytest.approx(expected['mAP_all'])

    truth, pred = rng.integers(0, 3, (2, 40, 50))
    areas = [
        [[op(truth[i] == c, pred[i] == c).sum() for c in range(3)] for i in range(40)]
        for op in (np.logical_and, np.logical_or)
    ]
    for weight, found in zip(weights, mean_iou(*map(np.array, areas), weights), strict=True):
        copies = np.repeat(np.arange(40), weight)
        expected = jaccard_score(truth[copies].ravel(), pred[copies].ravel(), average='macro')
        assert found == pytest.approx(100 * expected)


def test_differences_are_paired_and_antisymmetric():
    rng = np.random.default_rng(1)
    hard = rng.exponential(5, 300)
    errors = np.stack([hard, hard + rng.normal(0.3, 0.5, 300)], axis=1)
    means = [lambda w, e=e: w @ e / w.sum(1) for e in errors.T]
    differences = paired_differences(means, range(300))
    np.testing.assert_allclose(differences[0, 1, [0, 1, 2]], -differences[1, 0, [0, 2, 1]])
    assert (differences[1, 0] > 0).all()  # the spread of the samples cancels
    assert not differences[0, 0].any()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(format=9), r'records.jsonl:2: expected a record with "format": 1'),
        (dict(seed='0'), "seed: expected int or null, got '0'"),
        (dict(metrics={'age/mae': 1.0, 'age/cs@5': 1.0}), 'age/mae is 1, but its samples give'),
        (dict(metrics={'age/mae': 1.0}), 'metrics.age/cs@5: expected a number, got None'),
        (dict(samples=dict(file='../a.csv', sha256='')), 'must lie beside the records'),
        (
            dict(
                data=dict(train=dict(samples=1, hash='e'), test=dict(samples=SAMPLES, hash='e')),
            ),
            'train and test are the same samples',
        ),
        (
            dict(
                config=dict(
                    file='', resolved=dict(default_hooks=dict(checkpoint=dict(save_best='x')))
                )
            ),
            "selected_by is 'nothing: the last', but its config says \"save_best='x'\"",
        ),
        (
            dict(config=dict(file='', resolved=dict(load_from='a.pth'))),
            "but its config loads ['load_from']",
        ),
        (
            dict(data=dict(train=dict(samples=1, hash='t'), test=dict(samples=SAMPLES, hash='f'))),
            'the test data differ',
        ),
        (dict(hash='other', seed=0), 'hash or metrics of one run differ'),
        (dict(decoding='median'), 'pre-training, decoding or selection of one method differ'),
    ],
)
def test_records_that_do_not_hold_together(change, message, tmp_path, run_tool):
    first = make_record(tmp_path)
    seed = 1 if 'hash' not in change else 0
    path = write(tmp_path, [first, make_record(tmp_path, seed=seed) | change])
    done = run_tool('leaderboard', path, '--check')
    assert done.code == 2
    assert message.replace('\\', '') in done.err


def test_a_copy_counts_once_and_changed_samples_are_refused(tmp_path, run_tool):
    record = make_record(tmp_path)
    path = write(tmp_path, [record, record])
    done = run_tool('leaderboard', path, path, '--check')
    assert done.out == 'Ages: 1 records of 1 rows are in order\n'
    samples = tmp_path / record['samples']['file']
    samples.write_bytes(gzip.compress(gzip.decompress(samples.read_bytes()) + b'\n'))
    assert 'not the file that the record was written with' in run_tool('leaderboard', path).err
    # Whoever has the records alone still sees the table, but they are not checked.
    samples.unlink()
    assert 'no file of samples' in run_tool('leaderboard', path, '--check').err
    assert run_tool('leaderboard', path, '--out', tmp_path).code == 0
    assert 'The samples are not at hand' in (tmp_path / 'leaderboard.md').read_text()


def test_a_published_folder_is_checked_and_grows(tmp_path, records, run_tool):
    path, folder = write(tmp_path, records[:6]), tmp_path / 'published'
    done = run_tool('leaderboard', path, '--publish', folder)
    assert (done.code, done.err) == (0, '')
    readme = (folder / 'README.md').read_text()
    assert '# Ages' in readme
    assert Image.open(folder / 'charts.png').size[0] > 1000  # two columns
    assert '| l1 | weights.pth (aaaaaaaa) | 3 |' in readme
    # A submission joins what is published.
    own = write(tmp_path, records[6:])
    done = run_tool('leaderboard', folder / 'records.jsonl', own, '--publish', folder)
    assert done.out.startswith('Ages: 9 records of 3 rows are in order')
    whole = run_tool('leaderboard', write(tmp_path, records), '--out', tmp_path)
    assert whole.code == 0
    for name in ('leaderboard.csv', 'leaderboard.html'):
        assert (folder / name).read_text() == (tmp_path / name).read_text()
    # Rows that are withdrawn take their samples with them.
    lines = (folder / 'records.jsonl').read_text().splitlines()
    kept = [line for line in lines if json.loads(line)['method'] != 'l1']
    (folder / 'records.jsonl').write_text('\n'.join(kept))
    assert run_tool('leaderboard', folder / 'records.jsonl', '--publish', folder).code == 0
    assert len(list((folder / 'samples').iterdir())) == 6
    assert run_tool('leaderboard', folder / 'records.jsonl', '--check').code == 0
    (folder / 'samples').rename(folder / 'elsewhere')
    done = run_tool('leaderboard', folder / 'records.jsonl', '--publish', folder)
    assert (done.code, 'there is no file of samples' in done.err) == (2, True)


def test_bold_are_the_best_and_those_not_clearly_behind(tmp_path, records):
    def leaders(found):
        (table,) = make_tables(read_results([write(tmp_path, found)]))
        return [row.method for row in table.rows if row.leads]

    assert leaders(records) == ['<dldl>']
    copies = [make_record(tmp_path, '<dldl>', seed) | dict(method='twin') for seed in range(3)]
    assert leaders(records + copies) == ['<dldl>', 'twin']
    # One run each still has an interval; without samples nothing tells rows apart.
    assert leaders(records[::3]) == ['<dldl>']
    for record in records:
        (tmp_path / record['samples']['file']).unlink()
    assert leaders(records) == ['<dldl>']
    assert leaders(records[::3]) == []


def test_unknown_baseline(tmp_path, records, run_tool):
    done = run_tool('leaderboard', write(tmp_path, records), '--baseline', 'svm')
    assert (done.code, "there is no 'svm'; there are ce, l1" in done.err) == (2, True)


def test_sizes_give_a_curve(tmp_path):
    found = []
    for size in (250, 1000):
        for seed in (0, 1):
            data = dict(
                train=dict(samples=size, hash=f't{size}'), test=dict(samples=SAMPLES, hash='e')
            )
            found.append(make_record(tmp_path, seed=seed, size=size, data=data))
    (table,) = make_tables(read_results([write(tmp_path, found)]))
    (chart,) = [chart for chart in table.charts if 'size' in chart.title]
    assert [x for x, _ in chart.series['ce']] == [250, 1000]
    assert chart.bars['ce'][0] == pytest.approx(table.rows[0].metrics['age/mae'][1])
    assert 'training samples' in to_markdown([table])


def test_a_chart_is_in_its_frame():
    plot = draw(Chart('', '', '', series={'a': [(0.0, 3.1), (20.0, 97.0)]}))
    assert [text for _, text in plot['y_ticks']] == ['0', '20', '40', '60', '80', '100']
    (line,) = plot['lines']
    assert line['dots'][0][0] == plot['left']
    assert line['dots'][1][0] == plot['right']
    # 97 of 100: 3% below the top.
    height = plot['bottom'] - plot['top']
    assert line['dots'][1][1] == pytest.approx(plot['top'] + 0.03 * height, abs=0.1)


def test_every_run_is_a_dot_beside_its_mean_and_deviation():
    values = {'a': [1.0, 2.0, 6.0], 'long name': [4.0]}
    plot = draw(Runs('', 'MAE', values))
    assert [text for _, text in plot['x_ticks']] == ['0', '1', '2', '3', '4', '5', '6']
    (first, _), *_, (last, _) = plot['x_ticks']

    def across(value):
        return pytest.approx(first + (last - first) * value / 6, abs=0.1)

    line, single = plot['lines']
    assert [x for x, *_ in line['dots']] == [across(v) for v in values['a']]
    assert line['bars'][0][0] == across(3)
    ends = [float(point.split(',')[0]) for point in line['path'][1:].split('L')]
    assert ends == [
        across(3 - np.std(values['a'], ddof=1)),
        across(3 + np.std(values['a'], ddof=1)),
    ]
    assert single['bars'][0][0] == across(4)
    assert '±' not in single['dots'][0][2]
    image = Image.open(io.BytesIO(picture([Runs('', 'MAE', values)], ['a', 'long name'], [])))
    colors = {color for _, color in image.convert('RGB').getcolors(1 << 20)}
    assert {(0x0B, 0x62, 0xC4), (0xC2, 0x41, 0x0C)} < colors


@pytest.fixture
def page(tmp_path, records):
    playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    chromium = shutil.which('chromium') or shutil.which('google-chrome')
    if chromium is None:
        pytest.skip('there is no Chromium')
    path = tmp_path / 'leaderboard.html'
    tables = make_tables(read_results([write(tmp_path, records)]))
    path.write_text(to_html(tables, 'Ages & <others>'), encoding='utf-8')
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=chromium, args=['--no-sandbox'])
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.problems = []
        page.on('console', lambda message: page.problems.append(message.text))
        page.on('pageerror', lambda error: page.problems.append(str(error)))
        page.on('request', lambda request: page.problems.append(request.url))
        page.goto(path.as_uri())
        page.problems.remove(path.as_uri())
        yield page
        assert page.problems == []
        browser.close()


def methods(page):
    return page.locator('tbody tr[data-method]:visible').evaluate_all(
        'rows => rows.map(row => row.dataset.method)'
    )


def test_the_page_sorts_filters_and_compares(page):
    assert methods(page) == ['<dldl>', 'l1', 'ce']
    header = page.locator('th', has_text='age/mae').first
    assert 'lower is better' in header.inner_text()
    header.locator('button').click()
    assert methods(page) == ['ce', 'l1', '<dldl>']
    assert header.get_attribute('aria-sort') == 'descending'
    page.locator('th', has_text='method').first.locator('button').focus()
    page.keyboard.press('Enter')
    assert methods(page) == ['<dldl>', 'ce', 'l1']

    page.select_option('#pretraining', 'none')
    assert methods(page) == ['<dldl>', 'ce']
    assert page.locator('g.series[data-method=l1]:visible').count() == 0
    page.select_option('#pretraining', '')
    assert page.locator('g.series[data-method=l1]:visible').count() == 4

    cell = page.locator('tr[data-method=ce] .gap')
    assert cell.inner_text() == 'baseline'
    page.select_option('.baseline', '<dldl>')
    assert cell.inner_text().startswith('+')
    page.locator('tr[data-method=ce] input').uncheck()
    assert 'faint' in page.locator('g.series[data-method=ce]').first.get_attribute('class')
    colors = {}
    for scheme in ('light', 'dark'):
        page.emulate_media(color_scheme=scheme)
        colors[scheme] = page.evaluate('getComputedStyle(document.body).backgroundColor')
    assert colors == dict(light='rgb(255, 255, 255)', dark='rgb(20, 23, 27)')
