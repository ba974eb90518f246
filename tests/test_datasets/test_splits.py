import hashlib
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from dldl_mm.datasets.splits import (
    check_disjoint,
    deal,
    file_digests,
    find_contradictions,
    join_groups,
    leave_one_out,
)

SHARES = {'train': 0.8, 'val': 0.1, 'test': 0.1}


def sample(seed, count=400):
    """Names, subjects and digests with overlaps, and ages."""
    rng = np.random.default_rng(seed)
    names = [f'{k:04d}.jpg' for k in range(count)]
    subjects = [str(s) for s in rng.integers(0, count // 4, count)]
    digests = [str(d) if d < 30 else None for d in rng.integers(0, 300, count)]
    return names, subjects, digests, rng.integers(0, 90, count)


def components(count, *keys):
    """The groups by repeated merging of sets, as a reference for the union-find."""
    sets = [{k} for k in range(count)]
    for column in keys:
        by_key = defaultdict(set)
        for index, key in enumerate(column):
            if key is not None:
                by_key[key].add(index)
        for joined in by_key.values():
            touched = [s for s in sets if s & joined]
            sets = [s for s in sets if not s & joined] + [set().union(*touched)]
    return {frozenset(s) for s in sets}


@pytest.mark.parametrize('seed', range(5))
def test_groups_are_connected_components(seed):
    _, subjects, digests, _ = sample(seed, 120)
    groups = join_groups(120, subjects, digests)
    found = defaultdict(set)
    for index, group in enumerate(groups):
        found[group].add(index)
    assert {frozenset(s) for s in found.values()} == components(120, subjects, digests)
    assert all(group == min(members) for group, members in found.items())


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('stratified', [False, True])
@pytest.mark.parametrize('shares', [SHARES, {str(k): 1 for k in range(1, 6)}])
def test_no_group_straddles_and_shares_are_kept(seed, stratified, shares):
    names, subjects, digests, ages = sample(seed)
    groups = join_groups(len(names), subjects, digests)
    strata = [int(age) // 10 for age in ages] if stratified else None
    parts = deal(names, groups, shares, seed=seed, strata=strata)
    assert len(parts) == len(names)
    for keys in (subjects, digests):
        places = defaultdict(set)
        for key, part in zip(keys, parts, strict=True):
            if key is not None:
                places[key].add(part)
        assert all(len(where) == 1 for where in places.values())
    # A part misses its share by less than a group, of which the largest here has some 20.
    largest = max(Counter(groups).values())
    total = sum(shares.values())
    for part, share in shares.items():
        assert abs(parts.count(part) - share / total * len(names)) <= largest


def test_single_samples_meet_the_shares_exactly():
    names = [f'{k}.jpg' for k in range(1000)]
    parts = deal(names, range(1000), SHARES)
    assert Counter(parts) == {'train': 800, 'val': 100, 'test': 100}
    parts = deal(names, range(1000), {'1': 1, '2': 1, '3': 1})
    assert sorted(Counter(parts).values()) == [333, 333, 334]


def test_strata_keep_their_proportions():
    names = [f'{k}.jpg' for k in range(1000)]
    strata = ['young'] * 700 + ['old'] * 200 + ['very old'] * 100
    parts = deal(names, range(1000), SHARES, strata=strata)
    for part, share in SHARES.items():
        counts = Counter(s for s, p in zip(strata, parts, strict=True) if p == part)
        for stratum, count in (('young', 700), ('old', 200), ('very old', 100)):
            assert abs(counts[stratum] - share * count) <= 2


def test_order_of_rows_does_not_matter_and_seeds_differ():
    names, subjects, digests, ages = sample(7)
    strata = [int(age) // 10 for age in ages]

    def run(order, seed):
        chosen = [[column[k] for k in order] for column in (names, subjects, digests, strata)]
        groups = join_groups(len(order), chosen[1], chosen[2])
        parts = deal(chosen[0], groups, SHARES, seed=seed, strata=chosen[3])
        return dict(zip(chosen[0], parts, strict=True))

    order = list(range(len(names)))
    shuffled = np.random.default_rng(1).permutation(order).tolist()
    assert run(order, 0) == run(shuffled, 0)
    assert run(order, 0) != run(order, 1)


def test_parts_look_random():
    # Neighbouring names must not alternate between the parts: about 1/4 of the pairs are test-test.
    names = [f'{k:05d}.jpg' for k in range(4000)]
    parts = deal(names, range(4000), {'a': 1, 'b': 1})
    both = np.mean([x == y == 'b' for x, y in pairwise(parts)])
    assert abs(both - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 4000)


def test_deal_refuses_empty_parts_and_shares():
    with pytest.raises(ValueError, match='2 samples in 2 groups are too few: 3 would stay empty'):
        deal(['a', 'b'], [0, 1], {'1': 1, '2': 1, '3': 1})
    with pytest.raises(ValueError, match='the share of val must be positive, got 0'):
        deal(['a', 'b'], [0, 1], {'train': 1, 'val': 0})


def test_leave_one_out():
    subjects = ['cem', 'ann', 'bob', 'ann', 'dan']
    folds = leave_one_out(subjects, join_groups(5, subjects))
    assert folds == ['3', '1', '2', '1', '4']
    # A photograph filed under two names joins their folds.
    folds = leave_one_out(subjects, join_groups(5, subjects, ['x', None, None, None, 'x']))
    assert folds == ['3', '1', '2', '1', '3']


def test_file_digests_and_contradictions(tmp_path):
    contents = [b'same', b'same', b'sam3', b'longer one', b'same', b'sam3']
    paths = []
    for number, content in enumerate(contents):
        paths.append(str(tmp_path / str(number)))
        (tmp_path / str(number)).write_bytes(content)
    digests = file_digests(paths)
    expected = [hashlib.sha256(content).hexdigest() for content in contents]
    assert digests == [*expected[:3], None, *expected[4:]]
    assert find_contradictions([1, 1, 5, 9, 2, 5], digests) == [[0, 1, 4]]
    assert find_contradictions([1, 1, 5, 9, 1, 5], digests) == []


def test_check_disjoint(tmp_path):
    def item(name, content, **extra):
        (tmp_path / name).write_bytes(content)
        return {'img_path': str(tmp_path / name), **extra}

    train = [item('a', b'one', subject='ann'), item('b', b'two', subject='bob')]
    check_disjoint(train, [item('c', b'six', subject='cem'), item('d', b'seven')])
    with pytest.raises(ValueError, match='share 1 subjects: bob'):
        check_disjoint(train, [item('e', b'xxx', subject='bob')])
    with pytest.raises(ValueError, match=r'share 1 identical images: .*f = .*b$'):
        check_disjoint(train, [item('f', b'two', subject='cem')])
    with pytest.raises(ValueError, match=r'share 2 identical images: .*a = .*a, .*b = .*b$'):
        check_disjoint([{'img_path': i['img_path']} for i in train], train)
