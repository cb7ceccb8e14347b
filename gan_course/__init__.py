"""Reference implementations for the GAN course: ``from gan_course import data, losses, train, ...``."""

__version__ = "0.1.0"
