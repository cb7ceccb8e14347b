"""The training loop, and what a run leaves behind."""

from gan_course.train.log import History
from gan_course.train.loop import fit
