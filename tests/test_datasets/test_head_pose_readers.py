"""Each reader on a small tree laid out as its set is released, and the signs of its angles.

The signs are tested by what a rotation does to the nose and to the line between the ears, in the
frame of the set's own files.
"""

import sqlite3
from contextlib import closing

import cv2
import numpy as np
import pytest
import torch
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from dldl_mm.codecs import GridLabelCodec
from dldl_mm.datasets import AFLW, AFLW2000, BIWI, BJUT3D, Face300WLP, HeadPoseDataset, Pointing04
from dldl_mm.functional import rotation_from_pose
from dldl_mm.registry import DATASETS
from dldl_mm.transforms import CropFaceBox, EncodeLabelDistribution

THREE = ('pitch', 'yaw', 'roll')


def write_image(path, size=(48, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((*size, 3), 128, np.uint8))


def values(dataset):
    return [dataset.get_data_info(i)['gt_value'].tolist() for i in range(len(dataset))]


# CSV


def write_csv(root, text, names=('a.jpg', 'b.jpg')):
    for name in names:
        write_image(root / name)
    (root / 'poses.csv').write_text(text)
    return {'ann_file': 'poses.csv', 'data_root': str(root), 'data_prefix': ''}


def test_csv(tmp_path):
    options = write_csv(
        tmp_path,
        'file,pitch,yaw,roll,x1,y1,x2,y2,person,fold\n'
        'a.jpg,10,-20.5,3,1,2,30,40.5,ann,1\nb.jpg,0,5,-4,0,0,10,10,bob,2\n',
    )
    dataset = HeadPoseDataset(**options)
    assert values(dataset) == [[10.0, -20.5], [0.0, 5.0]]
    first = dataset.get_data_info(0)
    assert first['gt_value'].dtype == np.float32
    assert first['face_box'] == [1.0, 2.0, 30.0, 40.5]
    assert first['subject'] == 'ann'
    assert first['metadata'] == {'roll': '3', 'fold': '1'}
    assert values(HeadPoseDataset(**options, axes=('roll', 'yaw'))) == [[3.0, -20.5], [-4.0, 5.0]]
    assert values(HeadPoseDataset(**options, where={'fold': 2})) == [[0.0, 5.0]]


def test_csv_with_other_column_names(tmp_path):
    options = write_csv(tmp_path, 'path,tilt,pan\na.jpg,1,2\nb.jpg,3,4\n')
    columns = {'file': 'path', 'pitch': 'tilt', 'yaw': 'pan'}
    dataset = HeadPoseDataset(**options, columns=columns)
    assert values(dataset) == [[1.0, 2.0], [3.0, 4.0]]
    assert 'face_box' not in dataset.get_data_info(0)
    assert 'subject' not in dataset.get_data_info(0)


@pytest.mark.parametrize(
    ('text', 'options', 'message'),
    [
        ('file,pitch\na.jpg,1\nb.jpg,2\n', {}, "has no column 'yaw'; it has: file, pitch"),
        ('file,pitch,yaw\na.jpg,1,x\nb.jpg,2,3\n', {}, "poses.csv:2: yaw 'x' is not a number"),
        ('file,pitch,yaw\na.jpg,1,nan\nb.jpg,2,3\n', {}, "yaw 'nan' is not finite"),
        ('file,pitch,yaw\n,1,2\nb.jpg,2,3\n', {}, "poses.csv:2: the column 'file' is empty"),
        ('file,pitch,yaw,x1\na.jpg,1,2,3\nb.jpg,2,3,4\n', {}, "no column 'y1'"),
        (
            'file,pitch,yaw,x1,y1,x2,y2\na.jpg,1,2,3,4,5,6\nb.jpg,2,3,,,,\n',
            {},
            'poses.csv:3: x1 is empty',
        ),
        ('file,pitch,yaw\na.jpg,1,2\nb.jpg,2,3\n', {'axes': ('tilt',)}, "no axis 'tilt'"),
        ('file,pitch,yaw\na.jpg,1,2\nb.jpg,2,3\n', {'axes': 'yaw'}, 'distinct names'),
        ('file,pitch,yaw\na.jpg,1,2\nb.jpg,2,3\n', {'columns': {'pan': 'yaw'}}, "key 'pan'"),
        ('file,pitch,yaw\na.jpg,1,2\nb.jpg,2,3\n', {'columns': {'x1': 'l'}}, "no column 'l'"),
    ],
)
def test_bad_csv_is_named(tmp_path, text, options, message):
    given = {**write_csv(tmp_path, text), **options}
    with pytest.raises(ValueError, match=message):
        HeadPoseDataset(**given)


def test_poses_and_boxes_are_checked_before_training(tmp_path):
    options = write_csv(
        tmp_path,
        'file,pitch,yaw,x1,y1,x2,y2\na.jpg,1,2,0,0,5,5\nb.jpg,2,80,3,3,3,9\n',
    )
    codec = GridLabelCodec({'pitch': (-60, 60, 10), 'yaw': (-60, 60, 10)}, sigma=10.0)
    encode = EncodeLabelDistribution(codec)
    with pytest.raises(ValueError, match=r'poses.csv:3: yaw 80 lies outside .* -60 to 60'):
        HeadPoseDataset(**options, pipeline=[encode])
    with pytest.raises(ValueError, match=r'poses.csv:3: the face box \(3, 3, 3, 9\)'):
        HeadPoseDataset(**options, pipeline=[CropFaceBox()])


# Pointing'04 and BJUT-3D


def write_pointing(root):
    for name, box in (
        ('Person01/person01100-90+0', (40, 30, 20, 24)),
        ('Person01/person01250+0+60', (41, 30, 20, 24)),
        ('Person12/person12101-60-75', (42, 30, 20, 25)),
    ):
        write_image(root / f'{name}.jpg')
        numbers = '\n'.join(map(str, box))
        (root / f'{name}.txt').write_text(f'{name}.jpg\n\nFace\n{numbers}\n')
    return str(root)


def test_pointing04(tmp_path):
    dataset = Pointing04(data_prefix=write_pointing(tmp_path))
    assert values(dataset) == [[-90.0, 0.0], [0.0, 60.0], [-60.0, -75.0]]
    first, second, third = (dataset.get_data_info(i) for i in range(3))
    assert [item['subject'] for item in (first, second, third)] == ['1', '1', '12']
    assert second['metadata'] == {'series': '2', 'number': '50'}
    assert first['face_box'] == [30.0, 18.0, 50.0, 42.0]
    assert third['face_box'] == [32.0, 17.5, 52.0, 42.5]
    yaw_only = Pointing04(data_prefix=str(tmp_path), axes=('yaw',), where={'subject': 1})
    assert values(yaw_only) == [[0.0], [60.0]]


def test_pointing04_folds(tmp_path):
    write_pointing(tmp_path)
    (tmp_path / 'folds.csv').write_text(
        'file,pitch,yaw,person,fold\n'
        'Person01/person01100-90+0.jpg,-90,0,1,5\nPerson01/person01250+0+60.jpg,0,60,1,2\n'
        'Person12/person12101-60-75.jpg,-60,-75,12,1\n'
    )
    options = {'ann_file': 'folds.csv', 'data_root': str(tmp_path), 'data_prefix': ''}
    assert values(Pointing04(**options, where={'fold': [1, 2]})) == [[0.0, 60.0], [-60.0, -75.0]]
    text = (tmp_path / 'folds.csv').read_text().replace(',0,60,', ',0,-60,')
    (tmp_path / 'folds.csv').write_text(text)
    with pytest.raises(ValueError, match=r'folds.csv:3: yaw -60 contradicts .* which says 60'):
        Pointing04(**options)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('person1100-90+0.jpg', 'personPPSNN±pitch±yaw'),
        ('person01100-45+0.jpg', r'\(-45, 0\) is none of the set\'s 93 poses'),
        ('person01100-90+15.jpg', r'\(-90, 15\) is none'),
    ],
)
def test_bad_names_of_pointing04_are_named(tmp_path, name, message):
    write_image(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        Pointing04(data_prefix=str(tmp_path))


@pytest.mark.parametrize('text', ['a.jpg\nFace\n1\n2\n3\n', '1 2 3 4', 'Face 1 2 3 wide'])
def test_a_bad_box_of_pointing04_is_named(tmp_path, text):
    write_pointing(tmp_path)
    (tmp_path / 'Person12/person12101-60-75.txt').write_text(text)
    with pytest.raises(ValueError, match=r'person12101-60-75\.txt'):
        Pointing04(data_prefix=str(tmp_path))


def test_a_damaged_box_of_pointing04_is_named(tmp_path):
    write_pointing(tmp_path)
    (tmp_path / 'Person12/person12101-60-75.txt').write_bytes(b'\xff\xfe Face')
    with pytest.raises(ValueError, match=r'person12101-60-75\.txt'):
        Pointing04(data_prefix=str(tmp_path))


def test_without_a_box_only_a_crop_is_refused(tmp_path):
    write_pointing(tmp_path)
    (tmp_path / 'Person12/person12101-60-75.txt').unlink()
    assert len(Pointing04(data_prefix=str(tmp_path))) == 3
    with pytest.raises(ValueError, match=r"person12101-60-75.jpg: .* no 'face_box'"):
        Pointing04(data_prefix=str(tmp_path), pipeline=[CropFaceBox()])


def test_bjut3d(tmp_path):
    for name in ('F0001+10-40.png', 'M0012-40+0.png'):
        write_image(tmp_path / 'views' / name)
    dataset = BJUT3D(data_prefix=str(tmp_path))
    assert values(dataset) == [[10.0, -40.0], [-40.0, 0.0]]
    assert [dataset.get_data_info(i)['subject'] for i in range(2)] == ['F0001', 'M0012']
    write_image(tmp_path / 'F0001+15+0.png')
    with pytest.raises(ValueError, match=r'\(15, 0\) is none'):
        BJUT3D(data_prefix=str(tmp_path))


# BIWI

CALIBRATION = (
    '517.679 0 320\n0 517.679 240.5\n0 0 1\n\n0 0 0 0\n\n'
    '1 0 0\n0 1 0\n0 0 1\n\n-24 6 -13\n\n640 480\n'
)


def write_biwi(root, frames):
    """``frames``: (sequence, rotation in the camera's frame, centre)."""
    for number, (sequence, rotation, centre) in enumerate(frames):
        stem = root / sequence / f'frame_{number:05d}'
        write_image(root / sequence / f'frame_{number:05d}_rgb.png')
        rows = [' '.join(f'{x:.6g}' for x in row) for row in (*rotation, (), centre)]
        stem.with_name(stem.name + '_pose.txt').write_text(' \n'.join(rows) + ' \n')
        (root / sequence / 'rgb.cal').write_text(CALIBRATION)
    return str(root)


@pytest.mark.parametrize(
    ('axis', 'expected', 'nose'),
    [
        # x right, y down, z away: where the nose (0, 0, -1) of the head points.
        ('x', (-20, 0, 0), (0, np.sin(np.pi / 9), -np.cos(np.pi / 9))),  # down
        ('y', (0, 20, 0), (-np.sin(np.pi / 9), 0, -np.cos(np.pi / 9))),  # to the left
        ('z', (0, 0, -20), (0, 0, -1)),  # clockwise: x turns towards y, which is down
    ],
)
def test_signs_of_biwi(tmp_path, axis, expected, nose):
    rotation = Rotation.from_euler(axis, 20, degrees=True)
    np.testing.assert_allclose(rotation.apply([0, 0, -1]), nose, atol=1e-12)
    root = write_biwi(tmp_path, [('01', rotation.as_matrix(), (0, 0, 1000))])
    np.testing.assert_allclose(values(BIWI(root, axes=THREE)), [expected], atol=1e-3)


def test_any_rotation_of_biwi_is_kept(tmp_path):
    rotations = Rotation.random(8, random_state=0)
    root = write_biwi(tmp_path, [('01', r.as_matrix(), (0, 0, 1000)) for r in rotations])
    pose = torch.tensor(values(BIWI(root, axes=THREE)), dtype=torch.float64)
    # The nose and the head's right side, from the viewer's frame (y up) to the camera's (y down).
    ours = rotation_from_pose(pose).numpy() * [[1], [-1], [-1]]
    np.testing.assert_allclose(ours[..., 2], rotations.apply([0, 0, -1]), atol=1e-4)
    np.testing.assert_allclose(ours[..., 0], rotations.apply([1, 0, 0]), atol=1e-4)


def test_biwi_boxes_and_subjects(tmp_path):
    frames = [(s, np.eye(3), (43.4, -30.7, 906.9)) for s in ('02', '21')]
    dataset = BIWI(write_biwi(tmp_path, frames), face_size=180.0)
    first, second = dataset.get_data_info(0), dataset.get_data_info(1)
    assert first['subject'] == second['subject'] == '02'
    assert second['metadata'] == {'sequence': '21'}
    matrix = np.array([[517.679, 0, 320], [0, 517.679, 240.5], [0, 0, 1]])
    (centre,), _ = cv2.projectPoints(
        np.array([[43.4, -30.7, 906.9]]), np.zeros(3), np.array([-24.0, 6, -13]), matrix, None
    )
    x1, y1, x2, y2 = first['face_box']
    np.testing.assert_allclose([(x1 + x2) / 2, (y1 + y2) / 2], centre[0])
    np.testing.assert_allclose([x2 - x1, y2 - y1], 517.679 * 180 / 893.9)
    (tmp_path / '02/rgb.cal').unlink()
    assert 'face_box' not in BIWI(str(tmp_path)).get_data_info(0)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('1 0 0\n0 1 0\n0 0 1\n', '12 numbers, are expected, got 9'),
        ('1 0 0\n0 2 0\n0 0 1\n1 2 3\n', 'is not a rotation'),
        ('1 0 0\n0 -1 0\n0 0 1\n1 2 3\n', 'is not a rotation'),
        ('1 0 0\n0 a 0\n0 0 1\n1 2 3\n', 'pose.txt: could not convert'),
        ('1 0 0\n0 1 0\n0 0 1\n1 2 -900\n', r'rgb.png: the centre .* is not before the camera'),
    ],
)
def test_bad_poses_of_biwi_are_named(tmp_path, text, message):
    root = write_biwi(tmp_path, [('01', np.eye(3), (0, 0, 1000))])
    (tmp_path / '01/frame_00000_pose.txt').write_text(text)
    with pytest.raises(ValueError, match=message):
        BIWI(root)


