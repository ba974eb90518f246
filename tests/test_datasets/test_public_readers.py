import os

import pytest

from dldl_mm.datasets import AgeDB, ChaLearnAge, FGNet, Morph, UTKFace


def infos(dataset):
    return [dataset.get_data_info(k) for k in range(len(dataset))]


def test_utkface_folder(write_images, tmp_path):
    folder = write_images(
        '26_1_2_20170116184024662.jpg.chip.jpg',
        # The released files that lack a field, or leave it empty.
        '39_1_20170116174525125.jpg.chip.jpg',
        '61_3_20170109150557335.jpg.chip.jpg',
        'part2/53__0_20170116184028385.jpg',
        '24_0_1_20170116220224657 .jpg.chip.jpg',
    )
    (folder / 'notes.txt').write_text('not an image')
    found = {
        os.path.relpath(item['img_path'], folder): (item['gt_value'], item['metadata'])
        for item in infos(UTKFace(data_prefix=str(folder)))
    }
    assert found == {
        '26_1_2_20170116184024662.jpg.chip.jpg': (
            26.0,
            {'gender': '1', 'race': '2', 'date': '20170116184024662'},
        ),
        '39_1_20170116174525125.jpg.chip.jpg': (39.0, {'date': '20170116174525125'}),
        '61_3_20170109150557335.jpg.chip.jpg': (61.0, {'date': '20170109150557335'}),
        'part2/53__0_20170116184028385.jpg': (53.0, {'race': '0', 'date': '20170116184028385'}),
        '24_0_1_20170116220224657 .jpg.chip.jpg': (
            24.0,
            {'gender': '0', 'race': '1', 'date': '20170116220224657'},
        ),
    }


@pytest.mark.parametrize('name', ['portrait.jpg', '_1_2_20170116184024662.jpg', '26_1_2_2017.jpg'])
def test_utkface_malformed_name(write_images, name):
    folder = write_images(name)
    with pytest.raises(ValueError, match=f"file name '{name}': age_gender_race_date is expected"):
        UTKFace(data_prefix=str(folder))


def test_utkface_lists(write_images, tmp_path):
    names = [f'{age}_0_0_2017011618402466{age % 10}.jpg' for age in (7, 26, 40)]
    write_images(*names)
    common = {'data_root': str(tmp_path), 'data_prefix': 'images'}
    (tmp_path / 'train.txt').write_text('\n'.join(names[1:]))
    assert [item['gt_value'] for item in infos(UTKFace('train.txt', **common))] == [26.0, 40.0]

    (tmp_path / 'folds.csv').write_text(
        'file,age,subject,fold\n' + ''.join(f'{n},{n.split("_")[0]},p,{n[0]}\n' for n in names)
    )
    dataset = UTKFace('folds.csv', where={'fold': [2, 7]}, **common)
    assert [(item['gt_value'], item['subject']) for item in infos(dataset)] == [
        (7.0, 'p'),
        (26.0, 'p'),
    ]
    (tmp_path / 'wrong.csv').write_text(f'file,age\n{names[0]},8\n')
    with pytest.raises(ValueError, match=r'wrong.csv:2: age 8 contradicts .* which says 7'):
        UTKFace('wrong.csv', **common)
    (tmp_path / 'nameless.csv').write_text('image,age\na.jpg,8\n')
    with pytest.raises(ValueError, match="has no column 'file'; it has: image, age"):
        UTKFace('nameless.csv', **common)
    with pytest.raises(ValueError, match=r'must be a .csv or a .txt file, got .*list.json'):
        UTKFace('list.json', **common)


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match='UTKFace: no samples were found in'):
        UTKFace(data_prefix=str(tmp_path))


def test_fgnet(write_images):
    folder = write_images('001A02.JPG', '001A43a.JPG', '082a00b.jpg')
    assert [
        (item['subject'], item['gt_value']) for item in infos(FGNet(data_prefix=str(folder)))
    ] == [('001', 2.0), ('001', 43.0), ('082', 0.0)]
    one = FGNet(data_prefix=str(folder), where={'subject': '082'})
    assert len(one) == 1
    write_images('1A02.jpg')
    with pytest.raises(ValueError, match=r"file name '1A02.jpg': person and age are expected"):
        FGNet(data_prefix=str(folder))


def test_agedb(write_images):
    folder = write_images(
        '0_MariaCallas_35_f.jpg', '16079_WillSmith _45_m.jpg', '7_Jean_Luc_101_M.jpg'
    )
    assert [
        (item['subject'], item['gt_value'], item['metadata'])
        for item in infos(AgeDB(data_prefix=str(folder)))
    ] == [
        ('MariaCallas', 35.0, {'number': '0', 'gender': 'f'}),
        ('WillSmith', 45.0, {'number': '16079', 'gender': 'm'}),
        ('Jean_Luc', 101.0, {'number': '7', 'gender': 'm'}),
    ]
    write_images('MariaCallas_35_f.jpg')
    with pytest.raises(ValueError, match='ID_Name_Age_Gender is expected'):
        AgeDB(data_prefix=str(folder))


