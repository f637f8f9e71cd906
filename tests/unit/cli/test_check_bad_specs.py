"""`triveni check` says of each bad manifest what is wrong with it, before a cluster has to."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.e2e.bad_specs import BadSpec, bad_specs
from triveni.cli.app import app


@pytest.mark.parametrize("case", [case for case in bad_specs() if case.told], ids=lambda case: case.name)
def test_a_bad_manifest_is_refused_in_one_line(case: BadSpec, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(case.manifest())
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code in (2, 3)
    assert case.told is not None
    assert case.told in result.stderr
    assert len(result.stderr.splitlines()) == 1
