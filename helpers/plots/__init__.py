"""Numbers -> Axes: every picture of the reports, in one style.

Each function takes computed numbers and, but for pictures, an optional ``ax`` (or ``axes``) to draw into, and returns
the Axes that it drew in; it never shows, saves or closes a figure, draws no random number, and leaves matplotlib's
settings alone. Without ``ax`` it opens a new figure as wide as a printed page's text. `helpers.record.figure` closes
it; whoever calls from elsewhere does so with ``matplotlib.pyplot.close(ax.figure)``. What was drawn is noted at the
Axes, see `helpers.plots.style.drawn`. What doesn't fit (shapes, lengths, ranges, names) or could not be read is a
`WorkbookError`.

Class names are shown as they are: ``$`` and ``_`` have no meaning, and matplotlib 3.11 and newer shape Persian and
Arabic themselves (reshaping them beforehand would reverse them).
"""

from helpers.plots.bars import bars_with_error
from helpers.plots.classes import auc, confusion, roc
from helpers.plots.curves import compare_curves, learning_curves, marks, setting_curves
from helpers.plots.images import cam_overlay, feature_maps, predictions, sample_grid
from helpers.plots.style import STYLE, panels
