"""What a notebook's run depends on, and whether an earlier run is therefore still good. Nothing is executed for it.

`fingerprint` says what decides a run's results (`Inputs` for many sets of parameters), `page` what decides only how
its report looks, and `changes` what of two such answers differs, in words. An executed notebook carries both in its
metadata, for `earlier` to read.

What a run depends on is told from the sources, and from what lies on the disk: importing PyTorch to ask the helpers
themselves would take longer than all the rest. Not seen are modules whose names are put together while the code runs
(``importlib.import_module``), files other than data sets and weights that code cells read, and the device: results
computed on a GPU stay good on a machine without one, and each report says where its own were computed.
"""

from helpers.report.inputs.changes import changes
from helpers.report.inputs.earlier import Earlier, earlier
from helpers.report.inputs.gather import Fingerprint, Inputs, fingerprint, helpers_used, page
from helpers.report.inputs.on_disk import Disk

__all__ = ["Disk", "Earlier", "Fingerprint", "Inputs", "changes", "earlier", "fingerprint", "helpers_used", "page"]
