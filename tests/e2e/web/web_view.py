"""Tests the web view: web_view.py FOLDER-OF-ITS-FILES. See tests/e2e/web_view.sh."""
import os
import sys

import live_checks
import pretend_checks
from checks import Page, Tap
from devtools import Browser, find_program
from fake_daemon import FakeDaemon


def main():
    tap = Tap()
    url = os.environ.get('VGPU_WEB_URL')
    daemon = None if url else FakeDaemon(sys.argv[1])
    browser = Browser(find_program())
    try:
        browser.size(1280, 800)
        page = Page(browser, url or daemon.url, tap)
        if daemon:
            pretend_checks.run(page, daemon)
        else:
            live_checks.run(page, os.environ.get('VGPU_WEB_TOKEN'))
    finally:
        browser.close()
        if daemon:
            daemon.stop()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
