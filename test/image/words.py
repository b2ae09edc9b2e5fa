"""Answers what request.py and limits.py make of words: one JSON list on standard input, one on standard output."""

import dataclasses
import json
import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../image'))

from launcher import limits, request


def requested(command: str) -> dict[str, object]:
    words = request.words_of(command)
    answer = ('version' if request.asks_for_version(words) else 'refused' if not request.asks_for_serve(words)
              else 'borg2' if request.asks_for_borg2(words) else 'serve')
    return {'answer': answer, 'levels': request.log_levels(words)}


def limited(words: list[str]) -> dict[str, object]:
    try:
        found = limits.read(words)
    except (ValueError, KeyError) as err:
        return {'error': type(err).__name__}
    return {**dataclasses.asdict(found), 'serves': found.serves, 'isAdmin': found.is_admin, 'ownPath': found.own_path}


asked = json.load(sys.stdin)
loaded = sorted(name for name in sys.modules if name == 'borg' or name.startswith('borg.'))
print(json.dumps([requested(each) if isinstance(each, str) else limited(each) for each in asked] + [loaded]))
