"""Which files the demo takes, and how urgent they are."""

from __future__ import annotations

import pytest

from tenure.demo.source import packages_of, priority_of, standard_library
from tenure.errors import InvalidInput


def write(path, text="x = 1\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_are_grouped_by_directory(tmp_path):
    top, one, two = (write(tmp_path / name) for name in ("a.py", "p/b.py", "p/q/c.py"))
    write(tmp_path / "p" / "notes.txt")
    assert packages_of(tmp_path) == {".": [top], "p": [one], "p/q": [two]}


@pytest.mark.parametrize("installed", ["site-packages", "dist-packages"])
def test_what_is_installed_below_is_left_out_but_may_be_asked_for(tmp_path, installed):
    own = write(tmp_path / "a.py")
    other = write(tmp_path / installed / "other" / "b.py")
    assert packages_of(tmp_path) == {".": [own]}
    assert packages_of(tmp_path / installed / "other") == {".": [other]}


def test_what_is_no_file_is_left_out(tmp_path):
    own = write(tmp_path / "a.py")
    (tmp_path / "directory.py").mkdir()
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")
    assert packages_of(tmp_path) == {".": [own]}


def test_names_are_absolute(tmp_path, monkeypatch):
    write(tmp_path / "tree" / "a.py")
    monkeypatch.chdir(tmp_path)
    paths = packages_of((tmp_path / "tree").relative_to(tmp_path))
    assert paths == {".": [tmp_path / "tree" / "a.py"]}


@pytest.mark.parametrize("made", [False, True])
def test_a_directory_without_python_files_is_refused(tmp_path, made):
    directory = tmp_path / "tree"
    if made:
        directory.mkdir()
    with pytest.raises(InvalidInput, match=rf"^path must be a directory.*: .*{directory.name}"):
        packages_of(directory)


@pytest.mark.parametrize(
    ("size", "priority"),
    [(0, 5), (2_000, 5), (2_001, 4), (8_000, 4), (32_000, 3), (128_000, 2), (128_001, 1)],
)
def test_small_files_come_first(tmp_path, size, priority):
    assert priority_of(write(tmp_path / "a.py", "#" * size)) == priority


def test_the_standard_library_is_the_default():
    assert (standard_library() / "ast.py").is_file()
