"""``python -m helpers.data``: its output and exit status."""

from pathlib import Path

import pytest

from helpers.data import catalogue, cli
from helpers.data.errors import FetchError


def rows(output: str) -> dict[str, str]:
    return {line.split()[0]: line for line in output.splitlines() if line}


def test_list_shows_what_is_here_and_what_is_missing(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(catalogue, "SYSTEM_PREFIXES", ())
    (tmp_path / "cifar-100-python").mkdir()
    for name in ("train", "test", "meta"):
        (tmp_path / "cifar-100-python" / name).write_bytes(bytes(1_000_000))
    (tmp_path / "cache/deep").mkdir(parents=True)
    (tmp_path / "cache/deep/file").write_bytes(bytes(2_000_000))

    assert cli.main(["list"], root=tmp_path) == 0
    output = capsys.readouterr().out
    shown = rows(output)
    assert shown["cifar100"].endswith("here, 3 MB, from cifar-100-python")
    assert shown["cifar10"].endswith("missing: python -m helpers.data fetch cifar10 (170 MB)")
    assert "missing" in shown["fashion_mnist"] and "Fashion-MNIST" in shown["fashion_mnist"]
    assert "always here" in shown["shapes"] and "folder:<path>" in shown
    assert "cache holds 2 MB" in output


def test_list_works_without_a_data_folder(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert cli.main(["list"], root=tmp_path / "none") == 0
    assert "cache holds 0 MB" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_a_failed_fetch_is_one_line_and_status_1(tmp_path: Path, capsys: pytest.CaptureFixture):
    address = (tmp_path / "empty mirror").as_uri()
    assert cli.main(["fetch", "cifar10", "--url", address], root=tmp_path / "data") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: fetching CIFAR-10 failed: file://")
    assert "--url" in error and "cifar-10-batches-py" in error


def test_arguments_reach_the_fetch(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture):
    calls = []
    monkeypatch.setattr(cli, "fetch", lambda name, **options: calls.append((name, options)) or tmp_path / "set")
    assert cli.main(["fetch", "cifar100", "--url", "http://x", "--url", "y", "--timeout", "5"], root=tmp_path) == 0
    assert cli.main(["fetch", "cifar10"], root=tmp_path) == 0
    assert calls == [
        ("cifar100", {"root": tmp_path, "urls": ["http://x", "y"], "timeout": 5.0}),
        ("cifar10", {"root": tmp_path, "urls": [], "timeout": 30}),
    ]
    assert capsys.readouterr().out == "CIFAR-100 lies in set\nCIFAR-10 lies in set\n"


def test_an_unknown_name_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert cli.main(["fetch", "fashion-mnist"], root=tmp_path) == 2
    assert "Did you mean 'fashion_mnist'?" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "status"), [(FetchError("no"), 1), (KeyboardInterrupt(), 130)])
def test_failures_have_their_own_status(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture, error, status):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli, "fetch", fail)
    assert cli.main(["fetch", "cifar10"], root=tmp_path) == status
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    "arguments", [[], ["fetch"], ["fetch", "cifar10", "--timeout", "soon"], ["fetch", "cifar10", "--timeout", "0"]]
)
def test_malformed_commands_are_status_2(arguments: list[str], capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2


def test_help_shows_examples(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    assert "python -m helpers.data fetch cifar10" in capsys.readouterr().out
