"""Files that would take memory, time or more from whoever loads them are refused before they are loaded."""

from __future__ import annotations

import io
import pickle
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modscope.checkpoints.reading import read_file, read_table
from modscope.checkpoints.scanning import scan_pickle
from modscope.errors import CheckpointError, InputError

PROTOCOL = b"\x80\x02"
SETTING = PROTOCOL + b"}X\x01\x00\x00\x00k"  # an empty dict and its first key


def archive(path: Path, pickled: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("net/data.pkl", pickled)
        made.writestr("net/version", b"3\n")
    return path


def doubled(times: int, make: bytes) -> bytes:
    """A container of two of the same container of two of the same ..."""
    steps = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + make for i in range(times))
    return b")" + steps


@pytest.mark.parametrize(
    ("pickled", "why"),
    [
        (SETTING + b"c__builtin__\nbytearray\n\x8a\x05\x00\x00\x00\x80\x01\x85Rs.", "bytearray"),
        (SETTING + b"cbuiltins\nbytearray\nJ\x00\x00\x00\x40\x85Rs.", "bytearray"),
        (SETTING + b"ctorch\nFloatStorage\nJ\x00\x00\x00\x40\x85Rs.", "a call of torch.FloatStorage"),
        (SETTING + b"ctorch\nFloatStorage\nJ\x00\x00\x00\x40\x85\x81s.", "a call of torch.FloatStorage"),
        (PROTOCOL + b"}" + doubled(60, b"\x86") + b"Ns.", "many times over"),
        (SETTING + doubled(60, b"\x86") + b"s.", "many times over"),
        (SETTING + b"]" + b"]" * 2000 + b"a" * 2000 + b"s.", "inside each other"),
        (SETTING + b"]q\x00" + b"h\x00as.", "filled after it was used"),
        (SETTING + b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86Rs.", "_codecs.encode"),
        (SETTING + b"cos\nsystem\nX\x02\x00\x00\x00ls\x85Rs.", r"asks for os.system to be called"),
        (SETTING + b"I1\ns.", "the instruction INT"),
        (SETTING + b"X\x01\x00\x00\x00aQs.", "something else than the numbers of a tensor"),
        (SETTING, "cut short"),
        (PROTOCOL + b"s.", "cut short"),
    ],
)
def test_pickles_that_would_do_harm(tmp_path: Path, pickled: bytes, why: str) -> None:
    with pytest.raises(CheckpointError, match=why) as caught:
        read_file(archive(tmp_path / "net.pt", pickled))
    assert len(str(caught.value)) < 1000


def test_names_of_foreign_classes_pass_because_nothing_is_made_of_them() -> None:
    pickled = pickle.dumps({"config": Path("a")}, protocol=2)
    assert any("Path" in name for name in scan_pickle(pickled, source="net.pt").foreign)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text("abcé '.", max_size=5)
    | st.sampled_from(
        [torch.zeros(2, 3), torch.ones(4, dtype=torch.int64), torch.Size([1, 2]), torch.float32]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcé '.", max_size=3) | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


@given(plain, st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_torch_writes_of_plain_values_passes(value: object, zipped: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.pt"
        torch.save({"value": value}, path, _use_new_zipfile_serialization=zipped)
        assert read_file(path).data.keys() == {"value"}


def test_two_directories_in_one_archive(tmp_path: Path) -> None:
    """zipfile reads the last directory, another reader the one that the end record points at."""
    path = tmp_path / "net.pt"
    torch.save({"w": torch.zeros(3)}, path)
    outer = path.read_bytes()
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as made:
        made.writestr("net/data.pkl", b"small")
    path.write_bytes(outer + inner.getvalue())
    with pytest.raises(CheckpointError, match="directory"):
        read_file(path)


def test_a_name_twice_in_an_archive(tmp_path: Path) -> None:
    path = archive(tmp_path / "net.pt", PROTOCOL + b"}.")
    with zipfile.ZipFile(path, "a") as made, pytest.warns(UserWarning, match="Duplicate"):
        made.writestr("net/data.pkl", PROTOCOL + b"}.")
    with pytest.raises(CheckpointError, match="twice"):
        read_file(path)


def test_every_flipped_bit_of_a_tensor_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"w": torch.arange(50.0)}, path)
    whole = path.read_bytes()
    at = whole.index(struct.pack("<3f", 1, 2, 3))
    for bit in range(0, 400, 23):
        damaged = bytearray(whole)
        damaged[at + bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            read_file(path)


def test_old_files_that_claim_more_numbers_than_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"w": torch.arange(300.0)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    assert whole.count(b"M\x2c\x01") > 1
    path.write_bytes(whole.replace(b"M\x2c\x01", b"M\xff\xff", 1))
    with pytest.raises(CheckpointError, match="claim more numbers than the file holds"):
        read_file(path)


@pytest.mark.parametrize("name", ["a\x1b]0;owned\x07", "x" * 200_000, "a\nb", "\u202ebias"])
def test_names_that_no_terminal_should_see(tmp_path: Path, name: str) -> None:
    torch.save({name: torch.zeros(2)}, tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match="a tensor is called") as caught:
        read_file(tmp_path / "net.pt")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_tables_that_are_larger_inside(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(".".join(["a"] * 20_000) + " = 1")
    with pytest.raises(InputError, match="a key of more than 16 words"):
        read_table(path)
    path.write_text('x = "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18"\ny = [0.5, 0.25]\nz.a.b = 3\n')
    assert read_table(path)["z"] == {"a": {"b": 3}}
    path.write_text("x = 1\n" * 300_000)
    with pytest.raises(InputError, match="more than 1048576 is not read"):
        read_table(path)
    (tmp_path / "c.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="not readable as JSON"):
        read_table(tmp_path / "c.json")
