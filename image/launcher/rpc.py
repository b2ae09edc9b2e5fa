"""The calls that a client may make, and the methods of borg that are guarded here: both as in borg 1.2.4, 1.4.0 and 1.4.5. Anything that a newer
borg adds would be unguarded: no session serves it, and the server does not start with such a borg."""

import inspect

METHODS = frozenset((
    '__len__', 'break_lock', 'check', 'commit', 'commit_nonce_reservation', 'delete', 'destroy', 'get', 'get_free_nonce',
    'inject_exception', 'list', 'load_key', 'negotiate', 'open', 'put', 'rollback', 'save_key', 'scan',
))

#: The parameters of the methods that this server guards.
PARAMETERS = {
    'Repository': {
        'open': 'path exclusive lock_wait lock', 'create': 'path', 'destroy': '', 'prepare_txn': 'transaction_id do_cleanup',
        'break_lock': '', 'check': 'repair save_space max_duration', 'put': 'id data wait', 'delete': 'id wait',
        'commit': 'save_space compact threshold cleanup_commits', 'save_key': 'keydata', 'save_config': 'path config',
        'commit_nonce_reservation': 'next_unreserved start_nonce', 'open_index': 'transaction_id auto_recover',
        '_update_index': 'segment objects report', '_rollback': 'cleanup', 'get_free_nonce': '', 'load_key': '', 'list': 'limit marker',
    },
    'RepositoryServer': {
        'open': 'path create lock_wait lock exclusive append_only make_parent_dirs', '_resolve_path': 'path', 'serve': '',
        'negotiate': 'client_data',
    },
}


def unknown():
    """What this borg has that is not known here, in words. Called before borg's classes are replaced."""
    from borg.remote import RepositoryServer
    from borg.repository import Repository

    found = ['the call %s' % name for name in RepositoryServer.rpc_methods if name not in METHODS]
    for owner in (Repository, RepositoryServer):
        for name, wanted in PARAMETERS[owner.__name__].items():
            method = getattr(owner, name, None)
            has = None if method is None else ' '.join(list(inspect.signature(method).parameters)[1:])
            if has != wanted:
                found.append('%s.%s(%s)' % (owner.__name__, name, 'missing' if has is None else has))
    return found
