"""Builds the optional native kernels; everything else about the package stands in pyproject.toml.

Without a C++ compiler the package installs all the same and runs on its PyTorch reference.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

KERNELS = Path("src/penstock/kernels")
FLAGS = [
    *("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti"),
    "-ffp-contract=off",  # the order and rounding of every sum are ours to fix
    # GCC takes the undefined halves inside its own intrinsics for mistakes of ours.
    *("-Wall", "-Wextra", "-Wno-maybe-uninitialized"),
]
ISA_FLAGS = {
    "isa_avx2.cpp": ["-mavx2", "-mfma"],
    "isa_avx512.cpp": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"],
}
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")


class BuildKernels(build_ext):
    """Compile the kernels into one plain shared library, which is no Python module."""

    def get_ext_filename(self, fullname: str) -> str:
        return str(Path(*fullname.split(".")).with_suffix(".so"))

    def build_extension(self, ext: Extension) -> None:
        compiler = find_compiler()
        if compiler is None:
            announce("no C++ compiler found (set CXX, or install g++ or clang++)")
            return
        try:
            self._compile(compiler, ext)
        except subprocess.CalledProcessError as error:
            announce(f"{compiler[0]} failed with exit status {error.returncode}")

    def _compile(self, compiler: list[str], ext: Extension) -> None:
        library = Path(self.get_ext_fullpath(ext.name))
        library.parent.mkdir(parents=True, exist_ok=True)
        objects = Path(self.build_temp)
        objects.mkdir(parents=True, exist_ok=True)
        made = []
        for source in map(Path, ext.sources):
            made.append(str(objects / source.with_suffix(".o").name))
            own_flags = [*ISA_FLAGS.get(source.name, ()), *(["-DPENSTOCK_X86"] if IS_X86 else ())]
            run([*compiler, *FLAGS, *own_flags, "-c", str(source), "-o", made[-1]])
        run([*compiler, "-shared", "-pthread", *made, "-o", str(library)])


class PlatformWheel(bdist_wheel):
    """The library needs this platform, but no particular Python."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


def find_compiler() -> list[str] | None:
    """The command given by CXX, or the first C++ compiler on the path."""
    named = os.environ.get("CXX", "").split()
    if named:
        return named if shutil.which(named[0]) else None
    found = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    return [found] if found else None


def run(command: list[str]) -> None:
    subprocess.run(command, check=True)  # noqa: S603  # the compiler and our own sources


def announce(problem: str) -> None:
    """Say once, where pip shows it, that the package goes without kernels."""
    sys.stderr.write(f"Penstock installs without its native kernels: {problem}.\n")


def sources() -> list[str]:
    """Every translation unit that this machine's kind of CPU can use."""
    return [
        path.as_posix()
        for path in sorted(KERNELS.glob("*.cpp"))
        if IS_X86 or path.name not in ISA_FLAGS
    ]


setup(
    ext_modules=[
        Extension(
            "penstock.kernels.libpenstock_kernels",
            sources(),
            depends=sorted(path.as_posix() for path in KERNELS.glob("*")),
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildKernels, "bdist_wheel": PlatformWheel},
)
