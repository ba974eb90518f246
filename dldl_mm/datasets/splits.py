"""Splitting a data set, so that nothing of the test set is seen in training.

Samples that must stay together, images of one person and byte-identical images, are joined into
groups; whole groups are then dealt to the parts. The outcome depends on the samples and the seed
only, not on the order of the rows or on the system.
"""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np


def content_hash(entries: Iterable[tuple[str, Any]]) -> str:
    """Hash what a set of samples holds, whatever their order.

    Args:
        entries: File name, relative and with forward slashes, and value, a number or a vector, of
            each sample.

    Returns:
        The first 12 hexadecimal digits of the SHA-256 over the sorted entries.

    Example:
        >>> content_hash([('b.jpg', 31), ('a.jpg', 24.5)])
        'f1cf405ca0d6'
        >>> content_hash([('a.jpg', 24.5), ('b.jpg', 31.0)])
        'f1cf405ca0d6'
    """
    lines = sorted(
        f'{name}\t{" ".join(repr(float(v)) for v in np.atleast_1d(value))}\n'
        for name, value in entries
    )
    return hashlib.sha256(''.join(lines).encode()).hexdigest()[:12]


def file_digests(paths: Sequence[str]) -> list[str | None]:
    """Hash those files that may have a copy among the others.

    Args:
        paths: N files.

    Returns:
        N hexadecimal SHA-256 digests; None for a file whose size no other file has, which
        therefore has no copy and is not read.

    Raises:
        OSError: if a file cannot be read.
    """
    sizes = [os.path.getsize(path) for path in paths]
    count = Counter(sizes)
    digests: list[str | None] = []
    for path, size in zip(paths, sizes, strict=True):
        if count[size] == 1:
            digests.append(None)
            continue
        with open(path, 'rb') as file:
            digests.append(hashlib.sha256(file.read()).hexdigest())
    return digests


def join_groups(count: int, *keys: Sequence[Hashable | None]) -> list[int]:
    """Join samples that share a key, directly or through others.

    Args:
        count: N, the number of samples.
        *keys: N keys each, such as the persons or the digests of the files; None joins nothing.

    Returns:
        N group numbers: the smallest index in the group.

    Example:
        >>> join_groups(4, ['ann', 'bob', 'ann', 'cem'], [None, 'x', None, 'x'])
        [0, 1, 0, 1]
    """
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for column in keys:
        first: dict[Hashable, int] = {}
        for index, key in enumerate(column):
            if key is None:
                continue
            a, b = root(first.setdefault(key, index)), root(index)
            parent[max(a, b)] = min(a, b)
    return [root(index) for index in range(count)]


def find_contradictions(
    values: Sequence[Hashable], digests: Sequence[str | None]
) -> list[list[int]]:
    """Find byte-identical images that are annotated with different values.

    Args:
        values: N values.
        digests: N digests from :func:`file_digests`.

    Returns:
        The indices of each set of copies that contradict each other.
    """
    copies = defaultdict(list)
    for index, digest in enumerate(digests):
        if digest is not None:
            copies[digest].append(index)
    return [found for found in copies.values() if len({values[index] for index in found}) > 1]


