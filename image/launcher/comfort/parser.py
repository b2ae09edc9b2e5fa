"""borg's parser of its command line, built once: that takes longer than all else which a session does before its first answer."""

import borg.archiver


def keep():
    """The Archiver is kept with it: what the parser finds is bound to that."""
    archiver = borg.archiver.Archiver()
    parser = archiver.build_parser()
    archiver.build_parser = lambda *_, **__: parser
    borg.archiver.Archiver = lambda *_, **__: archiver
