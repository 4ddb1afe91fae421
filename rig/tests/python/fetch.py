"""Prints status and body of https://HOST/, or why there is none. Run: fetch.py HOST"""

import sys

import requests

try:
    answer = requests.get(f"https://{sys.argv[1]}/", timeout=10)
    print(answer.status_code, answer.text)
except requests.RequestException as error:
    print(error)
