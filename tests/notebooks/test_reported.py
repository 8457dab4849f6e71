"""What notebooks/reported says that the earlier reports say, beside extracts from these."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from helpers import ROOT, record

S0 = (Path(__file__).parent / "S0.txt").read_text(encoding="utf-8")
PRINTED = re.findall(r"^(S\d) (\w+): ([^:]*)$", (Path(__file__).parent / "printed.txt").read_text(), re.MULTILINE)
MEANT = {"parameters": 24e6, "vgg16_parameters": 138e6}  # millions, in the reports


@pytest.mark.parametrize(("report", "first", "digits"), PRINTED)
def test_figures_are_as_the_report_prints_them(report, first, digits):
    printed = record.reported(report).figures.loc[first:, "printed"].str.replace(" ", "")
    assert printed[: len(digits.split())].tolist() == digits.split()


@pytest.mark.parametrize("report", ["S0", "S1", "S2", "S3", "S4"])
def test_a_figures_value_is_the_number_that_is_printed(report):
    figures = record.reported(report).figures
    checked = 0
    for key, row in figures.iterrows():
        if number := re.fullmatch(r"(\d*\.?\d+) ?(%?)(/\d+)?", row["printed"].replace(",", "")):
            value = float(number[1])
            is_percentage = row["unit"] == "%" and (number[2] or value > 1)
            assert row["value"] == pytest.approx(MEANT.get(key, value / 100 if is_percentage else value)), key
            checked += 1
    assert checked > 0.9 * len(figures) or report == "S0"


def weights(name: str) -> list[str]:
    """Of a tensor, as S0 prints them."""
    return re.findall(r"-?\d\.\d{4}", S0[S0.index(f"\n{name}\n") :].split("\n\n")[0])


def test_figures_of_s0_are_those_of_its_text_and_computed_from_the_weights_that_it_prints():
    figures = record.reported("S0").figures
    (settings,) = re.findall(r"learning\\ rate = (\S+), epochs = (\d+), batch\\ size = (\d+)", S0)
    assert [*map(float, settings)] == figures["value"][["learning_rate", "epochs", "batch_size"]].tolist()
    assert "از epoch پنجاهم به بعد" in S0 and figures["value"]["gap_level_from"] == 50
    assert "باید 80 نورون لایه آخر شبکه قبلی نگه داشته شوند و تنها 20 نورون اضافه شوند" in S0
    assert "شامل 100 نورون" in S0
    assert figures["value"][["classes_a", "classes_b", "classes"]].tolist() == [80, 20, 100]

    after = {1: "newModel1", 2: "new_model2", 3: "new_model3"}
    new = [weight for name in after.values() for weight in weights(f"{name}.fc1.weight")[18:]]
    assert figures["printed"]["fc1_new_rows_std"].split() == new and len(new) == 54
    assert figures["value"]["fc1_new_rows_std"] == round(float(np.std([*map(float, new)])), 4)
    for method, name in after.items():
        for part, count in (("conv2_1", None), ("fc1", 18)):
            old, moved = (weights(f"{model}.{part}.weight")[:count] for model in ("my_model", name))
            key = f"method_{method}_{part.replace('fc1', 'fc1_old')}_change"
            if "→" in figures["printed"][key]:
                assert figures["printed"][key].split() == [*old, "→", *moved]
            old, moved = (np.array(each, dtype=float) for each in (old, moved))
            change = math.sqrt(((moved - old) ** 2).sum() / (old**2).sum())
            assert figures["value"][key] == round(change, 4), key


def test_every_claim_of_s0_is_judged_in_one_of_its_two_notebooks():
    notebooks = (ROOT / "notebooks").glob("0[12]_*.ipynb")
    sources = "".join(json.dumps(json.loads(path.read_text(encoding="utf-8"))) for path in notebooks)
    assert all(f'\\"{key}\\": ' in sources for key in record.reported("S0").claims.index)
