from argparse import ArgumentParser, Namespace
from collections.abc import Callable

import borg.remote
import borg.repository

#: What stands for the classes here.
Repository: type[borg.repository.Repository]
RepositoryServer: type[borg.remote.RepositoryServer]
Archiver: Callable[..., _Archiver]

class _Archiver:
    build_parser: Callable[..., ArgumentParser]
    def get_args(self, argv: list[str], cmd: str | None) -> Namespace: ...

def main() -> None: ...