def test_incomplete_trees_of_biwi_are_named(tmp_path):
    root = write_biwi(tmp_path, [('01', np.eye(3), (0, 0, 1000))])
    (tmp_path / '01/rgb.cal').write_text('1 2 3\n')
    with pytest.raises(ValueError, match=r'rgb.cal is not a camera calibration'):
        BIWI(root)
    (tmp_path / '01/frame_00000_pose.txt').unlink()
    (tmp_path / '01/rgb.cal').unlink()
    with pytest.raises(ValueError, match=r'pose\.txt does not exist'):
        BIWI(root)
    with pytest.raises(ValueError, match='face_size'):
        BIWI(root, face_size=0)


# 300W-LP and AFLW2000


def write_mat(path, degrees, **fields):
    write_image(path.with_suffix('.jpg'))
    pose = np.zeros((1, 7), np.float32)
    pose[0, :3] = np.radians(degrees)
    savemat(path.with_suffix('.mat'), {'Pose_Para': pose, **fields})


def rotation_of_300wlp(degrees):
    """R_x R_y R_z of the fitted model: x right, y up, z towards the viewer, angles negated."""
    return Rotation.from_euler('XYZ', -np.asarray(degrees), degrees=True)


def test_signs_of_aflw2000(tmp_path):
    # +pitch up, +yaw to the image's left, +roll clockwise.
    np.testing.assert_array_less(0.3, rotation_of_300wlp((20, 0, 0)).apply([0, 0, 1])[1])
    np.testing.assert_array_less(rotation_of_300wlp((0, 20, 0)).apply([0, 0, 1])[0], -0.3)
    np.testing.assert_array_less(rotation_of_300wlp((0, 0, 20)).apply([1, 0, 0])[1], -0.3)
    for number, degrees in enumerate(((20, 0, 0), (0, 30, 0), (0, 0, 40), (0, 95, 0))):
        write_mat(tmp_path / f'image0000{number}', degrees)
    dataset = AFLW2000(str(tmp_path), axes=THREE)
    expected = [[20, 0, 0], [0, 30, 0], [0, 0, -40], [0, 95, 0]]
    np.testing.assert_allclose(values(dataset), expected, atol=1e-4)


