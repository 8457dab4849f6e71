"""Sweeps: one notebook run at many points of its parameters, and a page over what they gave.

`points` reads and checks what is asked for, `tasks` are the runs, for `helpers.report.batch`, and `write_summary` reads
the numbers that they left, and writes tables and figures over them.
"""

from helpers.report.sweep.grid import Point, points, sweep_folder, tasks
from helpers.report.sweep.summary import write_summary
from helpers.report.sweep.values import BadSweep

__all__ = ["BadSweep", "Point", "points", "sweep_folder", "tasks", "write_summary"]
