from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import AbstractContextManager

import borg.remote
import borg.repository

#: What stands for the classes here.
Repository: type[borg.repository.Repository]
RepositoryServer: type[borg.remote.RepositoryServer]
Archiver: Callable[..., _Archiver]

class _Archiver:
    build_parser: Callable[..., ArgumentParser]
    def get_args(self, argv: list[str], cmd: str | None) -> Namespace: ...

#: May be entered once.
sig_int: AbstractContextManager[None]

def main() -> None: ...
