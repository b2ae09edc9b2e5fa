"""The config of a repository: the key in it, and the rest."""

import configparser
import os
import re
import time

from borg.helpers import Error, bin_to_hex
from borg.platform import SaveFile, sync_dir
from borg.repository import Repository

from launcher.folder_lock import one_at_a_time

# borg's keys are some lines of base64, about 1 kB.
KEY = re.compile(rb'[\n -~]{0,16384}')
# A passphrase is changed a few times in the life of a repository.
MOST_FORMER_KEYS = 100
FORMER_KEY = re.compile(r'\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-\d\d')
# borg's entry in the config that says how far a check has come.
CHECKED = 'last_segment_checked'


class PlainKeyRepository(Repository):
    """borg writes the key that a client sends into the repository's config and does not check it. A CR in the key ends the line when the
    config is read: then nobody could open the repository any more, not even on the server."""

    def save_key(self, keydata):
        if not KEY.fullmatch(keydata):
            raise Error('this is not a key of borg')
        return super().save_key(keydata)


class KeptConfigRepository(Repository):
    """borg reads a repository's config when it opens the repository. It writes all of it back when it saves a key, or has checked a part of
    the repository. Changes that somebody else has made in between, even to the key, would be lost. So here the rest of the config is read
    from the disk each time.

    borg also lets an append-only session overwrite the key, and without its key nobody can read the repository any more. So each key that
    such a session replaces is kept in the folder former-keys of the repository, as `borg key export` writes it. No client can reach it."""

    def save_key(self, keydata):
        if not hasattr(self, 'id'):
            raise Error('no repository is open')
        with one_at_a_time(self.path):
            config = latest_config(self)
            if self.append_only:
                keep_former_key(self, config, keydata)
            config.set('repository', 'key', keydata.decode())
            super().save_config(self.path, config)
            self.config = config

    def save_config(self, path, config):
        if not os.path.exists(os.path.join(path, 'config')):
            return super().save_config(path, config)  # it is being created
        with one_at_a_time(path):
            latest = latest_config(self)
            latest.remove_option('repository', CHECKED)
            if config.has_option('repository', CHECKED):
                latest.set('repository', CHECKED, config.get('repository', CHECKED))
            return super().save_config(path, latest)


def latest_config(repository):
    config = configparser.ConfigParser(interpolation=None)
    with open(os.path.join(repository.path, 'config')) as file:
        config.read_file(file)
    if config.get('repository', 'id').strip() != bin_to_hex(repository.id):
        raise Error('another repository has replaced this one on the disk')
    return config


def keep_former_key(repository, config, keydata):
    former = config.get('repository', 'key', fallback='').strip()
    if former in ('', keydata.decode().strip()):
        return
    folder = os.path.join(repository.path, 'former-keys')
    os.makedirs(folder, exist_ok=True)
    sync_dir(repository.path)
    count = sum(FORMER_KEY.fullmatch(name) is not None for name in os.listdir(folder))
    if count >= MOST_FORMER_KEYS:
        raise Error('the key of this repository was changed %d times: the operator of its server must clear '
                    'the folder former-keys first' % count)
    name = '%s-%02d' % (time.strftime('%Y-%m-%dT%H-%M-%SZ', time.gmtime()), count)
    with SaveFile(os.path.join(folder, name), binary=False) as file:
        file.write('BORG_KEY %s\n%s\n' % (bin_to_hex(repository.id), former))