def deal(
    names: Sequence[str],
    groups: Sequence[int],
    shares: Mapping[str, float],
    *,
    seed: int = 0,
    strata: Sequence[Hashable] | None = None,
) -> list[str]:
    """Deal whole groups to parts of given shares, at random.

    The groups are taken from large to small, equals in an order drawn by the seed (by hashing it
    with the group's first file name, so that neither the order of the rows nor the version of a
    random number generator matters). Each goes to the part that it leaves least full, relative to
    the part's share: of the samples as a whole and, with ``strata``, of each stratum.

    Args:
        names: N distinct file names.
        groups: N group numbers, as from :func:`join_groups`.
        shares: Share of each part, positive; they are divided by their sum.
        seed: Seed.
        strata: N strata whose proportions the parts should keep, such as the decades of age.

    Returns:
        The part of each of the N samples.

    Raises:
        ValueError: for a share that is not positive, or a part that would stay empty.
    """
    for part, share in shares.items():
        if not share > 0:
            raise ValueError(f'the share of {part} must be positive, got {share!r}')
    labels: Sequence[Hashable] = [0] * len(names) if strata is None else strata
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)

    def rank(indices: list[int]) -> tuple[int, str]:
        first = min(names[index] for index in indices)
        return -len(indices), hashlib.sha256(f'{seed}:{first}'.encode()).hexdigest()

    total = sum(shares.values())
    in_stratum = Counter(labels)
    filled: dict[str, Counter] = {part: Counter() for part in shares}
    size = dict.fromkeys(shares, 0)
    result = [''] * len(names)
    for indices in sorted(members.values(), key=rank):
        # Sorted, because floating-point sums depend on the order.
        counts = sorted(Counter(labels[index] for index in indices).items(), key=str)

        def fullness(part: str, indices: list[int] = indices, counts: list = counts) -> float:
            share = shares[part] / total
            value = (size[part] + len(indices)) / (share * len(names))
            for label, n in counts:
                there = (filled[part][label] + n) / (share * in_stratum[label])
                value += there * n / len(indices)
            return value

        chosen = min(shares, key=fullness)
        size[chosen] += len(indices)
        filled[chosen].update(dict(counts))
        for index in indices:
            result[index] = chosen
    empty = [part for part, n in size.items() if n == 0]
    if empty:
        raise ValueError(
            f'{len(names)} samples in {len(members)} groups are too few: {", ".join(empty)} '
            'would stay empty'
        )
    return result


def leave_one_out(subjects: Sequence[str], groups: Sequence[int]) -> list[str]:
    """Give each subject a fold of its own, numbered from 1 in the order of their names.

    Args:
        subjects: N subjects.
        groups: N group numbers that join at least the samples of each subject; subjects that share
            a group (a photograph filed under two names) share a fold.

    Returns:
        The fold of each of the N samples, as text.
    """
    name: dict[int, str] = {}
    for subject, group in zip(subjects, groups, strict=True):
        name[group] = min(subject, name.get(group, subject))
    number = {group: str(k) for k, group in enumerate(sorted(name, key=lambda g: name[g]), 1)}
    return [number[group] for group in groups]


def check_disjoint(train: Sequence[Mapping[str, Any]], test: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a test set that shares persons or images with the training set.

    Images are compared by content, so that a copy under another name is found.

    Args:
        train: Data items, with ``img_path`` and optionally ``subject``, such as the data sets of
            this package hold.
        test: Data items.

    Raises:
        ValueError: naming the persons and the files that stand in both.

    Example:
        >>> train = [dict(img_path='a.jpg', subject='ann')]
        >>> check_disjoint(train, [dict(img_path='b.jpg', subject='ann')])
        Traceback (most recent call last):
        ...
        ValueError: training and test set share 1 subjects: ann
    """
    subjects = sorted(_subjects(train) & _subjects(test))
    if subjects:
        raise ValueError(
            f'training and test set share {len(subjects)} subjects: {_first(subjects, 5)}'
        )
    paths = [item['img_path'] for item in (*train, *test)]
    digests = file_digests(paths)
    trained = dict(zip(digests[: len(train)], paths, strict=False))
    trained.pop(None, None)
    shared = [
        f'{path} = {trained[digest]}'
        for path, digest in zip(paths[len(train) :], digests[len(train) :], strict=True)
        if digest in trained
    ]
    if shared:
        raise ValueError(
            f'training and test set share {len(shared)} identical images: {_first(shared, 5)}'
        )


def _subjects(items: Sequence[Mapping[str, Any]]) -> set[str]:
    return {item['subject'] for item in items if 'subject' in item}


def _first(names: Sequence[str], count: int) -> str:
    more = f', and {len(names) - count} more' if len(names) > count else ''
    return ', '.join(names[:count]) + more
