"""What is sent to every provider, and what every client gets, held against files that were reviewed."""

from __future__ import annotations

import shutil

import pytest

from .matrix import ALL_CASES, COMMANDS, HERE, Case, made_files, reply_file, request_file, stream_file

CASES = pytest.mark.parametrize("case", ALL_CASES, ids=[case.id for case in ALL_CASES])


@CASES
def test_what_is_made_is_what_was_reviewed(case: Case, rewrites: bool):
    made = made_files(case)
    if rewrites:
        case.folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            (case.folder / name).write_text(text, encoding="utf-8")
        for left in set(case.folder.iterdir()) - {case.folder / name for name in made}:
            left.unlink()
    kept = (
        {path.name: path.read_text(encoding="utf-8") for path in case.folder.iterdir()} if case.folder.exists() else {}
    )
    assert made == kept


def test_every_file_belongs_to_a_case(rewrites: bool):
    kept = {case.folder for case in ALL_CASES}
    strangers = [folder for folder in (HERE / "cases").glob("*/*") if folder not in kept]
    if rewrites:
        for folder in strangers:
            shutil.rmtree(folder)
    else:
        assert strangers == []


def test_there_are_enough_cases_and_every_sample_has_its_place():
    assert len(ALL_CASES) >= 300
    used = {request_file(case) for case in ALL_CASES}
    used |= {reply_file(case) for case in ALL_CASES if case.scenario.plain}
    used |= {stream_file(case) for case in ALL_CASES if case.scenario.streamed}
    samples = [path for folder in ("requests", "replies") for path in (HERE / folder).glob("*/*")]
    spoken = [path for path in samples if path.parent.name not in COMMANDS]
    assert sorted(set(spoken) - used) == []
