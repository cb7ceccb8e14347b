"""Data sets that live on the device, where they come from, and domains to translate between.

:func:`load` returns a :class:`DataSet`, :func:`load_domains` two of them as :class:`Domains`.
"""

from gan_course.data.catalogue import load
from gan_course.data.sets import SPLITS, DataSet, Domains, order
from gan_course.data.stacked import stack
from gan_course.data.translation import load_domains
