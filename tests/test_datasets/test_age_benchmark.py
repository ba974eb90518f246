import json

import pytest

from dldl_mm.datasets import AgeBenchmark

QUAD = [-57, -95, 372, -83, 360, 346, -69, 334]


def entry(number, **extra):
    return {
        'img_path': f'A/{number}.jpg',
        'id_num': number // 2,
        'age': 20 + number,
        'database': 'A',
        'folder': number % 5,
        'aligned_bbox': QUAD,
        **extra,
    }


@pytest.fixture
def root(tmp_path, write_images):
    write_images(*[f'{k}.jpg' for k in range(10)], folder='A')
    write_images('x.jpg', 'y.jpg', folder='B')
    databases = tmp_path / 'benchmarks' / 'databases'
    databases.mkdir(parents=True)
    entries = [entry(k) for k in range(10)]
    entries[7]['age'] = -1
    (databases / 'A.json').write_text(json.dumps(entries))
    other = [
        {
            'img_path': 'B/x.jpg',
            'age': 35,
            'std_age': 4.6,
            'folder': 0,
            'name': 'Ann',
            'gender': 'F',
        },
        {
            'img_path': 'B/y.jpg',
            'age': 1,
            'std_age': 0.0,
            'folder': 0,
            'name': 'Bob',
            'gender': 'M',
        },
    ]
    (databases / 'B.json').write_text(json.dumps(other))
    (tmp_path / 'benchmarks' / 'A.yaml').write_text("""
- database: "databases/A.json"
  tag: "A"
  split:
  - trn: [0,1,2]
    val: [3]
    tst: [4]
  - trn: [2,3,4]
    val: [0]
    tst: [1]
- database: "databases/B.json"
  tag: "B"
  split:
  - trn: []
    val: []
    tst: [0]
  - trn: []
    val: []
    tst: [0]
- database: "databases/not_downloaded.json"
  tag: "C"
  split:
  - trn: []
    val: []
    tst: [0]
  - trn: []
    val: []
    tst: [0]
""")
    return tmp_path


def load(root, ann_file='benchmarks/A.yaml', **kwargs):
    dataset = AgeBenchmark(ann_file, data_root=str(root), **kwargs)
    return [dataset.get_data_info(k) for k in range(len(dataset))]


@pytest.mark.parametrize(
    ('options', 'ages'),
    [
        ({'part': 'train'}, [20, 21, 22, 25, 26]),
        ({'part': 'val'}, [23, 28]),
        ({'part': 'train', 'split': 1}, [22, 23, 24, 28, 29]),
        ({'part': 'test', 'database': 'A'}, [24, 29]),
        ({'part': 'test', 'database': 'B', 'min_sigma': 0.5}, [35, 1]),
    ],
)
def test_published_splits(root, options, ages):
    assert [item['gt_value'] for item in load(root, **options)] == ages


def test_items(root):
    item = load(root, part='train')[1]
    assert item['img_path'] == str(root / 'A/1.jpg')
    assert item['subject'] == 'A/0'
    assert item['face_quad'] == [(-57, -95), (372, -83), (360, 346), (-69, 334)]
    assert item['metadata'] == {'id_num': 0, 'database': 'A', 'folder': 1}
    assert item['source'] == 'A.json:2'
    [ann, _] = load(root, part='test', database='B', min_sigma=0.5)
    assert (ann['gt_sigma'], ann['subject']) == (4.6, '/Ann')


def test_single_database(root):
    ages = [item['gt_value'] for item in load(root, 'benchmarks/databases/A.json')]
    assert ages == [20, 21, 22, 23, 24, 25, 26, 28, 29]
    ages = [item['gt_value'] for item in load(root, 'benchmarks/databases/A.json', folders=[3])]
    assert ages == [23, 28]


@pytest.mark.parametrize(
    ('ann_file', 'options', 'message'),
    [
        ('benchmarks/A.yaml', {}, "part must be 'train', 'val' or 'test', got None"),
        ('benchmarks/A.yaml', {'part': 'trn'}, "part must be 'train', 'val' or 'test', got 'trn'"),
        ('benchmarks/A.yaml', {'part': 'val', 'split': 2}, 'has splits 0 to 1, got split=2'),
        ('benchmarks/A.yaml', {'part': 'val', 'split': -1}, 'has splits 0 to 1, got split=-1'),
        ('benchmarks/A.yaml', {'part': 'val', 'database': 'D'}, 'no database .D.; it has: A, B, C'),
        ('benchmarks/A.yaml', {'part': 'val', 'folders': [1]}, 'folders is for a single database'),
        ('benchmarks/A.csv', {}, 'must be a .yaml or a .json file'),
        (
            'benchmarks/databases/A.json',
            {'part': 'val'},
            'part, split and database are for a bench',
        ),
        ('benchmarks/databases/A.json', {'folders': [4, 7]}, r'no entry in the folders \[7\]; its'),
        (
            'benchmarks/databases/B.json',
            {},
            'B.json:2: standard deviation 0 is not positive.*min_s',
        ),
    ],
)
def test_bad_options(root, ann_file, options, message):
    with pytest.raises(ValueError, match=message):
        load(root, ann_file, **options)


def test_bad_files(root):
    with pytest.raises(FileNotFoundError, match=r'not_downloaded.json does not exist'):
        load(root, part='test', database='C')
    with pytest.raises(FileNotFoundError, match=r'B.yaml does not exist'):
        load(root, 'benchmarks/B.yaml', part='test')
    for name, text, message in [
        ('a.yaml', '- [', 'a.yaml is not valid YAML'),
        ('b.yaml', 'database: x', 'b.yaml: a list of entries with database, tag and split'),
        ('c.yaml', '- tag: x', 'c.yaml: entry 1: a list of entries'),
        ('d.json', '[{', 'd.json is not valid JSON'),
        ('e.json', '{}', 'e.json: a list of entries is expected'),
        ('f.json', '[{"img_path": "A/1.jpg"}]', 'f.json:1: the entry has no age, folder'),
        ('g.json', json.dumps([entry(0, age='x')]), "g.json:1: age 'x' is not a number"),
        ('h.json', json.dumps([entry(0, age=None)]), 'h.json:1: age None is not a number'),
        ('i.json', json.dumps([entry(0, std_age=float('nan'))]), 'std_age nan is not finite'),
        ('j.json', json.dumps([entry(0, aligned_bbox=[1, 2])]), r'must be 8 numbers, got \[1, 2\]'),
    ]:
        (root / name).write_text(text)
        part = {'part': 'train'} if name.endswith('yaml') else {}
        with pytest.raises(ValueError, match=message):
            load(root, name, **part)


@pytest.mark.parametrize('change', [{'img_path': 3}, {'folder': [0]}])
def test_entries_of_another_type_are_named(root, change):
    (root / 'one.json').write_text(json.dumps([entry(0), entry(1, **change)]))
    with pytest.raises(ValueError, match=r'one\.json:2: img_path must be a text'):
        AgeBenchmark('one.json', data_root=str(root))
