"""What a planted fault is."""

from typing import NamedTuple


class Fault(NamedTuple):
    """A way in which the code could be wrong.

    Attributes:
        name: what is wrong.
        file: where, from the repository's root.
        old: text that the file has exactly once.
        new: what stands there instead.
        tests: test files (or single tests) of which one should fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
