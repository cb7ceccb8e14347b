"""The programs of the chapter "Where GANs live today"; the rows of the tables are in the modules ``applications_*``."""

from __future__ import annotations

from tools.experiments import Entry
from tools.experiments.programs import Programs

PROGRAMS = Programs(
    "beyond/applications",
    imports="""
import math
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

from gan_course import data, losses, metrics
from gan_course.models.common import update
from gan_course.theory import toy
""",
)

#: The tables stand in the modules with the rows.
ENTRIES: dict[str, Entry] = {}