MORPH_HEADER = 'id_num,picture_num,dob,doa,race,gender,facial_hair,age,age_diff,glasses,photo\n'


def test_morph(write_images, tmp_path):
    write_images('009055_1M54.JPG', folder='Album2')
    (tmp_path / 'morph.csv').write_text(
        MORPH_HEADER + '009055,1,02/18/1949,03/05/2003,B,M,NULL,54,0,,Album2/009055_1M54.JPG\n'
    )
    [item] = infos(Morph('morph.csv', data_root=str(tmp_path)))
    assert item['img_path'] == os.path.join(tmp_path, 'Album2/009055_1M54.JPG')
    assert (item['gt_value'], item['subject']) == (54.0, '009055')
    assert item['metadata']['race'] == 'B'
    (tmp_path / 'other.csv').write_text('file,age\na.jpg,3\n')
    with pytest.raises(ValueError, match="has no column 'photo'; it has: file, age"):
        Morph('other.csv', data_root=str(tmp_path))


@pytest.mark.parametrize(
    'text',
    [
        'a.jpg;21.0;4.0265\nb.jpg;48;0.7\n',
        'a.jpg,21.0,4.0265\nb.jpg,48,0.7\n',
        'image,mean,stdv\na.jpg,21.0,4.0265\nb.jpg,48,0.7\n',
        'file;mean;std\na.jpg;21.0;4.0265\nb.jpg;48;0.7\n',
        'file_name,num_ratings,apparent_age_avg,apparent_age_std,real_age\n'
        'a.jpg,38,21.0,4.0265,20\nb.jpg,38,48,0.7,50\n',
    ],
)
def test_chalearn_formats(write_images, tmp_path, text):
    write_images('a.jpg', 'b.jpg')
    (tmp_path / 'gt.csv').write_text(text)
    dataset = ChaLearnAge('gt.csv', data_root=str(tmp_path), data_prefix='images')
    assert [(item['gt_value'], item['gt_sigma']) for item in infos(dataset)] == [
        (21.0, 4.0265),
        (48.0, 0.7),
    ]


def test_appa_real_votes_faces_and_real_age(write_images, tmp_path):
    write_images('a.jpg_face.jpg', 'b.jpg_face.jpg', folder='train')
    (tmp_path / 'gt_avg_train.csv').write_text(
        'file_name,num_ratings,apparent_age_avg,apparent_age_std,real_age\n'
        'a.jpg,3,21,4,20\nb.jpg,1,48,0,50\n'
    )
    ratings = 'a.jpg,20,18,54,female\nb.jpg,50,48,22,male\na.jpg,20,21.5,33,male\n'
    header = 'file_name,real_age,apparent_age,worker_age,worker_gender\n'
    common = {
        'data_root': str(tmp_path),
        'data_prefix': 'train',
        'suffix': '_face.jpg',
        'min_sigma': 0.5,
    }
    for text in (ratings, header + ratings):
        (tmp_path / 'gt_train.csv').write_text(text)
        dataset = ChaLearnAge('gt_avg_train.csv', votes_file='gt_train.csv', **common)
        assert [
            (item['gt_value'], item['gt_sigma'], item['gt_votes']) for item in infos(dataset)
        ] == [(21.0, 4.0, [18.0, 21.5]), (48.0, 0.5, [48.0])]
        assert infos(dataset)[0]['metadata'] == {'num_ratings': '3', 'real_age': '20'}

    real = ChaLearnAge('gt_avg_train.csv', columns={'age': 'real_age', 'sigma': None}, **common)
    assert [item['gt_value'] for item in infos(real)] == [20.0, 50.0]
    assert 'gt_sigma' not in real.get_data_info(0)

    (tmp_path / 'gt_train.csv').write_text('a.jpg,20,18,54,female\n')
    with pytest.raises(ValueError, match=r'gt_avg_train.csv:3: gt_train.csv has no rating of .*b'):
        ChaLearnAge('gt_avg_train.csv', votes_file='gt_train.csv', **common)
    with pytest.raises(ValueError, match=r"gt_train.csv has no column 'vote'; it has: file_name"):
        ChaLearnAge('gt_avg_train.csv', votes_file='gt_train.csv', vote_column='vote', **common)
    with pytest.raises(FileNotFoundError, match=r'gt_avg_valid.csv does not exist'):
        ChaLearnAge('gt_avg_valid.csv', **common)
