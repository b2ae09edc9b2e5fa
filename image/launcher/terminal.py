"""Makes what borg shows on a terminal harmless: clients have chosen the archive names, comments and paths in it."""
import codecs
import io
import sys
import unicodedata

# Lu, Nd, Po, … are fine. Cc are controls, Cf change the direction of the text after them, Cs is a byte that is not UTF-8, Zl and Zp end a line.
HIDDEN = ('C', 'Zl', 'Zp')
# borg ends a line of --progress with a carriage return.
LINE_ENDS = ('\r\n', '\r')


def shown(character: str) -> str:
    """The character in a form that is safe on a terminal."""
    if character in '\n\t' or not unicodedata.category(character).startswith(HIDDEN):
        return character
    number = ord(character)
    if 0xdc80 <= number <= 0xdcff:
        return '\\x%02x' % (number - 0xdc00)
    return '\\u{%x}' % number


def escaped(text: str, may_return: bool = False) -> str:
    """Escapes everything that a terminal would obey, but not line feeds and tabs. A carriage return stays only at the very end of the text."""
    if text.isascii() and text.isprintable():
        return text
    end = next((end for end in LINE_ENDS if text.endswith(end)), '') if may_return else ''
    return ''.join(map(shown, text[:len(text) - len(end)])) + end


class Bytes(io.RawIOBase):
    """The binary side of a terminal: `extract --stdout` writes there."""

    def __init__(self, terminal: 'Terminal'):
        super().__init__()
        self.terminal = terminal
        self.decoder = codecs.getincrementaldecoder('utf-8')('surrogateescape')

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.terminal.fileno()

    def write(self, data) -> int:
        self.terminal.write(self.decoder.decode(bytes(data)))
        return len(data)

    def flush(self) -> None:
        self.terminal.flush()


class Terminal(io.TextIOWrapper):
    """A standard stream that is a terminal, and still says so to code that asks."""

    def __init__(self, stream, may_return: bool):
        super().__init__(stream.buffer, stream.encoding, 'backslashreplace', line_buffering=True)
        self.may_return = may_return
        self.bytes = Bytes(self)

    @property
    def buffer(self):  # pyright: ignore[reportIncompatibleMethodOverride]: a raw one, without a buffer
        return self.bytes

    def write(self, text: str) -> int:
        super().write(escaped(text, self.may_return))
        return len(text)


def guard() -> None:
    """Replaces the standard streams that are terminals. In a pipe or a file every byte stays as it is."""
    for name in ('stdout', 'stderr'):
        stream = getattr(sys, name)
        if stream is not None and stream.isatty():
            stream.flush()
            setattr(sys, name, Terminal(stream, may_return=name == 'stderr'))
