"""borg without its self-test."""

import os
import sys
import types


def leave_out():
    """The server runs borg's self-test once when it starts; for every session it would double time and memory (borg's documentation
    recommends this to hosters). With it comes borg's test suite, whose import alone takes a quarter of the time to the first answer and
    tries what the file system can do, in temporary files."""
    os.environ['BORG_SELFTEST'] = 'disabled'
    selftest = types.ModuleType('borg.selftest')
    vars(selftest)['selftest'] = lambda _: None
    sys.modules['borg.selftest'] = selftest
