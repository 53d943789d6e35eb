"""Other programs' files: read strictly, replaced as one step and only if they are still what was read."""

from __future__ import annotations

import stat

import pytest

from open_llm_auth.cli.client_files import look
from open_llm_auth.errors import ConfigConflict, InvalidRequest


@pytest.fixture
def environ(tmp_path):
    return {"HOME": str(tmp_path)}


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_that_is_not_there_is_made_with_its_directories(tmp_path, environ):
    path = tmp_path / "a" / "b" / "file"
    found = look(path, environ)
    assert (found.exists, found.text()) == (False, "")
    found.write(b"new", private=False)
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700


@pytest.mark.parametrize(("private", "after"), [(True, 0o600), (False, 0o644)])
def test_the_mode_stays_unless_a_secret_stands_in_it(tmp_path, environ, private, after):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o644)
    look(path, environ).write(b"new", private=private)
    assert (path.read_bytes(), mode(path)) == (b"new", after)


def test_a_file_that_somebody_changed_meanwhile_is_theirs(tmp_path, environ):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    found = look(path, environ)
    path.write_bytes(b"theirs")
    with pytest.raises(ConfigConflict, match="Run the command again"):
        found.write(b"new", private=True)
    assert path.read_bytes() == b"theirs"


def test_a_file_that_appeared_meanwhile_is_theirs(tmp_path, environ):
    found = look(tmp_path / "file", environ)
    (tmp_path / "file").write_bytes(b"theirs")
    with pytest.raises(ConfigConflict):
        found.write(b"new", private=True)
    assert (tmp_path / "file").read_bytes() == b"theirs"


def test_it_can_be_put_back(tmp_path, environ):
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_bytes(b"old")
    path.chmod(0o640)
    found, missing = look(path, environ), look(other, environ)
    found.write(b"new", private=True)
    missing.write(b"new", private=True)
    found.put_back()
    missing.put_back()
    assert (path.read_bytes(), mode(path)) == (b"old", 0o640)
    assert not other.exists()


def test_backups_are_private_and_overwrite_nothing(tmp_path, environ):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o644)
    names = [look(path, environ).back_up().name for _ in range(3)]
    assert names == [f"file.open-llm-auth-backup{number}" for number in ("", "-2", "-3")]
    assert all(mode(tmp_path / name) == 0o600 and (tmp_path / name).read_bytes() == b"old" for name in names)


def test_links_are_followed_within_the_home_only(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "kept").write_bytes(b"kept")
    (tmp_path / "foreign").write_bytes(b"foreign")
    (home / "link").symlink_to("kept")
    (home / "out").symlink_to("../foreign")
    (home / "round").symlink_to("round")
    environ = {"HOME": str(home)}
    found = look(home / "link", environ)
    assert found.linked
    found.write(b"new", private=True)
    assert (home / "link").is_symlink()
    assert (home / "kept").read_bytes() == b"new"
    with pytest.raises(InvalidRequest, match="outside your home"):
        look(home / "out", environ)
    with pytest.raises(InvalidRequest, match="can't be read"):
        look(home / "round", environ)


def test_what_is_no_plain_text_file_is_refused(tmp_path, environ):
    with pytest.raises(InvalidRequest, match="not a regular file"):
        look(tmp_path, environ)
    (tmp_path / "huge").write_bytes(b"x" * (4 * 1024 * 1024 + 1))
    with pytest.raises(InvalidRequest, match="longer than"):
        look(tmp_path / "huge", environ)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidRequest, match="UTF-8"):
        look(tmp_path / "binary", environ).text()
