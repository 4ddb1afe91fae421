"""Runs a program on a terminal of its own, types a line at each question, and prints what was shown there.

With `--none` the program has no terminal at all.
"""

import os
import pty
import subprocess
import sys

mode, typed, *program = sys.argv[1:]
if mode == "--none":
    ended = subprocess.run(program, start_new_session=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    print(ended.stdout + ended.stderr + f"exit {ended.returncode}")
    sys.exit()
child, terminal = pty.fork()
if child == 0:
    os.execv(program[0], program)
shown = b""
answered = 0
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    shown += piece
    if shown.count(b"MFA code of") + shown.count(b"[y/N] ") > answered:
        answered += 1
        os.write(terminal, typed.encode() + b"\n")
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(shown.decode() + f"exit {status}")
