"""Everything stands in pyproject.toml; this adds configs/, which lies beside the package, to what is installed."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Copies configs/ into the package; an editable install reads it where it is."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            shutil.copytree("configs", Path(self.build_lib, "recbole_attnseq", "configs"), dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithConfigs})
