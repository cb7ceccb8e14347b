"""``python -m gan_course`` is ``gan-course``; ``torchrun -m gan_course`` is the same in several processes."""

import sys

from gan_course.cli import main

if __name__ == "__main__":
    sys.exit(main())
