"""Prints a JSON list of the names and parameters in which test/python/types differs from the installed borg.

    PYTHON -I test/python/borg_types.py
"""

import ast
import importlib
import inspect
import json
import os

TYPES = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'types')
#: Names that only the types have: they belong to another module of borg, or to none.
ONLY_TYPES = ('_Archiver', 'Index')


def parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    return [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def differences(owner: object, body: list[ast.stmt], title: str) -> list[str]:
    found: list[str] = []
    for each in body:
        name = each.name if isinstance(each, ast.ClassDef | ast.FunctionDef) else None
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and inspect.ismodule(owner):
            name = each.target.id  # in a class, only its objects may have the name
        if name is None or name in ONLY_TYPES:
            continue
        there = getattr(owner, name, None)
        if there is None:
            found.append('%s.%s is missing' % (title, name))
        elif isinstance(each, ast.ClassDef):
            found += differences(there, each.body, '%s.%s' % (title, name))
        elif isinstance(each, ast.FunctionDef) and not name.startswith('__e') and list(inspect.signature(there).parameters) != parameters(each):
            found.append('%s.%s(%s)' % (title, name, ' '.join(inspect.signature(there).parameters)))
    return found


said: list[str] = []
for folder, _, names in os.walk(TYPES):
    for name in sorted(names):
        path = os.path.join(folder, name)
        module = os.path.relpath(path, TYPES).removesuffix('.pyi').removesuffix('/__init__').replace('/', '.')
        with open(path) as file:
            said += differences(importlib.import_module(module), ast.parse(file.read()).body, module)
print(json.dumps(said))
