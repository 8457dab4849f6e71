"""Makes helpers/data/fashion_mnist_subset from the whole of Fashion-MNIST, where that lies on this machine.

python docs/make_fashion_subset.py

Of each class 600 training and 100 test images, drawn once by a fixed seed and left in their order, in the format of the
originals. With the same zlib byte for byte the same: `git status` shows whether the committed files are these.
"""

import gzip
import struct

import numpy as np

from helpers.data import sets

PER_CLASS = {"train": 600, "test": 100}
SEED = 0


def main() -> None:
    whole = sets.read(sets.get("fashion_mnist"), sets.find("fashion_mnist"))
    target = sets.find("fashion_mnist_subset")
    generator = np.random.default_rng(SEED)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = whole[split].images[:, 0].numpy(), whole[split].labels.numpy().astype(np.uint8)
        chosen = [generator.permutation(np.flatnonzero(labels == label))[: PER_CLASS[split]] for label in range(10)]
        chosen = np.sort(np.concatenate(chosen))
        for what, array in (("images-idx3", images[chosen]), ("labels-idx1", labels[chosen])):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            packed = gzip.compress(header + array.tobytes(), 9, mtime=0)
            (target / f"{prefix}-{what}-ubyte.gz").write_bytes(packed)


if __name__ == "__main__":
    main()
