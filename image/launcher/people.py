"""Root's account database, read again whenever it has changed."""

import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Person:
    """A line of passwd(5)."""

    name: str
    uid: int
    gid: int
    comment: str
    home: str


class People:
    """path: of a file like passwd(5), which is replaced whole."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.version: tuple[int, ...] | None = None
        self.found: dict[str, Person] = {}

    def find(self, name: str) -> Person | None:
        """None where there is no such account, or the file cannot be read."""
        try:
            found = os.stat(self.path)
            version = found.st_ino, found.st_mtime_ns, found.st_size
            if version != self.version:
                with open(self.path) as file:
                    people = [person for person in map(person_of, file) if person is not None]
                self.found = {person.name: person for person in people}
                self.version = version
        except OSError:
            return None
        return self.found.get(name)


def person_of(line: str) -> Person | None:
    fields = line.rstrip('\n').split(':')
    if len(fields) != 7 or not fields[2].isdigit() or not fields[3].isdigit():
        return None
    return Person(fields[0], int(fields[2]), int(fields[3]), fields[4], fields[5])
