"""How deep below /repos a repository may lie."""

# How many folders deep below a folder of /repos the server looks for repositories (src/borg/depth.ts).
DEEPEST = 4
