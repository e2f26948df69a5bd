"""Cached features are those of these weights and rows, private, checked, and forgotten when told so."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from certified.features import FeatureCache, extract_features
from certified.features.cache import row_keys

rng = np.random.default_rng(1)
X = rng.normal(size=(11, 3))
WEIGHTS = rng.normal(size=(3, 2)).astype(np.float32)


def model(params: Any, x: Any) -> Any:
    return x @ params


class Counter:
    """Extracts through a cache, compares with an extraction without, and tells how many entries came."""

    def __init__(self, cache: FeatureCache) -> None:
        self.cache = cache

    def rows(self, params: Any = WEIGHTS, data: Any = X, batch_size: int = 1) -> int:
        before = len(self.cache)
        found = extract_features(model, params, data, batch_size=batch_size, cache=self.cache)
        assert np.array_equal(found, extract_features(model, params, data, batch_size=batch_size))
        return len(self.cache) - before


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "features")


def only_file(cache: FeatureCache) -> Path:
    (path,) = cache.folder.iterdir()
    return path


def test_a_changed_weight_or_row_misses(cache: FeatureCache) -> None:
    new = Counter(cache)
    assert new.rows() == 11
    assert new.rows() == 0
    nudged = X.copy()
    nudged[4, 1] = np.nextafter(nudged[4, 1], 9.0)
    assert new.rows(data=nudged) == 1
    weights = WEIGHTS.copy()
    weights[2, 1] = np.nextafter(weights[2, 1], np.float32(9.0), dtype=np.float32)
    assert new.rows(params=weights) == 11
    assert new.rows(batch_size=4) == 11


def test_another_model_misses_though_its_parameters_are_equal(cache: FeatureCache) -> None:
    extract_features(model, WEIGHTS, X, cache=cache)
    doubled = extract_features(lambda params, x: 2.0 * (x @ params), WEIGHTS, X, cache=cache)
    assert np.array_equal(doubled, extract_features(lambda params, x: 2.0 * (x @ params), WEIGHTS, X))
    shift = np.float32(1.0)
    first = extract_features(lambda x: x + shift, None, X, cache=cache)
    shift = np.float32(2.0)
    assert np.allclose(extract_features(lambda x: x + shift, None, X, cache=cache) - first, 1.0)


def test_equal_rows_share_an_entry(cache: FeatureCache) -> None:
    assert Counter(cache).rows(data=np.concatenate([X, X[::-1]])) == 11


def test_a_cached_answer_is_read_not_computed(cache: FeatureCache) -> None:
    extract_features(model, WEIGHTS, X, cache=str(cache.folder))
    (name,) = [path.stem for path in cache.folder.iterdir()]
    cache.write(name, {key: np.full(2, 7.0) for key in cache.read(name)})
    assert np.array_equal(extract_features(model, WEIGHTS, X, cache=cache), np.full((11, 2), 7.0))


def test_progress_counts_what_was_there_as_done(cache: FeatureCache) -> None:
    seen: list[tuple[int, int]] = []

    def extract(data: Any) -> None:
        extract_features(model, WEIGHTS, data, batch_size=4, cache=cache, progress=lambda *told: seen.append(told))

    extract(X[:5])
    extract(X)
    extract(X)
    assert seen == [(4, 5), (5, 5), (9, 11), (11, 11), (11, 11)]


def test_files_are_their_owners_alone(cache: FeatureCache) -> None:
    Counter(cache).rows()
    assert stat.S_IMODE(only_file(cache).stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700


def test_every_damage_is_computed_anew(cache: FeatureCache) -> None:
    Counter(cache).rows()
    content = only_file(cache).read_bytes()
    expected = extract_features(model, WEIGHTS, X, batch_size=1)
    for place in [*range(0, len(content), 37), len(content) - 1]:
        damaged = bytearray(content)
        damaged[place] ^= 1
        only_file(cache).write_bytes(damaged)
        assert len(cache) == 0
        assert np.array_equal(extract_features(model, WEIGHTS, X, batch_size=1, cache=cache), expected)
        assert only_file(cache).read_bytes() == content
    for size in (0, 10, 60, len(content) // 2, len(content) - 1):
        only_file(cache).write_bytes(content[:size])
        assert np.array_equal(extract_features(model, WEIGHTS, X, batch_size=1, cache=cache), expected)


def test_forgotten_rows_leave_every_file(cache: FeatureCache) -> None:
    new = Counter(cache)
    other = WEIGHTS[::-1].copy()
    new.rows(), new.rows(params=other)
    values = extract_features(model, WEIGHTS, X, batch_size=1)[3]
    assert any(values.tobytes() in path.read_bytes() for path in cache.folder.iterdir())
    assert cache.forget(X[[3, 5]]) == 4
    assert not any(
        trace in path.read_bytes() for path in cache.folder.iterdir() for trace in (values.tobytes(), row_keys(X)[3])
    )
    assert cache.forget(X[[3]]) == 0
    assert new.rows() == 2, "the rows that were forgotten are computed again, no others"


def test_rows_are_forgotten_in_whatever_type_they_come(cache: FeatureCache) -> None:
    data = X.astype(np.float32)
    Counter(cache).rows(data=data)
    assert cache.forget(data[:2].astype(np.float64)) == 2


def test_only_the_rows_that_stay_are_kept(cache: FeatureCache) -> None:
    Counter(cache).rows()
    assert cache.keep(X[2:6]) == 7
    assert len(cache) == 4
    assert cache.keep(np.zeros((1, 3))) == 4
    assert list(cache.folder.iterdir()) == [], "a file without entries is no file"


def test_forgetting_removes_what_it_cannot_read(cache: FeatureCache) -> None:
    Counter(cache).rows()
    path = only_file(cache)
    path.write_bytes(path.read_bytes()[:-3])
    leftover = path.with_name(f".{path.name}.killed")
    leftover.write_bytes(b"half a file")
    stranger = cache.folder / "notes.txt"
    stranger.write_text("mine")
    assert cache.forget(X[:1]) == 0
    assert list(cache.folder.iterdir()) == [stranger]


def test_a_write_that_fails_leaves_the_old_file(cache: FeatureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    new = Counter(cache)
    new.rows()
    content = only_file(cache).read_bytes()

    def full(*_: Any) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(OSError, match="disk full"):
            extract_features(model, WEIGHTS, X + 1.0, batch_size=1, cache=cache)
    assert only_file(cache).read_bytes() == content


def test_nothing_of_a_row_is_shown(cache: FeatureCache) -> None:
    assert repr(cache) == f"FeatureCache({str(cache.folder)!r})"
