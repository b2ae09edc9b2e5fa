import borg.repository
from borg.helpers import Error

BUFSIZE: int
#: What stands for the class here.
Repository: type[borg.repository.Repository]

class PathNotAllowed(Error): ...
class InvalidRPCMethod(Error): ...
class UnexpectedRPCDataFormatFromClient(Error): ...

class RepositoryServer:
    rpc_methods: tuple[str, ...]
    repository: borg.repository.Repository | None
    restrict_to_paths: list[str] | None
    restrict_to_repositories: list[str] | None
    append_only: bool
    storage_quota: int | None
    def __init__(
        self,
        restrict_to_paths: list[str] | None,
        restrict_to_repositories: list[str] | None,
        append_only: bool,
        storage_quota: int | None,
    ) -> None: ...
    def serve(self) -> None: ...
    def negotiate(self, client_data: object) -> object: ...
    def _resolve_path(self, path: str | bytes) -> str: ...
    def open(
        self,
        path: str | bytes,
        create: bool = False,
        lock_wait: float | None = None,
        lock: bool = True,
        exclusive: bool | None = None,
        append_only: bool = False,
        make_parent_dirs: bool = False,
    ) -> bytes: ...
