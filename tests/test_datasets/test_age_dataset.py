import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dldl_mm.datasets import AgeDataset
from dldl_mm.datasets._images import image_problem
from dldl_mm.datasets._tables import read_table
from dldl_mm.registry import DATASETS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make(tmp_path, write_images):
    """Write a CSV file and the images a.jpg to d.jpg, and build the data set on them."""
    write_images('a.jpg', 'b.jpg', 'c.jpg', 'd.jpg')

    def build(text, **kwargs):
        (tmp_path / 'train.csv').write_text(text, encoding='utf-8')
        kwargs = {'data_root': str(tmp_path), 'data_prefix': 'images', **kwargs}
        return AgeDataset('train.csv', **kwargs)

    return build


def test_every_column(make, tmp_path):
    dataset = make(
        'file,mean,std,votes,subject,gender\n'
        'a.jpg,24.7,3.5,24 25 25.5,ann,f\n'
        '\n'
        'b.jpg,31,1e-1,30;32,bob,m\n'
    )
    assert len(dataset) == 2
    assert dataset.get_data_info(0) == {
        'img_path': os.path.join(tmp_path, 'images', 'a.jpg'),
        'gt_value': 24.7,
        'gt_sigma': 3.5,
        'gt_votes': [24.0, 25.0, 25.5],
        'subject': 'ann',
        'metadata': {'gender': 'f'},
        'source': 'train.csv:2',
        'sample_idx': 0,
    }
    second = dataset.get_data_info(1)
    assert (second['gt_sigma'], second['gt_votes'], second['source']) == (
        0.1,
        [30.0, 32.0],
        'train.csv:4',
    )


def test_builds_by_name_and_pickles(make, tmp_path):
    make('file,age\na.jpg,1\n')
    config = {
        'type': 'AgeDataset',
        'ann_file': 'train.csv',
        'data_root': str(tmp_path),
        'data_prefix': {'img_path': 'images'},
    }
    dataset = DATASETS.build(config)
    assert pickle.loads(pickle.dumps(dataset)).get_data_info(0)['gt_value'] == 1.0


def test_byte_order_mark_and_optional_columns_that_are_empty_throughout(make, tmp_path):
    dataset = make('\ufefffile,age,sigma,votes\na.jpg,1,,\nb.jpg,2,,\n')
    assert set(dataset.get_data_info(0)) == {'img_path', 'gt_value', 'source', 'sample_idx'}


def test_column_names(make):
    text = 'path,age,mean,std\na.jpg,30,24.5,2\n'
    dataset = make(text, columns={'file': 'path', 'age': 'mean', 'sigma': None})
    item = dataset.get_data_info(0)
    assert item['gt_value'] == 24.5
    assert 'gt_sigma' not in item
    assert item['metadata'] == {'age': '30', 'std': '2'}


@pytest.mark.parametrize(
    ('where', 'files'),
    [
        ({'fold': 1}, 'a'),
        ({'fold': [1, '3']}, 'acd'),
        ({'subject': 'bob'}, 'bc'),
        ({'fold': (2, 3), 'subject': 'bob'}, 'bc'),
    ],
)
def test_where(make, where, files):
    text = 'file,age,subject,fold\na.jpg,1,ann,1\nb.jpg,2,bob,2\nc.jpg,3,bob,3\nd.jpg,4,cem,3\n'
    dataset = make(text, where=where)
    found = [os.path.basename(dataset.get_data_info(k)['img_path'])[0] for k in range(len(dataset))]
    assert ''.join(found) == files


def test_subsets_are_nested_random_and_free_of_the_order_of_the_rows(make, write_images):
    names = [f'{k}.jpg' for k in range(40)]
    write_images(*names)

    def draw(size, seed=0, rows=names):
        dataset = make(
            'file,age\n' + ''.join(f'{n},1\n' for n in rows), subset=dict(size=size, seed=seed)
        )
        return [os.path.basename(dataset.get_data_info(k)['img_path']) for k in range(len(dataset))]

    small, large = draw(5), draw(20)
    assert (len(small), len(large)) == (5, 20)
    assert set(small) < set(large)
    assert large == [name for name in names if name in large]
    assert set(draw(20, rows=names[::-1])) == set(large)
    assert set(draw(20, seed=1)) != set(large)
    # The hash that the documentation names, so that a subset can be found again without this code.
    ranked = sorted(names, key=lambda name: hashlib.sha256(f'0/{name}'.encode()).hexdigest())
    assert set(small) == set(ranked[:5])


@pytest.mark.parametrize('subset', [dict(size=3), dict(size=2.5, seed=0), dict(size=0, seed=0)])
def test_unusable_subsets(make, subset):
    with pytest.raises(ValueError, match='subset'):
        make('file,age\na.jpg,1\nb.jpg,2\n', subset=subset)


