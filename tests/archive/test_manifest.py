"""A manifest comes back as it was written, and merging loses nothing that is known."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maury.archive import manifest
from maury.archive.manifest import MANIFEST
from maury.errors import MauryError


def identifier(number: int) -> str:
    return f"ADP.2014-09-16T11:04:{number // 1000:02d}.{number % 1000:03d}"


def table(rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist([{"status": "listed"} | row for row in rows], MANIFEST)


THREE = table(
    [
        {"dp_id": identifier(1), "object": "HD20794", "ra": 49.9, "snr": float("nan")},
        {"dp_id": identifier(2), "status": "done", "file": "a.fits", "bytes": 2880, "sha256": "0f"},
        {"dp_id": identifier(3), "status": "failed", "error": "It is not there."},
    ]
)

STATES = st.fixed_dictionaries(
    {
        "status": st.sampled_from(manifest.STATUSES),
        "bytes": st.none() | st.integers(0, 10**12),
        "error": st.none() | st.text(max_size=5),
    }
)
TABLES = st.dictionaries(st.integers(0, 30), st.tuples(STATES, st.text(max_size=3))).map(
    lambda rows: table(
        [{"dp_id": identifier(n), "object": name, **state} for n, (state, name) in rows.items()]
    )
)


def by_identifier(manifest_table: pa.Table) -> dict[str, dict]:
    return {row["dp_id"]: row for row in manifest_table.to_pylist()}


def test_a_manifest_comes_back_with_its_units(tmp_path: Path) -> None:
    manifest.write(THREE, tmp_path / "manifest.parquet")
    for path in (tmp_path, tmp_path / "manifest.parquet"):
        back = manifest.read(path)
        assert back.schema.equals(MANIFEST, check_metadata=True)
        assert back.drop_columns("snr").equals(THREE.drop_columns("snr"))
    assert back.schema.field("first").metadata[b"unit"] == b"Angstrom"
    assert all({b"unit", b"description", b"source"} <= set(field.metadata) for field in MANIFEST)
    assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.parquet"]


def test_a_copy_by_another_tool_is_a_manifest_too(tmp_path: Path) -> None:
    THREE.to_pandas().to_parquet(tmp_path / "copy.parquet")
    back = manifest.read(tmp_path / "copy.parquet")
    assert back["dp_id"].equals(THREE["dp_id"]) and back.schema.equals(MANIFEST)


@settings(max_examples=40, deadline=None)
@given(TABLES, TABLES)
def test_merging_keeps_what_is_known_and_takes_what_is_new(old: pa.Table, new: pa.Table) -> None:
    merged = manifest.merge(old, new)
    before, later, after = by_identifier(old), by_identifier(new), by_identifier(merged)
    assert list(after) == sorted(before.keys() | later.keys())
    assert len(after) == len(merged) and merged.schema.equals(MANIFEST, check_metadata=True)
    for dp_id, row in after.items():
        known = before.get(dp_id, later.get(dp_id))
        assert {name: row[name] for name in manifest.STATE} == {
            name: known[name] for name in manifest.STATE
        }
        assert row["object"] == later.get(dp_id, before.get(dp_id))["object"]


@settings(max_examples=30, deadline=None)
@given(TABLES, TABLES)
def test_merging_twice_is_merging_once(old: pa.Table, new: pa.Table) -> None:
    once = manifest.merge(old, new)
    assert manifest.merge(once, new).equals(once)
    assert manifest.merge(once, once).equals(once)


def test_an_update_changes_its_rows_alone() -> None:
    state = {"dp_id": identifier(1), "status": "done", "file": "b.fits", "bytes": 5760}
    changed = manifest.update(THREE, [state, {"dp_id": identifier(9), "status": "done"}])
    rows = changed.to_pylist()
    assert (rows[0]["status"], rows[0]["file"], rows[0]["bytes"]) == ("done", "b.fits", 5760)
    assert rows[0]["object"] == "HD20794"
    assert rows[1:] == THREE.to_pylist()[1:]


def test_an_update_can_take_a_value_away() -> None:
    row = manifest.update(THREE, [{"dp_id": identifier(3), "status": "listed"}]).to_pylist()[2]
    assert (row["status"], row["error"]) == ("listed", None)


def test_the_journal_beside_it_is_read_up_to_a_half_line(tmp_path: Path) -> None:
    manifest.write(THREE, tmp_path / "manifest.parquet")
    done = {"dp_id": identifier(1), "status": "done", "file": "x.fits", "bytes": 1, "sha256": "aa"}
    lines = json.dumps(done) + "\n" + json.dumps(done | {"dp_id": identifier(3)})[:-3]
    (tmp_path / manifest.JOURNAL).write_text(lines)
    assert manifest.read(tmp_path)["status"].to_pylist() == ["done", "done", "failed"]
    (tmp_path / manifest.JOURNAL).write_text("nonsense\n")
    with pytest.raises(MauryError, match=r"manifest.journal is damaged; delete it"):
        manifest.read(tmp_path)


def test_a_manifest_that_is_being_replaced_is_whole_at_any_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest.write(THREE, tmp_path / "manifest.parquet")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(MauryError, match=r"manifest.parquet cannot be written \(No space left"):
        manifest.write(THREE.slice(0, 1), tmp_path / "manifest.parquet")
    assert len(manifest.read(tmp_path)) == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.parquet"]


def spoiled(**columns: list) -> pa.Table:
    whole = THREE
    for name, values in columns.items():
        place = MANIFEST.names.index(name)
        whole = whole.set_column(place, name, pa.array(values))
    return whole


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (THREE.drop_columns("sha256"), "it has no column sha256"),
        (THREE.append_column("mine", pa.nulls(3)), "it has a column mine"),
        (spoiled(ra=["x", "y", "z"]), "its column ra has the type string, not double"),
        (spoiled(dp_id=[identifier(1), identifier(2), "../../etc/passwd"]), "'../../etc/passwd'"),
        (spoiled(dp_id=[identifier(1), identifier(2), identifier(3) + "\n"]), "like 'ADP.2014"),
        (spoiled(dp_id=[identifier(1), identifier(2), None]), "None"),
        (spoiled(dp_id=[identifier(1)] * 3), f"{identifier(1)} more than once"),
        (spoiled(status=["done", "gone", "done"]), "'gone'; it is one of listed, done, failed"),
        (THREE.replace_schema_metadata({"maury": '{"kind": "catalogue"}'}), "kind 'catalogue'"),
        (THREE.replace_schema_metadata({"maury": '{"version": 99}'}), "version 99"),
        (THREE.replace_schema_metadata({"maury": "[]"}), "damaged"),
    ],
)
def test_what_is_no_manifest_is_refused_in_a_sentence(
    tmp_path: Path, wrong: pa.Table, told: str
) -> None:
    path = tmp_path / "manifest.parquet"
    pq.write_table(wrong, path)
    with pytest.raises(MauryError) as error:
        manifest.read(path)
    sentence = str(error.value)
    assert told in sentence and str(path) in sentence
    assert sentence.endswith(".") and "\n" not in sentence
    with pytest.raises(MauryError):
        manifest.write(wrong, tmp_path / "other.parquet")
    assert not (tmp_path / "other.parquet").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "There is no manifest"),
        (b"PAR1", "cannot be read"),
        (b"a,b\n1,2\n", "cannot be read"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    path = tmp_path / "manifest.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MauryError, match=told) as error:
        manifest.read(path)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_a_manifest_of_nothing_is_one(tmp_path: Path) -> None:
    manifest.write(MANIFEST.empty_table(), tmp_path / "manifest.parquet")
    assert len(manifest.read(tmp_path)) == 0
    assert manifest.merge(MANIFEST.empty_table(), THREE)["dp_id"].equals(THREE["dp_id"])
    assert len(manifest.merge(THREE, MANIFEST.empty_table())) == 3
