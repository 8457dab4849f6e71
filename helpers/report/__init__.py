"""From notebooks to reports: ``python -m helpers.report``.

Nothing is imported here: ``--help`` must stay quick.
"""
