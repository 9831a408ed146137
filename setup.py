"""Collects the packages of the three source roots, and ships the files that the servers need at run time.

Everything else about the distribution is in setup.cfg.
"""

from pathlib import Path

from setuptools import find_namespace_packages, setup
from setuptools.command.build_py import build_py

SOURCE_ROOTS = ("generated", "clients", "servers")
# Folders of plain files that are part of the server package: read by `ridehail_servers.resources`.
RESOURCES = {f"ridehail_servers.resources.{name}": name for name in ("config", "deploy", "migrations")}

package_dir: dict[str, str] = dict(RESOURCES)
packages: list[str] = list(RESOURCES)
for root in SOURCE_ROOTS:
    for package in find_namespace_packages(root):
        packages.append(package)
        package_dir[package] = f"{root}/{package.replace('.', '/')}"

PROTO = Path("proto")


class BuildWithContracts(build_py):
    """Puts the contracts beside what was generated from them."""

    def run(self) -> None:
        super().run()
        for proto in () if self.editable_mode else sorted(PROTO.glob("ridehail/**/*.proto")):
            target = Path(self.build_lib, proto.relative_to(PROTO))
            self.mkpath(str(target.parent))
            self.copy_file(str(proto), str(target))


setup(
    cmdclass={"build_py": BuildWithContracts},
    packages=packages,
    package_dir=package_dir,
    package_data={
        "ridehail": ["*.binpb", "py.typed"],
        "ridehail_servers.resources.migrations": ["*/*.sql", "*/*.py"],
        "ridehail_servers.resources.deploy": ["**/*"],
        "": ["*.pyi", "py.typed", "*.yaml", "*.json", "*.j2", "*/*.j2", "*/*.yaml", "*/*.json"],
    },
)
