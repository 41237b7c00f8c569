"""Builds the optional native kernels; everything else about the package stands in pyproject.toml.

Without a C++ compiler the package installs all the same and runs on its PyTorch reference.
"""

import os
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
    "-fno-strict-aliasing",  # vectors move 32-bit numbers of either kind
    # GCC takes the undefined halves inside its own intrinsics for mistakes of ours.
    *("-Wall", "-Wextra", "-Wno-maybe-uninitialized", "-Wno-uninitialized"),
]
# What is written for one kind of processor: its instruction sets, and how each is asked for.
AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"]
X86 = {
    "isa_avx2.cpp": ["-mavx2", "-mfma"],
    "isa_avx512.cpp": AVX512,
    "isa_avx512_vnni.cpp": [*AVX512, "-mavx512vnni"],
    "isa_avx512_bf16.cpp": [*AVX512, "-mavx512bf16"],
    "isa_amx.cpp": [*AVX512, "-mavx512bf16", "-mamx-tile", "-mamx-int8", "-mamx-bf16"],
}
ARM = {
    "isa_neon.cpp": [],
    "isa_neon_dotprod.cpp": ["-march=armv8.2-a+dotprod"],
}
ISA_FLAGS = {"x86_64": X86, "amd64": X86, "aarch64": ARM, "arm64": ARM}


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
        isas = ISA_FLAGS.get(machine_of(compiler), {})
        others = {name for each in (X86, ARM) for name in each if name not in isas}
        wanted = [path for path in map(Path, ext.sources) if path.name not in others]
        known = [path for path in wanted if has_flags(compiler, path, isas.get(path.name, []))]
        macros = [f"-D{macro_of(path)}" for path in known if path.name in isas]
        for source in known:
            made.append(str(objects / source.with_suffix(".o").name))
            flags = [*FLAGS, *macros, *isas.get(source.name, []), *added_flags()]
            run([*compiler, *flags, "-c", str(source), "-o", made[-1]])
        run([*compiler, "-shared", "-pthread", *added_flags(), *made, "-o", str(library)])


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


def added_flags() -> list[str]:
    """What whoever builds wants besides, such as the sanitizers."""
    return os.environ.get("CXXFLAGS", "").split()


def machine_of(compiler: list[str]) -> str:
    """The kind of processor that the compiler writes for, which need not be this machine's."""
    command = [*compiler, "-dumpmachine"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return done.stdout.partition("-")[0].lower()


def has_flags(compiler: list[str], source: Path, flags: list[str]) -> bool:
    """Whether the compiler knows the instructions that a source is written in."""
    command = [*compiler, *flags, "-x", "c++", "-fsyntax-only", os.devnull]
    has = not flags or subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603
    if not has:
        sys.stderr.write(f"{compiler[0]} is too old for {source.name}, which is left out.\n")
    return has


def macro_of(source: Path) -> str:
    """By what the rest of the library knows that an instruction set is part of it."""
    return source.stem.replace("isa_", "PENSTOCK_").upper()


def run(command: list[str]) -> None:
    subprocess.run(command, check=True)  # noqa: S603  # the compiler and our own sources


def announce(problem: str) -> None:
    """Say once, where pip shows it, that the package goes without kernels."""
    sys.stderr.write(f"Penstock installs without its native kernels: {problem}.\n")


setup(
    ext_modules=[
        Extension(
            "penstock.kernels.libpenstock_kernels",
            sorted(path.as_posix() for path in KERNELS.glob("*.cpp")),
            depends=sorted(path.as_posix() for path in KERNELS.glob("*")),
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildKernels, "bdist_wheel": PlatformWheel},
)
