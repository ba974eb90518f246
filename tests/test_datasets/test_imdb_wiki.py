from datetime import date

import numpy as np
import pytest
from scipy.io import savemat

from dldl_mm.datasets import IMDBWiki


def datenum(year, month, day):
    """Matlab's serial date number: datenum(2000, 1, 1) is 730486."""
    return (date(year, month, day) - date(2000, 1, 1)).days + 730486


# Date of birth, year, file, face score, second face score, celeb_id; and the age, None if dropped.
ROWS = [
    (datenum(1970, 6, 30), 2000, '01/a.jpg', 3.2, np.nan, 4, 30),
    (datenum(1970, 7, 2), 2000, '01/b.jpg', 1.0, np.nan, 5, 29),
    (datenum(1970, 7, 1), 2000, '02/c.jpg', 4.0, 2.5, 4, None),
    (datenum(1970, 7, 1), 2000, '02/d.jpg', -np.inf, np.nan, 4, None),
    (datenum(1970, 7, 1), 2000, '02/e.jpg', 0.9, np.nan, 4, None),
    (datenum(1870, 7, 1), 2000, '02/f.jpg', 5.0, np.nan, 4, None),
    (datenum(2010, 7, 1), 2000, '02/g.jpg', 5.0, np.nan, 4, None),
    (5.0, 2000, '02/h.jpg', 5.0, np.nan, 4, None),
]


def write_mat(path, rows, key='imdb', **replaced):
    dob, year, files, score, second, celeb, _ = zip(*rows, strict=True)
    record = {
        'dob': np.array(dob, np.float64),
        'photo_taken': np.array(year, np.uint16),
        'full_path': np.array(files, object),
        'gender': np.array([1.0] + [np.nan] * (len(rows) - 1)),
        'name': np.array(['A Name', *[''] * (len(rows) - 1)], object),
        'face_score': np.array(score),
        'second_face_score': np.array(second),
        'celeb_id': np.array(celeb, np.float64),
        **replaced,
    }
    savemat(path, {key: {name: value for name, value in record.items() if value is not None}})


@pytest.fixture
def root(tmp_path, write_images):
    write_images(*[row[2] for row in ROWS], folder='imdb_crop')
    write_mat(tmp_path / 'imdb.mat', ROWS)
    return tmp_path


def test_ages_subjects_and_dropped_rows(root, log_lines):
    dataset = IMDBWiki('imdb.mat', data_root=str(root), data_prefix='imdb_crop')
    items = [dataset.get_data_info(k) for k in range(len(dataset))]
    assert [item['gt_value'] for item in items] == [30.0, 29.0]
    assert [item['subject'] for item in items] == ['4', '5']
    assert items[0]['metadata'] == {'gender': '1'}
    assert 'metadata' not in items[1]
    assert items[1]['img_path'].endswith('imdb_crop/01/b.jpg')
    assert items[1]['source'] == 'imdb.mat:2'
    assert 'left out 6 of 8 rows' in log_lines[0]
    for reason in (
        '2 with an age outside 0 to 100',
        '2 with a face score below 1',
        '1 with a second face',
        '1 without a usable date of birth',
    ):
        assert reason in log_lines[0]


def test_filters_are_options(root):
    dataset = IMDBWiki(
        'imdb.mat',
        data_root=str(root),
        data_prefix='imdb_crop',
        min_face_score=None,
        single_face=False,
        min_age=-20,
        max_age=200,
    )
    ages = [dataset.get_data_info(k)['gt_value'] for k in range(len(dataset))]
    # Somebody born on 1 July has had the birthday.
    assert ages == [30, 29, 30, 30, 30, 130, -10]


def test_wiki_has_names_only_and_one_row(root):
    write_mat(root / 'wiki.mat', ROWS[:1], key='wiki', celeb_id=None)
    dataset = IMDBWiki('wiki.mat', data_root=str(root), data_prefix='imdb_crop')
    assert dataset.get_data_info(0)['subject'] == 'A Name'
    write_mat(root / 'wiki.mat', ROWS[:2], key='wiki', celeb_id=None)
    dataset = IMDBWiki('wiki.mat', data_root=str(root), data_prefix='imdb_crop')
    assert 'subject' not in dataset.get_data_info(1)


def test_bad_files(root):
    common = {'data_root': str(root), 'data_prefix': 'imdb_crop'}
    with pytest.raises(FileNotFoundError, match=r'wiki.mat does not exist'):
        IMDBWiki('wiki.mat', **common)
    (root / 'text.mat').write_text('this is no .mat file, but long enough for a header' * 9)
    with pytest.raises(ValueError, match=r'text.mat is not a readable .mat file'):
        IMDBWiki('text.mat', **common)
    write_mat(root / 'other.mat', ROWS, key='faces')
    with pytest.raises(ValueError, match=r"variable 'imdb' or 'wiki' is expected, found: faces"):
        IMDBWiki('other.mat', **common)
    write_mat(root / 'less.mat', ROWS, dob=None)
    with pytest.raises(ValueError, match='imdb has no field dob'):
        IMDBWiki('less.mat', **common)
    with pytest.raises(ValueError, match='min_age must not exceed max_age, got 9 and 3'):
        IMDBWiki('imdb.mat', min_age=9, max_age=3, **common)


@pytest.mark.parametrize('part', [0.0, 0.3, 0.9])
def test_a_damaged_file_is_named(root, part):
    content = (root / 'imdb.mat').read_bytes()
    (root / 'imdb.mat').write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ValueError, match=r'imdb\.mat is not a readable \.mat file'):
        IMDBWiki('imdb.mat', data_root=str(root), data_prefix='imdb_crop')
