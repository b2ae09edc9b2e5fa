"""What a session of borg serve is made of, beside the program borg-serve that starts it: one subject a file."""