def test_any_rotation_of_aflw2000_is_kept(tmp_path):
    degrees = np.random.default_rng(0).uniform(-80, 80, (10, 3))
    for number, pose in enumerate(degrees):
        write_mat(tmp_path / f'image0000{number}', pose)
    pose = torch.tensor(values(AFLW2000(str(tmp_path), axes=THREE)), dtype=torch.float64)
    expected = rotation_of_300wlp(degrees).as_matrix()
    np.testing.assert_allclose(rotation_from_pose(pose).numpy(), expected, atol=1e-4)


def test_boxes_of_aflw2000(tmp_path):
    points = np.array([[5.0, 20.0, 12.0], [7.0, 9.0, 30.0], [1.0, 2.0, 3.0]])
    write_mat(tmp_path / 'a', (0, 0, 0), pt3d_68=points, pt2d=np.zeros((2, 21)))
    marked = np.array([[-1.0, 3.0, 8.0], [-1.0, 4.0, 2.0]])
    write_mat(tmp_path / 'b', (0, 0, 0), pt2d=marked)
    write_mat(tmp_path / 'c', (0, 0, 0))
    write_image(tmp_path / 'Code/logo.png')  # has no pose: left out
    dataset = AFLW2000(str(tmp_path))
    boxes = [dataset.get_data_info(i).get('face_box') for i in range(len(dataset))]
    assert boxes == [[5.0, 7.0, 20.0, 30.0], [3.0, 2.0, 8.0, 4.0], None]


