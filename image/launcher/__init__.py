"""The parts of a session of borg serve, one subject a file. The program borg-serve starts it."""
