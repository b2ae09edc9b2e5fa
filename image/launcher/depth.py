"""How deep below /repos a repository may lie."""

# Folders below one of /repos: where the server looks for repositories (src/borg/depth.ts).
DEEPEST = 4