def test_large_angles_of_aflw2000_can_be_left_out(tmp_path):
    for number, degrees in enumerate(((20, 0, 0), (-101, 0, 0), (0, 98, 0))):
        write_mat(tmp_path / f'image0000{number}', degrees)
    np.testing.assert_allclose(
        values(AFLW2000(str(tmp_path), max_angle=99.0)), [[20, 0], [0, 98]], atol=1e-4
    )
    assert len(AFLW2000(str(tmp_path))) == 3
    with pytest.raises(ValueError, match='no samples'):
        AFLW2000(str(tmp_path), max_angle=1.0)
    with pytest.raises(ValueError, match='max_angle'):
        AFLW2000(str(tmp_path), max_angle=0)


def test_a_photograph_of_300wlp_is_a_subject(tmp_path):
    for name in ('AFW/AFW_134212_1_0', 'AFW/AFW_134212_1_13', 'AFW_Flip/AFW_134212_1_0'):
        write_mat(tmp_path / name, (0, 10, 0))
    write_mat(tmp_path / 'HELEN/HELEN_100032540_1_0', (0, 20, 0))
    dataset = Face300WLP(str(tmp_path), axes=('yaw',))
    subjects = {dataset.get_data_info(i)['subject'] for i in range(4)}
    assert subjects == {'AFW_134212_1', 'HELEN_100032540_1'}
    assert len(Face300WLP(str(tmp_path), where={'folder': ['AFW', 'AFW_Flip']})) == 3


