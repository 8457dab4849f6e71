"""What can be wrong with data: one named error for each, whose message says what to do."""

from helpers import WorkbookError


class DataError(WorkbookError):
    """Base of all errors about data sets."""


class UnknownDataError(DataError):
    """A data set name that does not exist."""


class MissingDataError(DataError):
    """A data set that is known but does not lie on this machine."""


class EmptyFolderError(DataError):
    """A folder without classes, or a class without images."""


class ClassMismatchError(DataError):
    """Splits or files that disagree about the classes, such as a test class that the training images lack."""


class BadImageError(DataError):
    """Files that are no images, truncated ones, or ones too large to be true; the message names them."""


class BadFileError(DataError):
    """A data set's file that is damaged or of another format."""


class SplitError(DataError):
    """A split that would leave a class without images."""


class LabelError(DataError):
    """Labels, images and class names that do not fit together."""


class FetchError(DataError):
    """A download that failed; nothing half-written is in its place."""
