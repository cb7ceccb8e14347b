"""The package as a whole: what importing it costs, and that nothing heavy comes in by the side door."""

import pkgutil
import subprocess
import sys

import gan_course

MODULES = [m.name for m in pkgutil.walk_packages(gan_course.__path__, "gan_course.")]


def loaded(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after ``code``."""
    code += "; import sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_costs_nothing():
    """Its modules are imported by name, so the package itself brings in no other package at all."""
    bare, with_package = loaded("pass"), loaded("import gan_course")
    assert with_package - bare <= {"gan_course", "__future__"}


def test_no_module_imports_what_few_need():
    """scikit-learn alone takes a second; what is needed for one data set or one metric is imported where it is used."""
    assert {"gan_course.train", "gan_course.models.gan"} <= set(MODULES)
    present = loaded(f"import {', '.join(m for m in MODULES if m != 'gan_course.notebook.widgets')}")
    assert not present & {"sklearn", "scipy", "torch_fidelity", "IPython", "pandas", "pooch", "requests"}


def test_training_needs_no_picture_library():
    """Matplotlib and torchvision take longer to import than a short run on toy data takes."""
    present = loaded("import gan_course.models, gan_course.train, gan_course.cli")
    assert not present & {"torchvision", "matplotlib", "PIL"}