def test_bad_files_of_aflw2000_are_named(tmp_path):
    write_mat(tmp_path / 'a', (0, 0, 0))
    (tmp_path / 'a.mat').write_bytes(b'not a file of MATLAB' * 20)
    with pytest.raises(ValueError, match=r'a.mat is not a MATLAB file'):
        AFLW2000(str(tmp_path))
    savemat(tmp_path / 'a.mat', {'pt2d': np.zeros((2, 21))})
    with pytest.raises(ValueError, match=r"a.mat has no 'Pose_Para'"):
        AFLW2000(str(tmp_path))
    write_mat(tmp_path / 'a', (0, np.nan, 0))
    with pytest.raises(ValueError, match=r"a.mat: 'Pose_Para' holds"):
        AFLW2000(str(tmp_path))
    savemat(tmp_path / 'a.mat', {'Pose_Para': np.array([['a', 'b', 'c']])})
    with pytest.raises(ValueError, match=r"a.mat: 'Pose_Para' must hold numbers"):
        AFLW2000(str(tmp_path))


# AFLW


def write_aflw(root, poses=((1, 0.1, 0.5, -0.2), (2, -0.3, -1.0, 0.4))):
    with closing(sqlite3.connect(root / 'aflw.sqlite')) as database:
        database.executescript(
            'CREATE TABLE Faces (face_id INTEGER, file_id TEXT, db_id TEXT);'
            'CREATE TABLE FaceImages (image_id INTEGER, db_id TEXT, file_id TEXT, filepath TEXT,'
            ' bw INTEGER, width INTEGER, height INTEGER);'
            'CREATE TABLE FacePose (face_id INTEGER, roll FLOAT, pitch FLOAT, yaw FLOAT,'
            ' annot_type_id INTEGER);'
            'CREATE TABLE FaceRect (face_id INTEGER, x INTEGER, y INTEGER, w INTEGER, h INTEGER,'
            ' annot_type_id INTEGER);'
        )
        insert = database.executemany
        insert('INSERT INTO Faces VALUES (?, ?, ?)', [(f, 'image1.jpg', 'aflw') for f in (1, 2, 3)])
        insert(
            'INSERT INTO FaceImages VALUES (1, ?, ?, ?, 0, 64, 48)',
            [('aflw', 'image1.jpg', '0/image1.jpg')],
        )
        insert(
            'INSERT INTO FacePose VALUES (?, ?, ?, ?, 1)',
            [(face, roll, pitch, yaw) for face, pitch, yaw, roll in poses],
        )
        insert(
            'INSERT INTO FaceRect VALUES (?, ?, ?, ?, ?, 1)', [(1, -3, 4, 20, 21), (1, 0, 0, 5, 5)]
        )
        database.commit()
    write_image(root / 'flickr/0/image1.jpg')
    return {'ann_file': 'aflw.sqlite', 'data_root': str(root), 'data_prefix': 'flickr'}


