from typing import IO

def setup_logging(
    stream: IO[str] | None = None,
    conf_fname: str | None = None,
    env_var: str = 'BORG_LOGGING_CONF',
    level: str = 'info',
    is_serve: bool = False,
    json: bool = False,
) -> None: ...
