import json
from types import SimpleNamespace

import pytest
from mmcv.transforms import RandomFlip
from mmengine.runner import IterBasedTrainLoop, Runner
from mmpretrain.datasets import MultiLabelDataset
from PIL import Image

from dldl_mm.codecs import GaussianLabelCodec, GridLabelCodec, MultiLabelCodec
from dldl_mm.datasets import AgeDataset
from dldl_mm.hooks import CodecCheckHook, check_same_codec
from dldl_mm.hooks.codec_check import share_codec
from dldl_mm.losses import ExpectationLoss
from dldl_mm.metrics import AgeMetric
from dldl_mm.transforms import EncodeLabelDistribution, FlipHeadPose


def dataset(codec):
    pipeline = SimpleNamespace(transforms=[EncodeLabelDistribution(codec)])
    return SimpleNamespace(pipeline=pipeline)


def runner(head, train, val=None, metric=None, **model):
    def loop(data, metrics=()):
        evaluator = SimpleNamespace(metrics=list(metrics))
        return SimpleNamespace(dataloader=SimpleNamespace(dataset=data), evaluator=evaluator)

    return SimpleNamespace(
        model=SimpleNamespace(head=SimpleNamespace(codec=head, loss_module=[]), **model),
        _train_loop=loop(train),
        _val_loop=loop(val, [SimpleNamespace(codec=metric)]) if val else dict(),
        _test_loop=None,
    )


def test_equal_codecs_pass():
    codec = GaussianLabelCodec(sigma=2.0)
    same = GaussianLabelCodec(sigma=2)
    CodecCheckHook().before_run(runner(codec, dataset(same), dataset(same), same))


@pytest.mark.parametrize(
    ('field', 'value', 'shown'),
    [
        ('sigma', 3.0, 'sigma is 2.0 in model.head, but 3.0 in train_dataloader'),
        ('stop', 100, 'stop is 85.0 in model.head, but 100.0 in train_dataloader'),
        ('shape', 'laplace', "shape is 'gaussian' in model.head, but 'laplace' in"),
        ('decode', 'median', "decode is 'expectation' in model.head, but 'median' in"),
    ],
)
def test_the_field_and_both_values_are_named(field, value, shown):
    other = GaussianLabelCodec(**{field: value})
    with pytest.raises(ValueError, match=shown):
        CodecCheckHook().before_run(runner(GaussianLabelCodec(), dataset(other)))


def test_wrapped_data_sets_and_metrics_are_seen():
    codec, other = GaussianLabelCodec(), GaussianLabelCodec(sigma=5.0)
    nested = SimpleNamespace(dataset=SimpleNamespace(datasets=[dataset(codec), dataset(other)]))
    with pytest.raises(ValueError, match=r'sigma is 2\.0'):
        CodecCheckHook().before_run(runner(codec, nested))
    with pytest.raises(ValueError, match=r'5\.0 in val_evaluator'):
        CodecCheckHook().before_run(runner(codec, dataset(codec), dataset(codec), other))


def test_pipelines_are_compared_without_a_codec_in_the_head():
    with pytest.raises(ValueError, match=r'train_dataloader.*val_dataloader'):
        CodecCheckHook().before_run(
            runner(None, dataset(GaussianLabelCodec()), dataset(GaussianLabelCodec(stop=90)))
        )


def test_the_codec_of_the_head_is_shared():
    codec = GaussianLabelCodec(sigma=4.0)
    data = dataset(None)
    checked = []
    data.check_annotations = lambda: checked.append(data)
    metric = AgeMetric(decode=['median'])
    made = runner(codec, data, SimpleNamespace(dataset=dataset(None)))
    made._val_loop.evaluator.metrics = [metric]
    CodecCheckHook().before_run(made)
    assert data.pipeline.transforms[0].codec is codec
    assert made._val_loop.dataloader.dataset.dataset.pipeline.transforms[0].codec is codec
    assert metric.codec is codec
    assert checked == [data]
    CodecCheckHook().before_run(made)
    assert checked == [data]
    with pytest.raises(ValueError, match=r'no codec, and neither has model\.head'):
        CodecCheckHook().before_run(runner(None, dataset(None)))


def test_rows_are_checked_with_the_shared_codec(tmp_path):
    (tmp_path / 'train.csv').write_text('file,age\na.png,20\nb.png,130\n')
    for name in ('a.png', 'b.png'):
        Image.new('RGB', (4, 4)).save(tmp_path / name)
    data = AgeDataset(
        'train.csv', data_root=str(tmp_path), pipeline=[dict(type='EncodeLabelDistribution')]
    )
    with pytest.raises(
        ValueError, match=r'train\.csv:3: value 130 lies outside the label set 1 to 85'
    ):
        CodecCheckHook().before_run(runner(GaussianLabelCodec(), data))


