"""What chapters need around the science: a first cell, scales, figures, moving pictures, stored tables."""

from gan_course.notebook.chapter import start, stored
