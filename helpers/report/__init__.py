"""From notebooks to reports: ``python -m helpers.report``. A notebook itself needs nothing of this but ``record``.

Nothing is imported here: ``from helpers.report import record`` and ``--help`` must stay quick.
"""