def test_where_comes_before_image_checks_and_indices(make):
    text = 'file,age,split\ngone.jpg,1,test\na.jpg,2,train\nb.jpg,3,train\n'
    dataset = make(text, where={'split': 'train'}, indices=1)
    assert [dataset.get_data_info(k)['gt_value'] for k in range(len(dataset))] == [2.0]


@pytest.mark.parametrize(
    ('text', 'kwargs', 'message'),
    [
        ('', {}, 'train.csv is empty'),
        ('file,age\n', {}, 'has a header but no rows'),
        ('file,years\na.jpg,1\n', {}, "has no column 'age' or 'mean'; it has: file, years"),
        ('name,age\na.jpg,1\n', {}, "has no column 'file'; it has: name, age"),
        ('file,age,age\na.jpg,1,1\n', {}, "the column 'age' occurs more than once"),
        (
            'file,age,mean\na.jpg,1,2\n',
            {},
            r'columns age and mean; say which .* columns=dict\(age=',
        ),
        ('file,age\na.jpg,1,2\n', {}, 'train.csv:2: 3 cells, but the table has 2 columns'),
        ('file,age\na.jpg,1\nb.jpg,old\n', {}, "train.csv:3: age 'old' is not a number"),
        ('file,age\na.jpg,1_0\n', {}, "train.csv:2: age '1_0' is not a number"),
        ('file,age\na.jpg,\n', {}, 'train.csv:2: age is empty'),
        ('file,age\n,4\n', {}, "train.csv:2: the column 'file' is empty"),
        ('file,age\na.jpg,nan\n', {}, "train.csv:2: age 'nan' is not finite"),
        ('file,age\na.jpg,-inf\n', {}, "train.csv:2: age '-inf' is not finite"),
        ('file,age,sigma\na.jpg,1,0\n', {}, 'train.csv:2: standard deviation 0 is not positive'),
        ('file,age,sigma\na.jpg,1,-2\n', {}, 'train.csv:2: standard deviation -2 is not positive'),
        (
            'file,age,sigma\na.jpg,1,-2\n',
            {'min_sigma': 0.5},
            'train.csv:2: standard deviation -2 is not positive',
        ),
        ('file,age,std\na.jpg,1,nan\n', {}, "train.csv:2: standard deviation 'nan' is not finite"),
        (
            'file,age,std\na.jpg,1,2\nb.jpg,1,\n',
            {},
            'train.csv:3: no standard deviation, but other rows .* annotate all rows or none',
        ),
        ('file,age,votes\na.jpg,1,\nb.jpg,1,2\n', {}, 'train.csv:2: no votes, but other rows'),
        ('file,age,votes\na.jpg,1,2 x\n', {}, "train.csv:2: vote 'x' is not a number"),
        (
            'file,age\nz.jpg,1\n',
            {},
            r'1 of 1 images are unusable: .*z.jpg \(train.csv:2\) does not',
        ),
        ('file,age\na.jpg,1\n', {'where': {'fold': 1}}, "has no column 'fold'; it has: none"),
        (
            'file,age,fold\na.jpg,1,2\n',
            {'where': {'fold': [1, 3]}},
            'no row has fold = 1 or 3; the values are: 2',
        ),
        ('file,age\na.jpg,1\n', {'columns': {'ages': 'age'}}, "columns: unknown key 'ages'"),
        ('file,age\na.jpg,1\n', {'columns': {'age': None}}, "'age' must name a column, got None"),
        ('file,age\na.jpg,1\n', {'columns': {'age': 'x'}}, "has no column 'x'; it has: file, age"),
        ('file,age\na.jpg,1\n', {'on_bad_image': 'ignore'}, "'error' or 'skip', got 'ignore'"),
        ('file,age\na.jpg,1\n', {'min_sigma': 0}, 'min_sigma must be positive, got 0'),
        ('file,age\na.jpg,1\n', {'data_prefix': {'img': 'x'}}, 'data_prefix must be a folder or'),
        ('file,age\n"a.jpg,1\n', {}, 'not a valid table'),
    ],
)
def test_bad_input_is_refused(make, text, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(text, **kwargs)


def test_missing_file_and_folder(make, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'image folder .*nowhere does not exist'):
        make('file,age\na.jpg,1\n', data_prefix='nowhere')
    with pytest.raises(FileNotFoundError, match=r'annotation file .*val.csv does not exist'):
        AgeDataset('val.csv', data_root=str(tmp_path))


def test_text_in_another_encoding(tmp_path):
    (tmp_path / 'train.csv').write_bytes('file,age\nmüller.jpg,1\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'train.csv is not UTF-8 text'):
        read_table(str(tmp_path / 'train.csv'))


def test_small_deviations_are_raised_to_min_sigma(make):
    dataset = make('file,age,std\na.jpg,1,0\nb.jpg,1,0.4\nc.jpg,1,3\n', min_sigma=0.5)
    assert [dataset.get_data_info(k)['gt_sigma'] for k in range(3)] == [0.5, 0.5, 3.0]


def test_unusable_images_are_named_or_skipped(make, tmp_path, log_lines):
    images = tmp_path / 'images'
    (images / 'a.jpg').write_bytes(b'')
    whole = (images / 'b.jpg').read_bytes()
    (images / 'b.jpg').write_bytes(whole[: len(whole) // 2])
    (images / 'c.jpg').unlink()
    text = 'file,age\na.jpg,1\nb.jpg,2\nc.jpg,3\nd.jpg,4\n'
    with pytest.raises(ValueError, match='3 of 4 images are unusable') as error:
        make(text)
    assert 'a.jpg (train.csv:2) is empty (zero bytes)' in str(error.value)
    assert 'b.jpg (train.csv:3) is truncated or not an image' in str(error.value)
    assert 'c.jpg (train.csv:4) does not exist' in str(error.value)
    dataset = make(text, on_bad_image='skip')
    assert 'left out 3 of 4 rows with unusable images' in log_lines[0]
    assert [dataset.get_data_info(k)['gt_value'] for k in range(len(dataset))] == [4.0]
    with pytest.raises(ValueError, match='no samples are left'):
        make('file,age\na.jpg,1\n', on_bad_image='skip')


def test_image_checks(tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8))
    for name in ('a.jpg', 'a.png', 'a.bmp'):
        path = tmp_path / name
        image.save(path)
        whole = path.read_bytes()
        assert image_problem(str(path)) is None
        # Bytes after the end do no harm; a missing end does.
        path.write_bytes(whole + b'a signature')
        assert image_problem(str(path)) is None
        path.write_bytes(whole[:-200])
        assert 'is truncated or not an image' in image_problem(str(path))
    # A format other than the extension says is fine as long as it decodes.
    image.save(tmp_path / 'b.jpg', format='PNG')
    assert image_problem(str(tmp_path / 'b.jpg')) is None
    # The end marker of an embedded thumbnail is not that of the image.
    image.save(tmp_path / 'c.jpg')
    whole = (tmp_path / 'c.jpg').read_bytes()
    (tmp_path / 'c.jpg').write_bytes(whole[:300] + b'\xff\xd9' + whole[300:600])
    assert 'is truncated' in image_problem(str(tmp_path / 'c.jpg'))
    (tmp_path / 'folder.jpg').mkdir()
    assert 'cannot be read' in image_problem(str(tmp_path / 'folder.jpg'))


class Refusing:
    """A transform with a label set of 0 to 85."""

    def check_annotation(self, data_info):
        if data_info['gt_value'] > 85:
            raise ValueError(f'{data_info["gt_value"]:g} is outside the label set')

    def __call__(self, results):
        return results


def test_transforms_are_asked_about_every_row(make):
    assert len(make('file,age\na.jpg,1\nb.jpg,85\n', pipeline=[Refusing()])) == 2
    message = r'^train.csv:3: 90 is outside the label set \(1 more rows are refused\)$'
    with pytest.raises(ValueError, match=message):
        make('file,age\na.jpg,1\nb.jpg,90\nc.jpg,99\n', pipeline=[Refusing()])


def test_errors_come_at_first_use_with_lazy_init(make):
    dataset = make('file,age\na.jpg,old\n', lazy_init=True)
    with pytest.raises(ValueError, match='not a number'):
        dataset.full_init()


def test_split_hash_is_the_documented_one(make):
    first = make('file,age\nb.jpg,31\na.jpg,24.5\n')
    expected = hashlib.sha256(b'a.jpg\t24.5\nb.jpg\t31.0\n').hexdigest()[:12]
    assert first.split_hash == first.metainfo['split_hash'] == expected
    assert make('file,age\na.jpg,24.5\nb.jpg,31.0\n').split_hash == expected
    assert make('file,age\na.jpg,24.5\nb.jpg,32\n').split_hash != expected
    assert make('file,age\na.jpg,24.5\n').split_hash != expected


def test_import_needs_neither_toolbox():
    code = (
        'import sys, dldl_mm.datasets\n'
        "assert not {'mmpretrain', 'mmseg', 'mmcv'} & set(sys.modules)"
    )
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    subprocess.run([sys.executable, '-c', code], check=True, env=environment)


@pytest.mark.parametrize('mark', [';', '\t'])
@pytest.mark.parametrize('start', ['', '\ufeff'])
def test_semicolons_and_tabs_separate_where_the_header_has_no_comma(make, mark, start):
    dataset = make(start + 'file,age,sigma\na.jpg,24.5,2\nb.jpg,31,3\n'.replace(',', mark))
    assert [dataset.get_data_info(k)['gt_value'] for k in (0, 1)] == [24.5, 31.0]


def test_paths_written_on_windows(make, write_images):
    write_images('deep/e.jpg')
    dataset = make('file,age\ndeep\\e.jpg,30\n')
    assert dataset.get_data_info(0)['img_path'].endswith('images/deep/e.jpg')
    assert make('file,age\ndeep/e.jpg,30\n').split_hash == dataset.split_hash
