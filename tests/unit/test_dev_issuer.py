"""The development issuer of a deployment in containers: there, or out of the way of a real one."""

import json
from pathlib import Path

import pytest

from orderflow_cli import dev_issuer, dev_key, seed


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ORDERFLOW_URL", raising=False)
    monkeypatch.setenv("ORDERFLOW_DATA", str(tmp_path))
    monkeypatch.setenv("ORDERFLOW_JWT_ISSUER", dev_key.ISSUER)
    (tmp_path / "public").mkdir()
    return tmp_path


def test_it_publishes_the_public_half_of_its_key_only(data: Path) -> None:
    assert dev_issuer.publish(data / "public")

    assert [path.name for path in (data / "public").iterdir()] == ["jwks.json"]
    (key,) = json.loads((data / "public" / "jwks.json").read_text(encoding="utf-8"))["keys"]
    assert "d" not in key


def test_a_second_run_keeps_the_key(data: Path) -> None:
    dev_issuer.publish(data / "public")
    before = dev_key.key_file(data).read_bytes()

    dev_issuer.publish(data / "public")

    assert dev_key.key_file(data).read_bytes() == before


def test_with_a_real_issuer_there_is_no_key(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERFLOW_JWT_ISSUER", "https://id.example.com")

    assert not dev_issuer.publish(data / "public")

    assert not dev_key.key_file(data).exists()
    assert not list((data / "public").iterdir())


def test_with_a_real_issuer_nothing_is_seeded(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dev_issuer.publish(data / "public")  # a key of earlier days
    monkeypatch.setenv("ORDERFLOW_JWT_ISSUER", "https://id.example.com")

    assert seed.main() == 0

    assert "nothing is seeded" in capsys.readouterr().out


def test_a_missing_address_is_one_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dev_issuer.publish(data / "public")

    assert seed.main() == 1

    assert capsys.readouterr().err == "orderflow: ORDERFLOW_URL is missing\n"