def test_aflw(tmp_path):
    dataset = AFLW(**write_aflw(tmp_path), axes=THREE)
    # The third face has no pose; of two rectangles the first counts.
    assert len(dataset) == 2
    np.testing.assert_allclose(
        values(dataset), np.degrees([[0.1, 0.5, -0.2], [-0.3, -1.0, 0.4]]), rtol=1e-6
    )
    first, second = dataset.get_data_info(0), dataset.get_data_info(1)
    assert first['face_box'] == [-3.0, 4.0, 17.0, 25.0]
    assert 'face_box' not in second
    assert second['metadata'] == {'face_id': 2}
    assert first['img_path'].endswith('flickr/0/image1.jpg')


def test_bad_databases_of_aflw_are_named(tmp_path):
    options = write_aflw(tmp_path, poses=[(1, None, 0.5, -0.2)])
    with pytest.raises(ValueError, match=r'aflw.sqlite:1: pitch None is not a number'):
        AFLW(**options)
    (tmp_path / 'aflw.sqlite').write_bytes(b'no database' * 100)
    with pytest.raises(ValueError, match='is not the database of AFLW'):
        AFLW(**options)
    (tmp_path / 'aflw.sqlite').unlink()
    with pytest.raises(FileNotFoundError, match=r'aflw.sqlite does not exist'):
        AFLW(**options)


def test_they_are_registered():
    for name in (
        'HeadPoseDataset', 'Pointing04', 'BJUT3D', 'BIWI', 'AFLW', 'AFLW2000', 'Face300WLP',
    ):  # fmt: skip
        assert DATASETS.get(name) is not None


def test_folders_may_be_links(tmp_path):
    write_pointing(tmp_path / 'real')
    write_mat(tmp_path / 'faces' / 'AFW' / 'AFW_1_0', (0, 10, 0))
    (tmp_path / 'data').mkdir()
    for folder in sorted((tmp_path / 'real').iterdir()):
        (tmp_path / 'data' / folder.name).symlink_to(folder, target_is_directory=True)
    found, expected = (Pointing04(data_prefix=str(tmp_path / name)) for name in ('data', 'real'))
    assert found.split_hash == expected.split_hash
    (tmp_path / 'more').mkdir()
    (tmp_path / 'more' / 'AFW').symlink_to(tmp_path / 'faces' / 'AFW', target_is_directory=True)
    assert len(AFLW2000(str(tmp_path / 'more'))) == 1
