from borg.platform.base import SaveFile as SaveFile
from borg.platform.base import sync_dir as sync_dir
