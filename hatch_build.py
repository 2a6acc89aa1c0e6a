"""Builds the compiled modules into the wheel, where there is a C compiler; else the wheel is pure."""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "otel_accubooks"


class CompiledModules(BuildHookInterface[Any]):
    """Compiles the C files of PACKAGE, for an editable install beside them.

    Each of them has a module in Python that does the same. So whatever fails costs speed, nothing else.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Tells hatchling, in `build_data`, of what was built. `version` is "standard" or "editable"."""
        self._folder = tempfile.TemporaryDirectory(prefix="otel-accubooks-")
        root, folder = Path(self.root), Path(self._folder.name)
        reason = _unsupported()
        if reason is None:
            try:
                _compile(root, folder, root if version == "editable" else folder)
            # setuptools has a dozen ways to say that there is no compiler.
            except Exception as error:
                reason = " ".join(str(error).split()) or type(error).__name__
        if reason is not None:
            self.app.display_warning(f"otel-accubooks: what is compiled stays in Python: {reason}")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for built in (folder / PACKAGE).rglob("_*.*"):
            build_data["force_include"][str(built)] = str(built.relative_to(folder))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Clears away what the wheel has by now."""
        self._folder.cleanup()


def _unsupported() -> str | None:
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "this Python is free-threaded"
    if sys.implementation.name != "cpython":
        return f"this is {sys.implementation.name}, and the compiled one is for CPython"
    return None


def _compile(root: Path, folder: Path, place: Path) -> None:
    """Compiles in `folder`, and puts the modules below `place`.

    Raises what setuptools raises, and ImportError without it.
    """
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    class Reproducible(build_ext):
        """Of the same source and compiler the same bytes: no path and no debug information in them."""

        def build_extensions(self) -> None:
            if self.compiler.compiler_type == "unix":
                # What the building Python was linked with: a folder of this machine.
                linker = self.compiler.linker_so
                self.compiler.linker_so = [part for part in linker if "-rpath" not in part]
                for extension in self.extensions:
                    extension.extra_compile_args = ["-g0"]
                    extension.extra_link_args = ["-Wl,-s"] if sys.platform == "linux" else []
            super().build_extensions()

    modules = [
        # A relative name of the source, which may end up in what is made of it.
        Extension(".".join(path.relative_to(root).with_suffix("").parts), [os.path.relpath(path)])
        for path in sorted((root / PACKAGE).rglob("_*.c"))
    ]
    command = Distribution(
        {"ext_modules": modules, "cmdclass": {"build_ext": Reproducible}}
    ).get_command_obj("build_ext")
    command.build_temp = str(folder / "temporary")
    command.build_lib = str(place)
    command.ensure_finalized()
    command.run()
