"""Runs a program of this environment for as long as its standard input is open. Run: leash.py PROGRAM ARGUMENTS…

The input is a pipe that nobody writes to: it ends when its owner does, however that came, and the program with it.
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
