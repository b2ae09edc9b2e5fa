# What the launcher uses of borg, which ships no types: as in borg 1.2.4, 1.4.0 and 1.4.5. test/image/guards.test.ts holds it to the
# installed one.
__version__: str
