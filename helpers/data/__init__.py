"""Data sets by name: `load` gives uint8 tensors, labels, class names, three splits, and says where they come from."""

from helpers.data.errors import (
    BadFileError,
    BadImageError,
    ClassMismatchError,
    DataError,
    EmptyFolderError,
    FetchError,
    LabelError,
    MissingDataError,
    SplitError,
    UnknownDataError,
)
from helpers.data.loading import load
from helpers.data.resolution import lower_resolution
from helpers.data.splitting import split
from helpers.data.structures import ImageData, Source, Splits

__all__ = [
    "BadFileError",
    "BadImageError",
    "ClassMismatchError",
    "DataError",
    "EmptyFolderError",
    "FetchError",
    "ImageData",
    "LabelError",
    "MissingDataError",
    "Source",
    "SplitError",
    "Splits",
    "UnknownDataError",
    "load",
    "lower_resolution",
    "split",
]
