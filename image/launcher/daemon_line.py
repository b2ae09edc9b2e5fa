"""What the session host and the daemon say to each other, over the host's standard streams (docs/session-host.md)."""

import json
import os
import selectors

#: Bytes that are read at once.
MOST_BYTES = 65_536


class DaemonLine:
    """on_account: is called with a connection (pid and start of sshd's root process) and the digest of its account's name. on_end: is called
    when the daemon has closed the line, or is gone."""

    def __init__(self, selector: selectors.BaseSelector, on_account, on_end) -> None:
        self.selector, self.on_account, self.on_end = selector, on_account, on_end
        self.said = b''
        self.unsaid, self.waits = bytearray(), False
        #: Functions to call once everything is said.
        self.then = []
        for each in (0, 1):
            os.set_blocking(each, False)
        selector.register(0, selectors.EVENT_READ, self.hear)

    def tell(self, then=None, **facts) -> None:
        """If the daemon does not read just now, the lines are kept: it must hear of every session. then: is called as soon as the kernel has
        the line: from then on the daemon will read it, even if this process dies at once."""
        self.unsaid += (json.dumps(facts) + '\n').encode()
        if then is not None:
            self.then.append(then)
        self.say()

    def say(self) -> None:
        try:
            while self.unsaid:
                del self.unsaid[:os.write(1, self.unsaid)]
        except (BrokenPipeError, ConnectionResetError):
            self.unsaid.clear()  # there is no daemon any more
        except OSError:
            pass  # the daemon does not read just now, or the kernel has no memory
        if bool(self.unsaid) != self.waits:
            self.waits = bool(self.unsaid)
            if self.waits:
                self.selector.register(1, selectors.EVENT_WRITE, self.say)
            else:
                self.selector.unregister(1)
        if not self.unsaid:
            then, self.then = self.then, []
            for each in then:
                each()

    def hear(self) -> None:
        try:
            said = os.read(0, MOST_BYTES)
        except BlockingIOError:
            return
        if not said:
            self.selector.unregister(0)
            self.on_end()
            return
        *lines, self.said = (self.said + said).split(b'\n')
        for line in lines:
            words = line.decode('utf-8', 'replace').split(' ')
            if words == ['ping']:
                self.tell(event='pong')
            elif len(words) == 4 and words[0] == 'account' and words[1].isdigit() and words[2].isdigit():
                self.on_account((int(words[1]), int(words[2])), words[3])
