"""Where the trials are kept: a journal in the study's folder, or a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from fercli.errors import DataError, UsageError
from fercli.stages.tune.config import TuneConfig
from fercli.stages.tune.study import SharedStudy


def config(**options: object) -> TuneConfig:
    return TuneConfig.of(**options)


def test_a_journal_may_be_moved(tmp_path: Path) -> None:
    SharedStudy(config(), tmp_path, "study", "key").study.ask()
    assert len(SharedStudy(config(), tmp_path, "renamed", "key").trials()) == 1


@pytest.mark.parametrize("record", ['{"op_code": 0}', "[1, 2]"])
def test_what_is_no_journal_is_refused(tmp_path: Path, record: str) -> None:
    (tmp_path / "journal.log").write_text(record + "\n")
    with pytest.raises(
        DataError, match=r"journal\.log: not a journal of trials .*; remove it to start the search anew"
    ):
        SharedStudy(config(), tmp_path, "study", "key")


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"storage nosuch://me:\*\*\*@host/x: cannot be opened") as error:
        SharedStudy(config(storage="nosuch://me:secret@host/x"), tmp_path, "study", "key")
    assert "secret" not in str(error.value)


def test_a_database_has_the_studies_of_many(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    SharedStudy(config(storage=storage), tmp_path, "study", "key")
    SharedStudy(config(storage=storage), tmp_path, "other", "other key")
    with pytest.raises(UsageError, match="holds a study named study with another space"):
        SharedStudy(config(storage=storage), tmp_path, "study", "other key")
