"""Runs the browser test of the web view against http_fake. See http_web_view.sh."""
import os
import subprocess
import sys

from http_fake import ROOT, Fake

server = Fake()
try:
    status = subprocess.run(
        [sys.executable, os.path.join(ROOT, 'tests', 'e2e', 'web', 'web_view.py'), ''], check=False,
        env={**os.environ, 'VGPU_WEB_URL': f'http://127.0.0.1:{server.port}/'}).returncode
finally:
    server.stop()
    for name in os.listdir(server.folder):
        os.unlink(os.path.join(server.folder, name))
    os.rmdir(server.folder)
sys.exit(status)