@pytest.mark.parametrize('persistent', [False, True])
def test_workers_of_a_loop_over_iterations_get_the_shared_codec(tmp_path, persistent):
    (tmp_path / 'train.csv').write_text('file,age\na.png,20\n')
    Image.new('RGB', (4, 4)).save(tmp_path / 'a.png')
    pipeline = [dict(type='EncodeLabelDistribution')]
    data = AgeDataset('train.csv', data_root=str(tmp_path), pipeline=pipeline)
    made = runner(GaussianLabelCodec(), data)
    loader = dict(
        dataset=data,
        sampler=dict(type='InfiniteSampler'),
        batch_size=1,
        num_workers=1,
        persistent_workers=persistent,
        collate_fn=dict(type='pseudo_collate'),
    )
    made.visualizer, made.seed, made._randomness_cfg = SimpleNamespace(), 0, {}
    made.build_dataloader, made._train_dataloader = Runner.build_dataloader, loader
    made._train_loop = IterBasedTrainLoop(made, loader, max_iters=9)
    CodecCheckHook().before_run(made)
    for _ in range(9):  # more than workers fetch ahead
        scores = next(made._train_loop.dataloader_iterator)['gt_score']
        assert scores[0].argmax() == 19  # the age of 20, labels from 1

    made._train_dataloader = made._train_loop.dataloader
    made._train_loop = IterBasedTrainLoop(made, made._train_dataloader, max_iters=9)
    made._train_dataloader.dataset.pipeline.transforms[0].codec = None
    with pytest.raises(ValueError, match='workers of the data loader have started'):
        CodecCheckHook().before_run(made)


def test_a_loss_on_the_value_refuses_mixup():
    codec = GaussianLabelCodec()
    made = runner(codec, dataset(codec), data_preprocessor=SimpleNamespace(batch_augments='Mixup'))
    CodecCheckHook().before_run(made)
    made.model.head.loss_module = [ExpectationLoss()]
    with pytest.raises(ValueError, match='ExpectationLoss reads the true value'):
        CodecCheckHook().before_run(made)


def test_flips_of_images_whose_pose_stays_are_refused():
    def order(codec, *names):
        transforms = dict(
            flip=RandomFlip(0.5), pose=FlipHeadPose(), encode=EncodeLabelDistribution(codec)
        )
        pipeline = SimpleNamespace(transforms=[transforms[name] for name in names])
        CodecCheckHook().before_run(runner(codec, SimpleNamespace(pipeline=pipeline)))

    pose = GridLabelCodec(labels='pointing04', sigma=10.0)
    order(pose, 'encode')
    order(pose, 'flip', 'pose', 'encode')
    order(GaussianLabelCodec(), 'flip', 'encode')
    order(GridLabelCodec(dict(pitch=(-90, 90, 10)), sigma=10.0), 'encode', 'flip')
    for names in (['flip', 'encode'], ['encode', 'flip'], ['pose', 'flip', 'encode']):
        with pytest.raises(ValueError, match='RandomFlip, FlipHeadPose, EncodeLabelDistribution'):
            order(pose, *names)
    with pytest.raises(ValueError, match='RandomFlip mirrors images'):
        order(pose, 'flip', 'encode', 'pose')


def test_codecs_of_different_types():
    class Other(GaussianLabelCodec):
        pass

    with pytest.raises(ValueError, match="type is 'GaussianLabelCodec' in a, but 'Other' in b"):
        check_same_codec('a', GaussianLabelCodec(), 'b', Other())


@pytest.mark.parametrize('in_pipeline', [False, True])
def test_rows_of_data_sets_of_mmpretrain_are_checked(in_pipeline, tmp_path):
    codec = MultiLabelCodec(num_classes=3)
    encode = EncodeLabelDistribution(codec if in_pipeline else None)

    def check(*labels):
        rows = [dict(img_path=f'{i}.jpg', gt_label=label) for i, label in enumerate(labels)]
        file = tmp_path / 'annotations.json'
        file.write_text(json.dumps(dict(metainfo=dict(classes=['a', 'b', 'c']), data_list=rows)))
        share_codec(MultiLabelDataset(str(file), pipeline=[encode]), codec)
        encode.codec = codec if in_pipeline else None

    check([0], [1, 2])
    with pytest.raises(ValueError, match=r'no class is positive .*1\.jpg'):
        check([0], [])
    encode.codec = codec if in_pipeline else None
    with pytest.raises(ValueError, match=r'class index 3 of the sample .*0\.jpg'):
        check([3])


def test_another_number_of_classes_than_the_data_set_names_is_refused():
    named = SimpleNamespace(metainfo=dict(classes=('ant', 'bee', 'cat')))
    expected = 'num_classes is 4, but SimpleNamespace has 3 classes: ant, bee, cat'
    codec = MultiLabelCodec(4)
    with pytest.raises(ValueError, match=expected):
        CodecCheckHook().before_run(runner(codec, dataset(codec), named))
    named.pipeline = dataset(codec).pipeline
    with pytest.raises(ValueError, match=expected):
        share_codec(named, None)
    same = MultiLabelCodec(3)
    CodecCheckHook().before_run(
        runner(same, dataset(same), SimpleNamespace(metainfo=named.metainfo))
    )
