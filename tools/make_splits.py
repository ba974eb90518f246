"""Split a data set into training, validation and test parts, or into folds."""

import argparse
import csv
import hashlib
import io
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

import dldl_mm.datasets
from dldl_mm.cli import KeyValueAction
from dldl_mm.datasets._tables import parse_number, read_table
from dldl_mm.datasets.base import LabelDistributionDataset, relative_name
from dldl_mm.datasets.splits import (
    content_hash,
    deal,
    file_digests,
    find_contradictions,
    join_groups,
    leave_one_out,
)

EPILOG = """
examples:
  80/10/10, no person in two parts, decades of age spread evenly:
    make_splits.py faces.csv --images images --group subject --stratify
  five folds of a public data set, read by its reader:
    make_splits.py --reader UTKFace --options data_root=data/utkface data_prefix=images \\
        --scheme kfold --out data/utkface/folds.csv
  leave one person out, head poses:
    make_splits.py poses.csv --value pitch yaw --scheme loso --group person

Byte-identical images always stay in one part. The result depends on the samples and the seed only.
Beside OUT a file of the same name ending in .json records scheme, seed, counts and hashes; the
data sets log the same hash for what they load.
"""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('input', nargs='?', help='CSV file with a header line')
    parser.add_argument('--reader', help='a data set of dldl_mm to read instead of a CSV file')
    parser.add_argument(
        '--options', nargs='+', action=KeyValueAction, default={}, help="the reader's options"
    )
    parser.add_argument('--images', help="folder of the images (default: the CSV file's)")
    parser.add_argument(
        '--out', help='CSV file to write (default: INPUT_split.csv or INPUT_fold.csv)'
    )
    parser.add_argument('--scheme', choices=('holdout', 'kfold', 'loso'), default='holdout')
    parser.add_argument(
        '--fractions',
        nargs=3,
        type=float,
        default=(0.8, 0.1, 0.1),
        metavar=('TRAIN', 'VAL', 'TEST'),
        help='shares of the parts in holdout; 0 leaves a part out (default: .8 .1 .1)',
    )
    parser.add_argument('--folds', type=int, default=5, help='number of folds in kfold')
    parser.add_argument('--group', help='column whose equal values stay together, as subject')
    parser.add_argument(
        '--stratify', action='store_true', help='spread the decades of the first value evenly'
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--column', help='column to add (default: split or fold)')
    parser.add_argument('--file', default='file', help='column of the image file (default: file)')
    parser.add_argument(
        '--value', nargs='+', default=['age'], help='columns of the annotation (default: age)'
    )
    parser.add_argument(
        '--drop-contradictions',
        action='store_true',
        help='leave out identical images that are annotated with different values',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; returns the exit code."""
    args = parse_args(argv)
    try:
        split(args)
    except (ValueError, TypeError, OSError) as error:
        print(f'make_splits: {error}', file=sys.stderr)
        return 2
    return 0


def split(args: argparse.Namespace) -> None:
    """Read the samples, split them and write the result."""
    if (args.input is None) == (args.reader is None):
        raise ValueError('give either a CSV file or --reader')
    if args.scheme == 'loso' and args.group is None:
        raise ValueError('--scheme loso needs --group, the column of the persons')
    if args.scheme == 'kfold' and args.folds < 2:
        raise ValueError(f'--folds must be at least 2, got {args.folds}')
    if args.reader is None:
        header, rows, paths, source = read_csv(args)
    else:
        header, rows, paths, source = read_dataset(args)
    kind = 'split' if args.scheme == 'holdout' else 'fold'
    column = args.column or kind
    if column in header:
        raise ValueError(f'{source} already has a column {column!r}; --column names another')
    for needed in [args.file, *args.value, *([args.group] if args.group else [])]:
        if needed not in header:
            raise ValueError(f'{source} has no column {needed!r}; it has: {", ".join(header)}')
    out = args.out or f'{os.path.splitext(source)[0]}_{kind}.csv'

    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise ValueError(f'{len(missing)} images do not exist, the first is {missing[0]}')
    values = [
        tuple(parse_number(row[name], name, f'{source}, {row[args.file]}') for name in args.value)
        for row in rows
    ]
    digests = file_digests(paths)
    contradictions = find_contradictions(values, digests)
    conflicts = [[rows[index][args.file] for index in found] for found in contradictions]
    if args.drop_contradictions:
        dropped = {index for found in contradictions for index in found}
        keep = [index for index in range(len(rows)) if index not in dropped]
        rows = [rows[index] for index in keep]
        values = [values[index] for index in keep]
        digests = [digests[index] for index in keep]
        if not rows:
            raise ValueError(f'{source}: no rows are left without those that contradict each other')

    parts = assign(args, rows, values, digests)
    names = [row[args.file] for row in rows]
    record = {
        'source': args.reader or os.path.basename(source),
        'scheme': args.scheme,
        'fractions': list(args.fractions) if args.scheme == 'holdout' else None,
        'seed': args.seed if args.scheme != 'loso' else None,
        'group': args.group,
        'stratified': args.stratify if args.scheme != 'loso' else None,
        'values': args.value,
        'samples': len(rows),
        'identical_images': sum(
            n - 1 for n in np.unique([d for d in digests if d], return_counts=True)[1].tolist()
        ),
        'contradictions': sorted(sorted(found) for found in conflicts),
        'contradictions_dropped': args.drop_contradictions,
        'hash': part_hash(names, parts),
        'parts': summarise(names, values, parts, rows, args.group),
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, [*header, column], lineterminator='\n')
    writer.writeheader()
    writer.writerows({**row, column: part} for row, part in zip(rows, parts, strict=True))
    write_atomically(out, text.getvalue())
    write_atomically(f'{os.path.splitext(out)[0]}.json', json.dumps(record, indent=2) + '\n')
    report(out, record)


def read_csv(args: argparse.Namespace) -> tuple[list[str], list[dict[str, str]], list[str], str]:
    """Read a CSV file: its columns, rows, the images' paths, and its own path."""
    header, rows = read_table(args.input)
    if args.file not in header:
        raise ValueError(f'{args.input} has no column {args.file!r}; it has: {", ".join(header)}')
    folder = os.path.dirname(args.input) if args.images is None else args.images
    cells = [row.cells for row in rows]
    for row in cells:
        row[args.file] = row[args.file].replace('\\', '/')
    return header, cells, [os.path.join(folder, row[args.file]) for row in cells], args.input


def read_dataset(
    args: argparse.Namespace,
) -> tuple[list[str], list[dict[str, str]], list[str], str]:
    """Read a data set of the package, as columns of a CSV file."""
    members = {name: getattr(dldl_mm.datasets, name) for name in dldl_mm.datasets.__all__}
    readers = {
        name: cls
        for name, cls in members.items()
        if isinstance(cls, type) and issubclass(cls, LabelDistributionDataset)
    }
    if args.reader not in readers:
        raise ValueError(
            f'--reader: there is no reader {args.reader!r}; there are {", ".join(readers)}'
        )
    if args.out is None:
        raise ValueError('--reader needs --out')
    dataset = readers[args.reader](**args.options)
    rows, paths = [], []
    for index in range(len(dataset)):
        item = dataset.get_data_info(index)
        name = relative_name(item['img_path'], dataset.data_prefix['img_path'])
        vector = np.atleast_1d(item['gt_value']).tolist()
        if len(vector) != len(args.value):
            raise ValueError(f'--value: {args.reader} has {len(vector)} values per image')
        row: dict[str, Any] = {args.file: name, **dict(zip(args.value, vector, strict=True))}
        if 'gt_sigma' in item:
            row['sigma'] = item['gt_sigma']
        if 'gt_votes' in item:
            row['votes'] = ' '.join(f'{vote:g}' for vote in item['gt_votes'])
        if 'subject' in item:
            row['subject'] = item['subject']
        if 'face_box' in item:
            row.update(zip(('x1', 'y1', 'x2', 'y2'), item['face_box'], strict=True))
        row.update((k, v) for k, v in item.get('metadata', {}).items() if k not in row)
        rows.append(row)
        paths.append(item['img_path'])
    header = list(dict.fromkeys(name for row in rows for name in row))
    return (
        header,
        [{name: str(row.get(name, '')) for name in header} for row in rows],
        paths,
        args.out,
    )


def assign(
    args: argparse.Namespace,
    rows: list[dict[str, str]],
    values: list[tuple[float, ...]],
    digests: list[str | None],
) -> list[str]:
    """Give each row its part."""
    names = [row[args.file] for row in rows]
    keys: list[Sequence[str | None]] = [digests, names]
    if args.group:
        subjects = [row[args.group] for row in rows]
        if '' in subjects:
            raise ValueError(f'{names[subjects.index("")]}: the column {args.group!r} is empty')
        keys.append(subjects)
    groups = join_groups(len(rows), *keys)
    if args.scheme == 'loso':
        return leave_one_out(subjects, groups)
    if args.scheme == 'kfold':
        shares = {str(fold): 1.0 for fold in range(1, args.folds + 1)}
    else:
        if min(args.fractions) < 0 or not np.isclose(sum(args.fractions), 1):
            raise ValueError(f'--fractions must be positive and sum to 1, got {args.fractions}')
        named = zip(('train', 'val', 'test'), args.fractions, strict=True)
        shares = {part: share for part, share in named if share > 0}
    strata = [int(value[0] // 10) for value in values] if args.stratify else None
    return deal(names, groups, shares, seed=args.seed, strata=strata)


def part_hash(names: Sequence[str], parts: Sequence[str]) -> str:
    """Hash which file is in which part."""
    lines = sorted(f'{name}\t{part}\n' for name, part in zip(names, parts, strict=True))
    return hashlib.sha256(''.join(lines).encode()).hexdigest()[:12]


def summarise(
    names: Sequence[str],
    values: Sequence[tuple[float, ...]],
    parts: Sequence[str],
    rows: Sequence[dict[str, str]],
    group: str | None,
) -> dict[str, dict[str, Any]]:
    """Count and hash each part, and what remains without it (the training set of a fold)."""
    numbered = all(part.isdigit() for part in parts)
    result = {}
    for part in sorted(set(parts), key=int if numbered else ('train', 'val', 'test').index):
        inside = [index for index, other in enumerate(parts) if other == part]
        entry: dict[str, Any] = {'samples': len(inside)}
        if group:
            entry['groups'] = len({rows[index][group] for index in inside})
        entry['hash'] = content_hash((names[index], values[index]) for index in inside)
        if numbered:
            entry['hash_of_the_others'] = content_hash(
                (name, value)
                for name, value, other in zip(names, values, parts, strict=True)
                if other != part
            )
        result[part] = entry
    return result


def write_atomically(path: str, text: str) -> None:
    """Write a file under another name first, so that it is never seen half-written."""
    temporary = f'{path}.tmp'
    with open(temporary, 'w', encoding='utf-8', newline='') as file:
        file.write(text)
    os.replace(temporary, path)


def report(out: str, record: dict[str, Any]) -> None:
    """Print a summary."""
    print(f'{out}: {record["samples"]} samples, {record["scheme"]}, hash {record["hash"]}')
    for part, entry in record['parts'].items():
        groups = f', {entry["groups"]} {record["group"]}s' if 'groups' in entry else ''
        print(f'  {part}: {entry["samples"]} samples{groups}, hash {entry["hash"]}')
    if record['identical_images']:
        print(f'{record["identical_images"]} images are copies of another; copies stay together')
    conflicts = record['contradictions']
    if conflicts:
        fate = 'left out' if record['contradictions_dropped'] else 'kept, see --drop-contradictions'
        print(f'{len(conflicts)} sets of identical images contradict each other ({fate}):')
        for found in conflicts:
            print(f'  {" = ".join(found)}')


if __name__ == '__main__':
    sys.exit(main())
