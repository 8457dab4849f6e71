"""Folders of images larger than memory: read where they lie in the cache, with bounded memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import helpers

pytestmark = pytest.mark.slow


BOUNDED = """
import json, re, sys, threading, time
from pathlib import Path
import helpers
from helpers import data, storage

def private_memory():  # what lies in no file
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

def watch():
    while not done:
        most.append(private_memory())
        time.sleep(0.002)

root = Path(sys.argv[1])
helpers.DATA = root
storage.SHARE = 0.0001
options = dict(own="cifar10", image_size=640, channels=3, root=root)
data.load("folder:few", **options)  # all libraries are there now
done, most, before = False, [], private_memory()
watching = threading.Thread(target=watch)
watching.start()
data.load("folder:many", **options)
splits = data.load("folder:many", **options)  # from the cache
smaller, _ = data.split(splits.train, val_fraction=0.1, seed=0)
means = [splits.train.mean_std()[0][0], splits.train.images[:, 0, 0, 0].double().mean().item() / 255]
values = [image[0, 0, 0].item() for part in splits.all for image in part.images]
done = True
watching.join()
size = sum(part.images.nbytes for part in splits.all)
json.dump({"bytes": size, "private": max(most) - before, "values": values, "means": means}, sys.stdout)
"""


def test_memory_stays_bounded_when_a_set_is_larger(tmp_path: Path) -> None:
    for index in range(256):
        for folder, number in (("many", 256), ("few", 8)):
            path = tmp_path / f"{folder}/{index % 2}/{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            if index < number:
                Image.new("L", (4, 4), index).save(path)
    command = [sys.executable, "-c", BOUNDED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=helpers.ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["bytes"] == 256 * 3 * 640 * 640
    assert result["private"] < 0.4 * result["bytes"]
    assert sorted(result["values"]) == list(range(256))
    assert result["means"][0] == pytest.approx(result["means"][1])
