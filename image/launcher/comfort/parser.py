"""Builds borg's command line parser only once: that takes longer than everything else that a session does before its first answer."""

import borg.archiver


def keep():
    """The Archiver is kept, too: the parser refers to its methods."""
    archiver = borg.archiver.Archiver()
    parser = archiver.build_parser()
    archiver.build_parser = lambda *_, **__: parser
    borg.archiver.Archiver = lambda *_, **__: archiver
