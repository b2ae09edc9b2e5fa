"""Runs borg without its self-test."""

import os
import sys
import types


def leave_out():
    """The server runs borg's self-test once, when it starts. In every session it would double time and memory (borg's documentation recommends
    hosters to leave it out). It imports borg's test suite: that alone takes a quarter of the time to the first answer, and makes temporary
    files to try what the file system can do."""
    os.environ['BORG_SELFTEST'] = 'disabled'
    selftest = types.ModuleType('borg.selftest')
    vars(selftest)['selftest'] = lambda _: None
    sys.modules['borg.selftest'] = selftest
