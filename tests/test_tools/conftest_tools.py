"""What the tests of the tools share."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
TINY = [
    'model.backbone.stem_channels=8',
    'model.backbone.base_channels=8',
    'model.head.in_channels=64',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
    'test_dataloader.num_workers=0',
    'test_dataloader.persistent_workers=False',
    'train_dataloader.batch_size=8',
]
