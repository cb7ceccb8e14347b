"""What chapters need around the science: a first cell, scales, figures, drawings, moving pictures, tables."""

from gan_course.notebook.chapter import start, stored, table
