"""Runs a program of this environment while its standard input is open.

Run: exit_with_stdin.py PROGRAM ARGUMENTS…

The input is a pipe without writes. It closes when its owner exits, also by a signal, and the program exits with it.
"""

import os
import runpy
import sys
import threading


def watch():
    sys.stdin.buffer.read()
    os._exit(0)


threading.Thread(target=watch, daemon=True).start()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
