# The parts of borg that the launcher uses, as in borg 1.2.4, 1.4.0 and 1.4.5. borg ships no types. test/image/guards.test.ts compares these
# with the installed borg.
__version__: str
