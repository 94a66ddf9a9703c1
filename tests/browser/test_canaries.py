"""Nothing of a patient reaches the operator's browser, on any page and in any answer."""

import html
import re
from collections import Counter
from typing import Final
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.async_api import Browser

from tests.browser.filled import ADMIN, TOKENS
from tests.browser.person import Person, person_at
from tests.browser.planted import patients, plant, sandbox_with, spelt_out
from tests.browser.views import VIEWS
from tests.conftest import StartProxy

_OF_ONE_KIND: Final = 6  # pages that are read of one view, with other filters
_LINK: Final = re.compile(r'<a\b[^>]*\bhref="([^"]+)"')


@pytest.mark.here_only("a browser sees no difference")
async def test_none_of_60_values_of_patients_is_on_a_page_or_in_an_answer(
    browser: Browser, start_proxy: StartProxy
) -> None:
    all_of_them = dict(enumerate(patients()))
    config = sandbox_with(all_of_them)
    async with (
        start_proxy(legacy=True, config=config, MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as person,
    ):
        secrets = [*await plant(api, all_of_them), ADMIN]
        await person.log_in(ADMIN)
        pages = await _read_everything(person)
        answers = [*await person.watched.read(), *pages]
        assert "an event" in dict(answers), "the stream was not read"
    found = {
        (secret, url) for url, text in answers for secret in secrets if secret.lower() in spelt_out(text)
    }
    assert found == set()
    assert len({*secrets}) >= 60
    assert len(pages) >= 2 * len(VIEWS)


async def _read_everything(person: Person) -> list[tuple[str, str]]:
    """Opens each view, then follows each link from there, downloads too; returns addresses and texts."""
    pages = []
    for view in VIEWS.values():
        await person.page.goto(f"{person.url}{view}")
        pages.append((f"{person.url}{view}", await person.page.content()))
    waiting, seen, kinds = [*pages], {url for url, _ in pages}, Counter[str]()
    while waiting:
        url, text = waiting.pop(0)
        for found in _LINK.findall(text):
            address = urljoin(url, html.unescape(found)).partition("#")[0]
            kind = re.sub(r"^/requests/.*", "/requests/{id}", urlsplit(address).path)
            if address in seen or kinds[kind] >= _OF_ONE_KIND or not address.startswith(f"{person.url}/"):
                continue
            seen.add(address)
            kinds[kind] += 1
            response = await person.page.request.get(address)
            waiting.append((address, await response.text()))
            pages.append(waiting[-1])
    return pages
